"""What the page is started with: `streamlit run streamlit_app.py -- --onnx_model_path MODEL`."""

from dataclasses import dataclass
from pathlib import Path

from ..core.options import flag


@dataclass(frozen=True)
class PageOptions:
    """page"""

    onnx_model_path: Path | None = flag(
        None, "ONNX model, or folder of models that vote (default: weights/, else the demo's)"
    )
    results_csv: Path | None = flag(
        None,
        "metrics by skin tone of that model, metrics_by_group_*.csv of a run or an evaluation "
        "(default: the one beside the model)",
    )
    examples: Path | None = flag(
        None, "folder of pictures that can be tried without an upload (default: the demo's)"
    )
