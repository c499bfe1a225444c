"""Export a checkpoint as one self-describing ONNX file."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..core.errors import run_main
from ..core.files import check_output, expect_file
from ..core.options import REQUIRED, flag, parse_options


@dataclass(frozen=True)
class Options:
    """export"""

    checkpoint_path: Path = flag(REQUIRED, "checkpoint of a run", also=("--checkpoint",))
    output_dir: Path | None = flag(None, "folder to write to (default: the checkpoint's)")
    model_class: Literal["MelanomaClassifier"] = flag(
        "MelanomaClassifier", "class of the model in the checkpoint; there is one"
    )


def main(argv: list[str] | None) -> None:
    """None once the ONNX file is written."""
    options = parse_options(argv, __doc__, Options)[0]
    checkpoint = options.checkpoint_path
    expect_file(checkpoint, "--checkpoint_path")
    path = (options.output_dir or checkpoint.parent) / f"{checkpoint.stem}.onnx"
    check_output(path, checkpoint)

    from ..artifact.export import export_onnx
    from ..artifact.network import load_network
    from ..datasets.overlap import copy_training_rows

    network, contract = load_network(checkpoint)
    deviation = export_onnx(network, contract, path)
    copy_training_rows(checkpoint, contract.provenance.get("table"), path)
    print(f"{path}: within {deviation:.1g} of the checkpoint's probabilities")
    print(contract.notice)


if __name__ == "__main__":
    run_main(main)
