"""python -m src.scripts.export_model --checkpoint_path FILE: one self-describing ONNX file."""

import argparse
from pathlib import Path

from ..artifact.export import export_onnx
from ..artifact.network import load_network
from ..core.errors import UserError, refuse_in_words, run_main


def main(argv: list[str] | None) -> None:
    args = parse_args(argv)
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


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    """The command line; a mistake in it raises `UserError`."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    refuse_in_words(parser)
    add = parser.add_argument
    add("--checkpoint_path", "--checkpoint", required=True, help="checkpoint of a run")
    add("--output_dir", help="folder to write to (default: the checkpoint's)")
    add(
        "--model_class",
        choices=["MelanomaClassifier"],
        default="MelanomaClassifier",
        help="the class in the checkpoint; there is one",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    run_main(main)
