"""docs/FLAGS.md says of every flag what its options say."""

from src.core.config import Config
from src.scripts.flag_reference import main, reference
from tests.documented import read


def test_the_page_is_that_of_the_present_options(tmp_path):
    text = read("docs/FLAGS.md")
    assert text == reference(), "python -m src.scripts.flag_reference writes it anew"
    main(["--output", str(tmp_path / "FLAGS.md")])
    assert (tmp_path / "FLAGS.md").read_text(encoding="utf-8") == text


def test_every_setting_is_in_it_once_and_no_cell_breaks_its_table():
    trainer = reference().partition("\n## run_with_submitit")[0].splitlines()
    for name in Config().flat():
        assert sum(line.startswith(f"| `--{name}`") for line in trainer) == 1, name
    lines = [line for line in reference().splitlines() if line.startswith("|")]
    assert {line.replace("\\|", "").count("|") for line in lines} == {3, 4}
    assert "| `--lr` |" in reference() and "| `ROOT`" not in reference()
