"""Where the tone groups of a data set come from: table, method and options, and nothing else."""

import hashlib

from preparer.assign_tone_groups import main
from src.core.config import Data
from src.datasets.load import load_table
from src.datasets.tone_estimates import tone_source
from tests.datasets.small_isic import write_csv

METHOD = "estimate_ita(method=cielab, color=median, color_constancy=none)"


def source_of(folder, **settings):
    return load_table(Data(data_path=str(folder), **settings)).tone_source


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_table_says_from_which_estimates_its_groups_came(isic, tmp_path):
    """The options of the estimate reach the data set through the table that the preparer writes."""
    csv = isic / "ISIC_2020_full.csv"
    assert source_of(isic) == f"ISIC_2020_full.csv (SHA-256 {digest(csv)})"
    estimates = [
        {"image": f"ISIC_{i}.jpg", "ita": 50 - i, "valid": "true", "reason": "", "status": "ok"}
        | {"tone_source": METHOD}
        for i in range(24)
    ]
    ita = write_csv(tmp_path / "ita.csv", estimates, ",")
    output = tmp_path / "tones.csv"
    main(["--csv", str(csv), "--ita_csv", str(ita), "--output_csv", str(output)])
    told = f"tones.csv (SHA-256 {digest(output)}); {METHOD}"
    assert source_of(isic, skin_color_csv=str(output)) == told == tone_source(output)


def test_a_source_is_told_only_where_groups_are_known(isic, edit_csv):
    edit_csv(lambda rows: [row.update(group="", ita="") for row in rows])
    assert source_of(isic) == ""
    assert source_of(isic, dataset="folders") == ""


def test_a_table_of_ones_own_is_its_own_source(isic):
    rows = [
        {
            "image": str(path.relative_to(isic)),
            "label": path.parent.name,
            "group": 1,
            "split": split,
        }
        | {"tone_source": "\x1b[2J"}
        for split in ("train", "valid", "test")
        for path in sorted((isic / split).rglob("*.jpg"))
    ]
    own = write_csv(isic / "own.csv", rows, ",")
    assert source_of(isic, dataset="table(csv='own.csv')") == (
        f"own.csv (SHA-256 {digest(own)}); \\x1b[2J"
    )
