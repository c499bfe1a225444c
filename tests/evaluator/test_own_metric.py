"""A metric of one's own: its row and function in `metrics.py` are all that it takes."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from src.evaluation import metrics
from tests.evaluator.readings import strict_json

ROW = '''
@metric("Youden's index", compares_groups=True)
def youden_index(w: Weighted) -> np.ndarray:
    """Sensitivity + specificity - 1."""
    return sensitivity(w) + specificity(w) - 1


'''
# the file with the row in it, in place of the file
START = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("src.evaluation.metrics", sys.argv[1])
module = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = module
spec.loader.exec_module(module)
from src.evaluation.metrics import check_monitored
from src.scripts import get_results, melanoma_eval
check_monitored("youden_index")
melanoma_eval.main(sys.argv[3:])
get_results.main([sys.argv[2], "--metrics", "youden_index"])
"""


@pytest.mark.slow
def test_a_metric_of_ones_own_reaches_monitor_evaluator_tables_and_page(drawn, base, tmp_path):
    text = Path(metrics.__file__).read_text("utf-8")
    assert text.count("\nCOMPARED = [") == 1
    own = tmp_path / "metrics.py"
    own.write_text(text.replace("\nCOMPARED = [", f"\n{ROW}COMPARED = ["), "utf-8")
    flags = ["--output_dir", tmp_path / "out", "--run_name", "a", "--n_resamples", "100"]
    flags = [*base, *flags, "--table_metrics", "youden_index", "auroc"]
    command = [sys.executable, "-c", START, own, tmp_path / "out", *flags]
    subprocess.run([*map(str, command)], check=True, capture_output=True)
    folder = tmp_path / "out" / "a"
    evaluation = strict_json(folder / "evaluation_metrics.json")
    found = evaluation["overall"]["metrics"]
    value = found["youden_index"]["value"]
    wanted = found["sensitivity"]["value"] + found["specificity"]["value"] - 1
    assert value == pytest.approx(wanted)
    assert "youden_index" in evaluation["gaps"]["skin tone"]["malignant"]["rates"]
    lines = pd.read_csv(folder / "metrics_by_group.csv")
    assert lines["youden_index"][0] == pytest.approx(value)
    for name, told in (("table.md", "Youden's index"), ("table.tex", "Youden's index")):
        table = (folder / name).read_text("utf-8")
        assert told in table and f"{value:.3f} (" in table
    assert "Youden&#39;s index" in (folder / "report.html").read_text("utf-8")
    assert f"{value:.3f}" in (tmp_path / "out" / "results.md").read_text("utf-8")
