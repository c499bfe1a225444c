"""python -m src.scripts.export_model --checkpoint_path FILE: one self-describing ONNX file."""

import argparse
from pathlib import Path

from src.artifact.export import export_onnx
from src.artifact.network import load_network
from src.core.errors import UserError, refuse_in_words, run_main


def main(argv: list[str] | None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    parser.add_argument(
        "--checkpoint_path", "--checkpoint", required=True, help="checkpoint of a run"
    )
    parser.add_argument("--output_dir", help="folder to write to (default: the checkpoint's)")
    parser.add_argument(
        "--model_class",
        choices=["MelanomaClassifier"],
        default="MelanomaClassifier",
        help="the class in the checkpoint; there is one",
    )
    args = parser.parse_args(argv)
    checkpoint = Path(args.checkpoint_path)
    network, contract = load_network(checkpoint)
    folder = Path(args.output_dir) if args.output_dir else checkpoint.parent
    path = folder / f"{checkpoint.stem}.onnx"
    try:
        deviation = export_onnx(network, contract, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    print(f"{path}: within {deviation:.1g} of the checkpoint's probabilities")
    print(contract.notice)


if __name__ == "__main__":
    run_main(main)
