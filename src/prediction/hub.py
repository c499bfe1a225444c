"""Models of Hugging Face's hub, or of folders like its repositories; imports nothing heavy."""

from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError, first_line, require
from ..core.options import Section, flag

FILE = "model.onnx"


@dataclass(frozen=True)
class HubModel(Section):
    """Hugging Face"""

    hf_repo: str = flag(
        "",
        f"repository on the Hugging Face hub, or folder, whose {FILE} predicts",
        metavar="REPO_OR_FOLDER",
    )

    def or_given(self, path: Path | None) -> Path | None:
        """The model's file where a repository is given, else `path`.

        Raises `UserError` for both, and for a repository without the file or out of reach.
        """
        require(not (self.hf_repo and path), "--hf_repo: expected without --onnx_model_path")
        return _file(self.hf_repo) if self.hf_repo else path


def _file(repo: str) -> Path:
    if Path(repo).exists():
        path = Path(repo) / FILE
        require(
            path.is_file(), f"--hf_repo {repo}: no {FILE} in it; export_model writes such folders"
        )
        return path
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        raise UserError(
            f"--hf_repo {repo}: expected a folder, or the package huggingface_hub to fetch it "
            "(pip install huggingface_hub)"
        ) from None
    try:
        return Path(huggingface_hub.hf_hub_download(repo, FILE))
    except Exception as error:  # the client raises many kinds
        raise UserError(
            f"--hf_repo {repo}: no such folder, and not fetched ({first_line(error)}); expected a "
            f"repository with {FILE}, a network, and a token (hf auth login) where it is private"
        ) from None
