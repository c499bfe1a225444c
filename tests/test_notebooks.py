"""The notebooks run in a real kernel, what they say holds, and they are kept without output."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture
def execute(demo, tmp_path, monkeypatch):
    """A function that runs a notebook in its folder and returns it with what it shows."""
    monkeypatch.setenv("MELANOMA_DEMO_DATA", str(demo))
    monkeypatch.delenv("MPLBACKEND", raising=False)  # Streamlit sets it where it is imported
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))

    def run(name):
        notebook = nbformat.read(FOLDER / name, as_version=4)
        place = {"metadata": {"path": str(FOLDER)}}
        return NotebookClient(notebook, timeout=100, resources=place).execute()

    return run


def findings(notebook):
    """The dictionary that a notebook's last cell shows."""
    (output,) = notebook.cells[-1]["outputs"]
    return ast.literal_eval(output["data"]["text/plain"])


def text_of(notebook):
    """All that the notebook says in prose."""
    return "\n".join(cell["source"] for cell in notebook.cells if cell["cell_type"] == "markdown")


def pictures(notebook):
    """The names of the cells that show a picture."""
    shown = [(cell["id"], output) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [name for name, output in shown if "image/png" in output.get("data", {})]


def test_there_are_notebooks():
    assert [path.name for path in NOTEBOOKS] == [
        "fairness_analysis.ipynb",
        "quick_start.ipynb",
        "skin_tone_analysis.ipynb",
        "skin_tone_estimation.ipynb",
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_without_output_or_places_of_a_machine(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    code = [cell for cell in notebook.cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    for cell in code:
        assert cell["outputs"] == [] and cell["execution_count"] is None
        assert cell["metadata"] == {}
    source = path.read_text(encoding="utf-8")
    assert (
        re.findall(r'[\s"](?:/|~/|[A-Z]:\\\\)(?:home|Users|tmp|work|root|mnt|data)', source) == []
    )
    assert '\\"MELANOMA_DEMO_DATA\\", \\"../demo_data\\"' in source


def test_estimation_runs_and_says_what_is_so(execute):
    notebook = execute("skin_tone_estimation.ipynb")
    said, text = findings(notebook), text_of(notebook)
    assert (said["cielab"], said["opencv8"]) == (-72, 61)
    assert "RGB (60, 40, 30) that gives +61° where the angle is −72°" in text
    assert said["error"] <= 3
    assert said["median_to_kmeans"] <= 6
    reasons = ["", "colour cast", "vignette", "implausible colour", "too little skin"]
    assert said["reasons"] == reasons
    assert all(f"*{reason}*" in text for reason in reasons[1:])
    assert said["lost_in_the_dark"] > 8
    assert said["reasons_with_constancy"] == ["colour cast"]
    assert pictures(notebook) == ["masked"]


def test_analysis_runs_and_says_what_is_so(execute):
    notebook = execute("skin_tone_analysis.ipynb")
    said = findings(notebook)
    assert said["n_images"] == 240 and said["n_valid"] > 230
    assert "The median absolute error stays below 2 degrees" in text_of(notebook)
    assert 0 < said["median_error"] < 2
    assert "the groups agree for more than nine images in ten" in text_of(notebook)
    assert 0.9 < said["same_group"] <= 1
    assert said["very_light_by_opencv8"] == 0
    assert "more than half of the images change their group" in text_of(notebook)
    assert said["moved_by_opencv8"] > 0.5
    assert pictures(notebook) == ["figures", "strips", "overlays", "scatter", "pairs"]


def test_quick_start_runs_and_says_what_is_so(execute):
    notebook = execute("quick_start.ipynb")
    said = findings(notebook)
    assert "sees two epochs" in text_of(notebook) and said["epochs"] == 2
    assert said["n_test"] > 30 and said["n_groups"] >= 4
    assert said["sums_to"] == 1 and said["difference"] < 1e-5
    assert pictures(notebook) == ["figure"]


def test_fairness_analysis_finds_the_difference_that_is_there(execute):
    said = findings(notebook := execute("fairness_analysis.ipynb"))
    assert said["anova_p"] < 0.001 and said["kruskal_p"] < 0.01
    assert said["lightest_to_darkest_p"] < 0.01
    assert 0.2 < said["eta_squared"] < 0.9 and said["n_patients"] > 15
    assert "those of melanomas fall by 1.2 a group" in text_of(notebook)
    assert -1.8 < (said["means"][-1] - said["means"][0]) / 3 < -0.6
    assert 0.2 < said["sensitivity"] < 0.95
    assert pictures(notebook) == ["picture"]


def test_a_notebook_without_data_says_how_to_draw_it(execute, monkeypatch, tmp_path):
    monkeypatch.setenv("MELANOMA_DEMO_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(
        CellExecutionError, match="draw it with `make demo`, or set MELANOMA_DEMO_DATA"
    ):
        execute("skin_tone_estimation.ipynb")
