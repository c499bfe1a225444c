"""`check_fit`: what it prints, and that its advice names flags of the trainer."""

import json
import re

import pytest

from src.core.errors import UserError
from src.core.flags import ANNOTATIONS
from src.runs.fit import ADVICE, RULES
from src.scripts.check_fit import main


def test_the_verdict_is_printed_with_its_reasons(tiny_run, capsys):
    main([str(tiny_run)])
    assert capsys.readouterr().out.splitlines() == [
        f"{tiny_run}: too few epochs",
        "  only 3 epochs; a verdict needs at least 5",
        "try: more --epochs",
    ]


def test_a_file_is_as_good_as_its_folder(tiny_run, tmp_path, capsys):
    entries = json.loads((tiny_run / "training_history.json").read_text())
    longer = [entries[0] | {"epoch": i, "train_loss": None if i == 4 else 0.5} for i in range(6)]
    path = tmp_path / "other.json"
    path.write_text(json.dumps(longer))
    main([str(path)])
    assert capsys.readouterr().out.splitlines()[1] == (
        "  training loss became NaN or infinite in epoch 5 of 6"
    )


def test_every_verdict_has_advice_of_flags_that_exist():
    others = {"too few epochs", "no validation", "good fit"}
    assert set(ADVICE) == {name for name, *_ in RULES} | others
    flags = re.findall(r"--(\w+)", " ".join(ADVICE.values()))
    assert flags and set(flags) <= set(ANNOTATIONS)


def test_help_explains_the_rules(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "validation loss rose 10 % from its best" in capsys.readouterr().out


def test_a_wrong_folder_is_one_line(tmp_path):
    with pytest.raises(UserError, match="expected the folder of a run"):
        main([str(tmp_path)])
