"""All forms of a checkpoint: each is written, checked and told in a line."""

from pathlib import Path

from ..core.files import copy_whole, make_folder, write_text
from ..datasets.overlap import copy_training_rows
from .evidence import EVIDENCE
from .export import BATCH_SIZE, evidence_error, export_onnx, open_session
from .huggingface import NotLoadableError, write_transformers
from .model_card import model_card
from .network import load_network
from .quantize import export_int8
from .samples import drawn_sample, read_sample
from .torch_files import export_program, export_torchscript

_WRITERS = {"torchscript": export_torchscript, "exported_program": export_program}


class Exporter:
    """A checkpoint that is exported into `folder`, checked on images of another or drawn ones.

    `contract` is that of the ONNX file once `onnx` has been called, which comes first. Methods
    return what they wrote, in a line.
    """

    def __init__(self, checkpoint: Path, folder: Path, images: Path | None, n_images: int):
        self.network, self.contract = load_network(checkpoint)
        self.checkpoint, self.folder = checkpoint, folder
        self.sample = (
            read_sample(images, n_images, self.contract, checkpoint.parent)
            if images
            else drawn_sample(self.contract)
        )
        self.path = folder / f"{checkpoint.stem}.onnx"

    def onnx(self) -> str:
        """Write the ONNX file."""
        exported = export_onnx(self.network, self.contract, self.path, self.sample.images)
        self.contract = exported.contract
        copy_training_rows(self.checkpoint, self.contract.provenance.get("table"), self.path)
        told = f"no evidence output: {exported.no_evidence}"
        if self.contract.evidence:
            told = f"evidence and bias sum to the logits within {self._evidence_error():.1g}"
        return (
            f"{self.path}: within {exported.deviation:.1g} of the checkpoint's probabilities on "
            f"{len(self.sample.images)} {self.sample.kind} images; {told}"
        )

    def _evidence_error(self) -> float:
        session, images = open_session(self.path.read_bytes()), self.sample.images
        starts = range(0, len(images), BATCH_SIZE)
        parts = [
            session.run(["output", EVIDENCE], {"input": images[start : start + BATCH_SIZE]})
            for start in starts
        ]
        return max(evidence_error(self.contract.evidence, *part) for part in parts)

    def int8(self, how: str) -> str:
        """Write the ONNX file's int8 form."""
        path = self.path.with_name(f"{self.path.stem}_{how}_int8.onnx")
        return f"{path}: {export_int8(self.path, path, self.contract, how, self.sample)}"

    def torch_file(self, form: str, suffix: str) -> str:
        """Write a file that torch loads."""
        path = self.path.with_suffix(suffix)
        deviation = _WRITERS[form](self.network, self.contract, path, self.sample.images)
        return f"{path}: within {deviation:.1g} of the checkpoint's probabilities"

    def card(self) -> str:
        """The model card, with the figures of the run that the checkpoint is of."""
        run = self.checkpoint.parent
        return model_card(self.contract, run.resolve().name, self.path.name, run)

    def huggingface(self) -> str:
        """Write the folder `huggingface`: ONNX file, card and, where it can be, transformers'."""
        folder = make_folder(self.folder / "huggingface")
        copy_whole(self.path, folder / "model.onnx")
        write_text(folder / "README.md", self.card().replace(self.path.name, "model.onnx"))
        try:
            write_transformers(self.network, self.contract, folder)
        except NotLoadableError as reason:
            return f"{folder}: for predict.py --hf_repo alone, not for transformers: {reason}"
        return (
            f"{folder}: for transformers' AutoModelForImageClassification and predict.py --hf_repo"
        )
