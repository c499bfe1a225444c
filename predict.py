"""Apply an ONNX model to a folder of images: `image_name,target`; needs no torch."""

from src.scripts.predict import run

if __name__ == "__main__":
    run()
