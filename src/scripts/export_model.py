"""Export a checkpoint as one self-describing ONNX file, and in other forms."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..core.errors import require, run_main
from ..core.files import check_output, expect_file, expect_folder, make_folder, write_text
from ..core.options import REQUIRED, Section, flag, parse_options

if TYPE_CHECKING:
    from ..artifact.forms import Exporter

SUFFIXES = {"onnx": ".onnx", "torchscript": ".torchscript", "exported_program": ".pt2"}


@dataclass(frozen=True)
class Options(Section):
    """export"""

    checkpoint_path: Path = flag(REQUIRED, "checkpoint of a run", also=("--checkpoint",))
    output_dir: Path | None = flag(None, "folder to write to (default: the checkpoint's)")
    formats: tuple[Literal["onnx", "torchscript", "exported_program", "huggingface"], ...] = flag(
        ("onnx",),
        "one or more of onnx, torchscript, exported_program (.pt2) and huggingface: a folder that "
        "transformers and predict.py --hf_repo load",
    )
    quantize: Literal["none", "dynamic", "static"] = flag(
        "none",
        "also write the ONNX file as int8: dynamic for transformers, static for convolutions",
    )
    images: Path | None = flag(
        None,
        "folder of images to check with, to measure the cost of --quantize, and to calibrate "
        "static quantization (default: drawn ones)",
    )
    n_images: int = flag(200, "images to take from --images", least=2)
    push_to_hub: str = flag("", "upload the Hugging Face folder to this repository, privately")
    model_class: Literal["MelanomaClassifier"] = flag(
        "MelanomaClassifier", "class of the model in the checkpoint; there is one"
    )

    def __post_init__(self):
        super().__post_init__()
        is_static = self.quantize == "static"
        require(not is_static or self.images, "--quantize static: expected a folder with --images")
        has_folder = not self.push_to_hub or "huggingface" in self.formats
        require(has_folder, "--push_to_hub: expected with --formats huggingface")

    @property
    def needs_onnx(self) -> bool:
        """Whether an ONNX file is asked for, or is part of what is."""
        return bool({"onnx", "huggingface"} & {*self.formats}) or self.quantize != "none"


def main(argv: list[str] | None) -> None:
    """None once all files are written and checked."""
    options = parse_options(argv, __doc__, Options)[0]
    checkpoint = options.checkpoint_path
    expect_file(checkpoint, "--checkpoint_path")
    expect_folder(options.images, "--images")
    folder = options.output_dir or checkpoint.parent
    make_folder(folder)
    for suffix in SUFFIXES.values():
        check_output(folder / f"{checkpoint.stem}{suffix}", checkpoint)

    from ..artifact.forms import Exporter

    exporter = Exporter(checkpoint, folder, options.images, options.n_images)
    _write_all(exporter, options)
    print(exporter.contract.notice)


def _write_all(exporter: "Exporter", options: Options) -> None:
    if options.needs_onnx:
        print(exporter.onnx())
    if options.quantize != "none":
        print(exporter.int8(options.quantize))
    for form in ("torchscript", "exported_program"):
        if form in options.formats:
            print(exporter.torch_file(form, SUFFIXES[form]))
    write_text(exporter.folder / "MODEL_CARD.md", exporter.card())
    if "huggingface" in options.formats:
        print(exporter.huggingface())
        if options.push_to_hub:
            from ..artifact.huggingface import push

            print(f"uploaded: {push(exporter.folder / 'huggingface', options.push_to_hub)}")


if __name__ == "__main__":
    run_main(main)
