"""Search spaces: every line becomes its distribution, or is refused in one line."""

import pytest

from src.core.config import Config
from src.core.errors import UserError
from src.sweeps.search_space import Choices, Range, read_space
from src.sweeps.trials import check_space


@pytest.fixture
def space_of(tmp_path):
    """Read a text as the file of a search space."""

    def read(text):
        path = tmp_path / "space.yaml"
        path.write_text(text, encoding="utf-8")
        return read_space(path)

    return read


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("lr: {low: 1e-5, high: 1e-2, log: true}", Range(1e-5, 1e-2, True, False)),
        ("dropout: {low: 0, high: 0.5}", Range(0, 0.5, False, False)),
        ("epochs: {low: 3, high: 10, int: true}", Range(3, 10, False, True)),
        ("batch-size: {low: 8, high: 64, log: yes}", Range(8, 64, True, True)),
        ("drop_path: {low: 0, high: 0.5, log: false}", Range(0, 0.5, False, False)),
        ("batch_size: {choices: [16, 32]}", Choices((16, 32))),
        ("pretrained: {choices: [yes, no]}", Choices((True, False))),
        ("clip_grad: {choices: [null, 1]}", Choices((None, 1.0))),
        ('objective: {choices: ["focal(gamma=1.5)", ohem]}', Choices(("focal(gamma=1.5)", "ohem"))),
    ],
)
def test_a_line_is_its_distribution(space_of, line, expected):
    assert space_of(line) == {line.partition(":")[0].replace("-", "_"): expected}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rat: {low: 0, high: 1}", "unknown key 'learning_rat'"),
        ("droput: {low: 0, high: 1}", "unknown key 'droput'; did you mean 'dropout'"),
        ("lr: {low: 0, hihg: 1}", "lr has no option 'hihg'; did you mean 'high'"),
        ("lr: {low: 1e-5}", "lr has no 'high': expected {low: 1e-5, high: 1e-2, log: true} or"),
        ("lr: {low: 1, high: 1}", "low 1.0, high 1.0: expected low below high"),
        ("lr: {low: 0, high: 1, log: true}", "low 0.0: expected more than 0 with log: true"),
        ("lr: {low: a, high: 1}", "lr: low is 'a': expected a number"),
        ("epochs: {low: 1.5, high: 3}", "epochs: low is '1.5': expected a whole number"),
        ("lr: {low: 0.5, high: 3, int: true}", "expected whole numbers with int: true"),
        ("lr: {low: 1, high: 3, log: maybe}", "lr: log is 'maybe': expected true or false"),
        ("lr: 1e-3", "lr is '1e-3': expected {low: 1e-5"),
        ("opt: {low: 1, high: 2}", "opt is not a number: expected {choices: [...]}"),
        ("pretrained: {low: 0, high: 1}", "pretrained is not a number"),
        ("opt: {choices: adamw}", "choices is 'adamw': expected a list"),
        ("opt: {choices: []}", "choices is '[]': expected a list"),
        ("opt: {choices: [sgd, sgd]}", "opt: a choice is given twice"),
        ("batch_size: {choices: [a]}", "batch_size: choices is 'a': expected a whole number"),
        ("batch_size: {choices: [[1]]}", "expected a whole number"),
        ("lr: {choices: [1], low: 2}", "expected choices, or low and high, not both"),
        ("run_name: {choices: [a, b]}", "'run_name' cannot be searched"),
        ("split_seed: {low: 0, high: 9}", "'split_seed' cannot be searched"),
        ("lr: {low: 0, high: 1}\nlr: {low: 0, high: 1}", "'lr' is given twice"),
        ("lr: {low: 0, low: 1}", "'low' is given twice"),
        ("", "expected lines such as 'lr: {low"),
        ("- lr", "expected lines such as"),
        ("{", "not YAML"),
        (
            f"lr: {{choices: [{', '.join(map(str, range(1, 102)))}]}}",
            "lr: 101 choices: expected at most",
        ),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "line 2: *a: expected the value itself"),
        ('lr: {choices: ["1\\0"]}', "expected a number in UTF-8"),
        ("a: [" * 3000, "not YAML"),
    ],
)
def test_anything_else_is_refused_in_one_line(space_of, text, message):
    with pytest.raises(UserError) as error:
        space_of(text)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_no_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"nowhere\.yaml: expected a file; no such file"):
        read_space(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("objective: {choices: [ohem, focall]}", "--space: objective: .*did you mean 'focal'"),
        (
            "dropout: {low: 0.5, high: 1}",
            "--space: dropout: --dropout 1.0: expected 0 or more, less than 1",
        ),
        ("epochs: {low: 0, high: 3}", "--space: epochs: --epochs 0: expected 1 or more"),
    ],
)
def test_bounds_and_choices_that_no_run_takes_are_refused(space_of, line, message):
    with pytest.raises(UserError, match=message):
        check_space(Config(), space_of(line))
