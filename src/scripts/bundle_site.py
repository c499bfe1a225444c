"""Write the one file that a hospital runs for external validation: evaluator and model in a zipapp.

It needs Python with onnxruntime, numpy and opencv-python-headless, no PyTorch and no network, and
writes aggregate JSON alone: python FILE --input_folder D --csv labels.csv --key key --site NAME.
"""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import require, run_main
from ..core.files import check_output, expect_file
from ..core.options import REQUIRED, Section, flag, parse_options


@dataclass(frozen=True)
class Options(Section):
    """bundle"""

    onnx_model_path: Path = flag(REQUIRED, "ONNX file with a contract")
    output: Path = flag(Path("site.pyz"), "file to write")


def main(argv: list[str] | None) -> None:
    """None once the file is written."""
    options = parse_options(argv, __doc__, Options)[0]
    expect_file(options.onnx_model_path, "--onnx_model_path")
    check_output(options.output, options.onnx_model_path)

    from ..inference.predictor import OnnxPredictor
    from ..sites.bundle import write_bundle

    has_contract = not OnnxPredictor(options.onnx_model_path).is_foreign
    require(
        has_contract, f"{options.onnx_model_path}: holds no contract; expected an exported model"
    )
    modules = write_bundle(options.onnx_model_path, options.output)
    print(f"{options.output}: the model and {len(modules)} modules; python {options.output} --help")


if __name__ == "__main__":
    run_main(main)
