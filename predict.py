"""Classify a folder of images with an ONNX model and write a CSV (no PyTorch needed)."""

from src.scripts.predict import run

if __name__ == "__main__":
    run()
