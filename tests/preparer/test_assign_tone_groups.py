"""Tone groups in a table: which angle and group a row gets, what moves, what stays as it was."""

import csv
import io
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from preparer.assign_tone_groups import main
from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.skin.tone import FORMER_NAMES, ita_from_rgb, ita_opencv8
from tests.datasets.small_isic import read_rows, write_csv, write_image

SCRIPT = Path(__file__).resolve().parents[2] / "preparer" / "assign_tone_groups.py"
NAMES = ["Very light", "Light", "Intermediate", "Tan and darker"]
TONES = ["ita", "fitzpatrick", "group", "group_str"]
# angle, fitzpatrick, group, group_str: each bound and what lies just above it
BOUNDS = [
    ("180", "12", "0", "Very light"),
    ("55.00000001", "12", "0", "Very light"),
    ("55", "12", "1", "Light"),
    ("48", "12", "1", "Light"),
    ("41.00000001", "12", "1", "Light"),
    ("41", "34", "2", "Intermediate"),
    ("28.5", "34", "2", "Intermediate"),
    ("28", "34", "3", "Tan and darker"),
    ("19.25", "34", "3", "Tan and darker"),
    ("19", "56", "3", "Tan and darker"),
    ("0", "56", "3", "Tan and darker"),
    ("-30", "56", "3", "Tan and darker"),
    ("-179.5", "56", "3", "Tan and darker"),
]


def estimate(image, ita, valid="true", reason="", status="ok"):
    """A row as src.scripts.estimate_ita writes it."""
    row = {"image": image, "ita": ita, "ita_spread": "1.5", "valid": valid, "reason": reason}
    return row | {"color_r": 1, "color_g": 2, "color_b": 3, "group": 0, "status": status}


@pytest.fixture
def estimates(tmp_path):
    """A function that writes the estimates of images and returns the path as text."""

    def write(*rows, name="ita.csv"):
        return str(write_csv(tmp_path / name, [estimate(*row) for row in rows], ","))

    return write


@pytest.fixture
def assign(tmp_path):
    """A function that writes rows as a table, runs the program on it and reads its output."""

    def run(rows, *flags, separator=";"):
        source = write_csv(tmp_path / "in.csv", rows, separator)
        output = tmp_path / "out.csv"
        assert main(["--csv", str(source), "--output_csv", str(output), *flags]) is None
        return read_rows(output)

    return run


def tones(row):
    return [row[column] for column in TONES]


def cells_of(line):
    return [line[start : start + 15].strip() for start in range(0, len(line), 15)]


def moves(printed, title):
    """The line with the share moved and {(before, after): rows} of the matrix under it."""
    lines = printed.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(title))
    _, *header = cells_of(lines[start + 1])
    counts = {}
    for line in lines[start + 2 : start + 2 + len(header)]:
        before, *cells = cells_of(line)
        for after, cell in zip(header, cells, strict=True):
            if cell != "0":
                counts[before, after] = int(cell.replace(",", ""))
    return lines[start], counts


@pytest.mark.parametrize("separator", [";", ","])
def test_an_angle_gives_the_categorys_cells(assign, estimates, separator):
    rows = [{"image_name": f"I{i}.jpg", "sex": "male"} for i in range(len(BOUNDS))]
    ita = estimates(*((f"train/benign/I{i}.png", angle) for i, (angle, *_) in enumerate(BOUNDS)))
    after = assign(rows, "--ita_csv", ita, separator=separator)
    sign = {";": ",", ",": "."}[separator]
    expected = [[angle.replace(".", sign), *rest] for angle, *rest in BOUNDS]
    assert [tones(row) for row in after] == expected
    assert list(after[0]) == ["image_name", "sex", *TONES, "tone_source"]
    assert {row["tone_source"] for row in after} == {"ita.csv (options not recorded)"}


def test_angle_and_group_agree_after_rounding(assign, estimates):
    """What is written is what has the group: 41.000000001 is written as 41, no more than 41."""
    after = assign([{"image_name": "a"}], "--ita-csv", estimates(("a.jpg", "41.000000001")))
    assert tones(after[0]) == ["41", "34", "2", "Intermediate"]


@pytest.mark.parametrize(
    ("separator", "own", "written"),
    [(";", "1,5", "43,25"), (";", "1.5", "43.25"), (";", "7", "43,25"), (",", "1,5", "43,25")],
)
def test_decimal_sign_is_the_tables_own(assign, estimates, separator, own, written):
    row = {"image_name": "a", "ita": own}
    ita = estimates(("a.jpg", "43.25"))
    assert assign([row], "--ita_csv", ita, separator=separator)[0]["ita"] == written


def test_types_that_people_gave_are_not_replaced(assign, tmp_path):
    rows = [{"image_name": "a", "fitzpatrick": "IV"}]
    rows[0] |= {"color_r": "200", "color_g": "160", "color_b": "140"}
    with pytest.raises(UserError, match="'fitzpatrick' holds types that people gave"):
        assign(rows)
    kept = assign([{"fitzpatrick_type": row.pop("fitzpatrick")} | row for row in rows])[0]
    assert kept["fitzpatrick_type"] == "IV"
    assert kept["group_str"] == "Light"


def test_invalid_and_missing_estimates_give_no_group(assign, estimates, capsys):
    ita = estimates(
        ("x/a.jpg", "50"),
        ("x/b.jpg", "50", "false", "little skin"),
        ("x/c.jpg", "", "", "", "truncated"),
        ("x/d.jpg", "", "False", "little skin"),
        ("x/e.jpg", "", "false"),
    )
    old = {"ita": "50", "fitzpatrick": "12", "group": "1", "group_str": "Light"}
    after = assign([{"image_name": name} | old for name in "abcdefa"], "--ita_csv", ita)
    light, unknown = ["50", "12", "1", "Light"], ["", "", "-1", ""]
    assert [tones(row) for row in after] == [light, *[unknown] * 5, light]
    printed = capsys.readouterr().out
    assert "7 rows, 2 with an angle, 4 invalid, 1 without an estimate\n" in printed
    counts = {line.strip() for line in printed.splitlines() if line.endswith("'")}
    assert counts == {"2 'little skin'", "1 'truncated'", "1 'no reason given'"}
    title, counts = moves(printed, "the table's groups -> new groups")
    assert title.endswith(": 0 of 2 (0.0 %) move")
    assert counts == {("Light", "Light"): 2, ("Light", "Unknown"): 5}


def test_reasons_are_cut_in_number_and_length(assign, estimates, capsys):
    rows = [(f"i{i}.jpg", "", "false", f"{i} {'x' * 90}\nline") for i in range(13)]
    assign([{"image_name": f"i{i}"} for i in range(13)], "--ita_csv", estimates(*rows))
    lines = capsys.readouterr().out.splitlines()[1:12]
    assert [line.split()[0] for line in lines] == ["1"] * 10 + ["3"]
    assert lines[0].endswith("xxx...'") and lines[10].endswith("of other reasons")
    assert max(map(len, lines)) < 80


def test_images_are_joined_by_stem(assign, estimates):
    ita = estimates(("train/ISIC_1.v2.png", "50"), ("ISIC_1.png", "10"))
    for column, other in (("image_id", "isic_id"), ("isic_id", "x")):
        for name in ("ISIC_1.v2", "ISIC_1.v2.JPG", "a/b/ISIC_1.v2.jpeg"):
            after = assign([{other: "ISIC_1", column: name}], "--ita_csv", ita)
            assert tones(after[0]) == ["50", "12", "1", "Light"]
            assert after[0]["image_name"] == "ISIC_1.v2"
            assert after[0][column] == name


def test_uncertain_estimates_stay_so(assign, tmp_path, estimates):
    ita = Path(estimates(("a.jpg", "50"), ("b.jpg", "1"), ("c.jpg", "2")))
    rows = pd.read_csv(ita, dtype=str).assign(uncertain=["True", "False", "True"])
    rows.to_csv(ita, index=False)
    given = [{"image_name": name, "uncertain": "True"} for name in "abd"]
    after = assign(given, "--ita_csv", str(ita))
    assert [row["uncertain"] for row in after] == ["True", "False", ""]


def test_colours_give_the_angle_of_the_method(assign, capsys):
    """Dark brown skin: -72 degrees, where earlier work has +61."""
    rows = [
        {"image_name": "a", "color_r": "60", "color_g": "40", "color_b": "30"},
        {"image_name": "b", "color_r": "", "color_g": "", "color_b": ""},
        {"image_name": "c", "color_r": "60", "color_g": "", "color_b": "30"},
    ]
    expected = {
        "cielab": (-72, "56", "3", "Tan and darker"),
        "opencv8": (61, "12", "0", "Very light"),
    }
    for flags in ([], ["--method", "cielab"], ["--method", "opencv8"]):
        after = assign(rows, *flags)
        angle, *rest = expected[flags[1] if flags else "cielab"]
        assert float(after[0]["ita"].replace(",", ".")) == pytest.approx(angle, abs=0.5)
        assert tones(after[0])[1:] == rest
        assert [tones(row) for row in after[1:]] == [["", "", "-1", ""]] * 2
    printed = capsys.readouterr().out
    assert "3 rows, 1 with an angle, 0 invalid, 2 without an estimate\n" in printed
    assert "ita is at most" not in printed  # the table has no such column
    assert "the table's groups" not in printed
    title, counts = moves(printed, "opencv8 -> cielab on the colours")
    assert title.endswith(": 1 of 1 (100.0 %) move")
    assert counts == {("Very light", "Tan and darker"): 1, ("Unknown", "Unknown"): 2}


@pytest.mark.parametrize("separator", [";", ","])
def test_only_the_tone_columns_change(tmp_path, estimates, separator):
    """Byte for byte: quotes, decimals, NA, leading zeros, empty and repeated column names."""
    header = ["", "image_name", "group", "site, exact", "age", "stage", "target", ""]
    rows = [
        ["0", "a.jpg", "2", 'left "upper"; arm', "045,0", "NA", "0", " "],
        ["1", "b.jpg", "", "Fuß\nrechts", "", "nan", "1", "x"],
    ]
    ita = estimates(("a.jpg", "50"), ("c.jpg", "1"))

    def text(header, rows):
        file = io.StringIO()
        csv.writer(file, delimiter=separator, lineterminator="\n").writerows([header, *rows])
        return file.getvalue()

    source, output = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("\ufeff" + text(header, rows), encoding="utf-8")
    main(["--csv", str(source), "--output-csv", str(output), "--ita_csv", ita])
    rows[0][2], rows[1][2] = "1", "-1"
    added = [["50", "12", "Light", "ita.csv (options not recorded)"], ["", "", "", ""]]
    rows = [[*row, *cells] for row, cells in zip(rows, added, strict=True)]
    header += ["ita", "fitzpatrick", "group_str", "tone_source"]
    assert output.read_bytes().decode("utf-8") == text(header, rows)


def group_of(angle):
    return NAMES[sum(angle <= bound for bound in (55, 41, 28))]


def chardon_of(angle):
    return sum(angle <= bound for bound in (55, 41, 28, 10, -30))


@pytest.fixture
def colored():
    """100 rows with skin-like colours, an angle and a group that do not belong together."""
    rng = np.random.default_rng(0)
    colors = rng.integers((120, 90, 60), (256, 200, 180), (100, 3)).astype(np.uint8)
    columns = ("color_r", "color_g", "color_b")
    return [
        {"image_name": f"i{i}", "ita": f"{rng.uniform(-40, 70):.3f}".replace(".", ",")}
        | dict(zip(columns, color.tolist(), strict=True))
        | {"group": ("", "-1", "0", "1", "2", "3")[i % 6]}
        for i, color in enumerate(colors)
    ]


def angles(rows, method):
    colors = [[row["color_r"], row["color_g"], row["color_b"]] for row in rows]
    return method(np.array(colors, np.uint8)).tolist()


def own_angle(row):
    return float(row["ita"].replace(",", "."))


@pytest.mark.parametrize("dropped", ["", "group", "ita"])
def test_moves_from_the_tables_groups_are_counted(assign, colored, capsys, dropped):
    """Its `group`, and where that is unknown or absent the group of its `ita`."""

    def own_group(row):
        if row.get("group", "-1") not in ("", "-1"):
            return NAMES[int(row["group"])]
        return group_of(own_angle(row)) if "ita" in row else "Unknown"

    rows = [{k: v for k, v in row.items() if k != dropped} for row in colored]
    after = assign(rows)
    new = [group_of(angle) for angle in angles(colored, ita_from_rgb)]
    assert [row["group_str"] for row in after] == new
    counts = Counter(zip(map(own_group, rows), new, strict=True))
    title, found = moves(capsys.readouterr().out, "the table's groups -> new groups")
    assert found == counts
    known = sum(n for (before, _), n in counts.items() if before != "Unknown")
    moved = known - sum(counts[name, name] for name in NAMES)
    assert 0 < moved < known and (known < 100) == (dropped == "ita")
    assert title.endswith(f": {moved} of {known} ({100 * moved / known:.1f} %) move")


def test_moves_between_the_methods_are_counted(assign, colored, estimates, capsys):
    """On the table's colours, also where the new angles come from elsewhere."""
    assign(colored, "--ita_csv", estimates(("i0.jpg", "50")))
    printed = capsys.readouterr().out
    old, new = angles(colored, ita_opencv8), angles(colored, ita_from_rgb)
    counts = Counter((group_of(a), group_of(b)) for a, b in zip(old, new, strict=True))
    title, found = moves(printed, "opencv8 -> cielab on the colours")
    assert found == counts
    moved = sum(n for (before, after), n in counts.items() if before != after)
    chardon = sum(chardon_of(a) != chardon_of(b) for a, b in zip(old, new, strict=True))
    assert len({0, moved, chardon}) == 3  # Chardon's categories are finer than the groups
    assert title.endswith(f": {moved} of 100 ({moved}.0 %) move")
    assert f"\nChardon categories: {chardon} of 100 ({chardon}.0 %) move\n" in printed


def test_own_angles_are_compared_with_opencv8(assign, colored, capsys):
    for row, angle in zip(colored, angles(colored, ita_opencv8), strict=True):
        row["ita"] = f"{angle:.8f}".replace(".", ",")
    colored[7]["ita"] = f"{angles(colored, ita_opencv8)[7] - 2.5:.8f}".replace(".", ",")
    colored[8]["ita"] = ""
    assign(colored)
    expected = "the table's ita is at most 2.5e+00 degrees from opencv8's on 99 rows\n"
    assert expected in capsys.readouterr().out


def test_two_estimates_are_compared_where_both_are_valid(assign, estimates, capsys):
    before = {"a": "50", "b": "50", "c": "30", "d": "60", "e": "-20", "g": "1"}
    after = {"a": "55", "b": "30.5", "c": "26", "d": "60", "f": "5", "g": "2"}
    other = estimates(*(("y/" + k + ".png", v, str(k != "d")) for k, v in before.items()), name="o")
    new = estimates(*((k + ".jpg", v, str(k != "g")) for k, v in after.items()))
    assign([{"image_name": k} for k in "abcdefg"], "--ita_csv", new, "--compare-csv", other)
    printed = capsys.readouterr().out
    title, counts = moves(printed, "o -> new groups")
    assert title.endswith(": 2 of 3 (66.7 %) move")
    expected = [("Light", "Light"), ("Light", "Intermediate"), ("Intermediate", "Tan and darker")]
    assert counts == dict.fromkeys(expected, 1)
    median = statistics.median([5, 19.5, 4])  # of -5, 19.5 and 4 it is another
    assert f"difference of ita: {median:.2f} degrees on 3 rows\n" in printed


def test_two_estimates_without_a_common_image_are_nan(assign, estimates, capsys):
    other, new = estimates(("a.jpg", "50"), name="o"), estimates(("b.jpg", "50"))
    assign([{"image_name": "a"}, {"image_name": "b"}], "--ita_csv", new, "--compare_csv", other)
    printed = capsys.readouterr().out
    assert moves(printed, "o -> new")[0].endswith(": 0 of 0 (nan %) move")
    assert "difference of ita: nan degrees on 0 rows\n" in printed


def test_without_an_output_there_is_a_report_only(tmp_path, colored, capsys):
    source = write_csv(tmp_path / "in.csv", colored)
    assert main(["--csv", str(source)]) is None
    printed = capsys.readouterr().out
    assert "100 rows, 100 with an angle" in printed and "written" not in printed
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_real_table_has_the_angles_of_earlier_work(real_data, tmp_path, capsys):
    source, output = real_data / "isic2020" / "ISIC_2020_full.csv", tmp_path / "out.csv"
    main(["--csv", str(source), "--output_csv", str(output), "--method", "opencv8"])
    printed = capsys.readouterr().out
    assert moves(printed, "the table's groups")[0].endswith(": 0 of 32,701 (0.0 %) move")
    title, counts = moves(printed, "opencv8 -> cielab")
    assert title.endswith(": 26,382 of 32,701 (80.7 %) move")
    assert sum(counts.values()) == 32701
    assert "Chardon categories: 27,454 of 32,701 (84.0 %) move\n" in printed
    line = printed.partition("ita is at most ")[2].partition("\n")[0]
    assert float(line.split()[0]) < 1e-6 and line.endswith("on 32,701 rows")
    before, after = read_rows(source), read_rows(output)
    differences = [abs(own_angle(a) - own_angle(b)) for a, b in zip(before, after, strict=True)]
    assert max(differences) < 1e-8
    # All but the last digits of the angles is as it was, and the source is told.
    assert {row.pop("tone_source") for row in after} == {"assign_tone_groups(method=opencv8)"}
    for row in before:
        row["group_str"] = FORMER_NAMES.get(row["group_str"], row["group_str"])
    assert [row | {"ita": ""} for row in before] == [row | {"ita": ""} for row in after]
    assert list(before[0]) == list(after[0])


@pytest.mark.parametrize("data_set", ["isic2020", "ham10000"])
def test_data_sets_read_the_table(tmp_path, assign, estimates, data_set):
    root, names = tmp_path / "data", [f"ISIC_{i}" for i in range(4)]
    isic, ham = [], []
    for i, name in enumerate(names):
        label = ("benign", "malignant")[i % 2]
        place = f"train/{label}" if data_set == "isic2020" else "images"
        write_image(root / place / f"{name}.jpg", i)
        isic.append({"image_name": f"{name}.jpg", "ita": "70", "group": "3", "target": i % 2})
        ham.append({"lesion_id": i, "image_id": name, "dx": ("nv", "mel")[i % 2]})
    write_csv(root / "HAM10000_metadata.csv", ham, ",")
    ita = [("0", "50"), ("1", "60", "false", "little skin"), ("2", "12.25")]
    found = estimates(*((f"x/ISIC_{i}.jpg", *rest) for i, *rest in ita))
    assign({"isic2020": isic, "ham10000": ham}[data_set], "--ita_csv", found)
    check_tones(DATASETS[data_set](root, str(tmp_path / "out.csv")))


def check_tones(table):
    """Image 1 has an invalid estimate, image 3 none: both are unknown, whatever stood there."""
    stems = [Path(image).stem for image in table.rows["image"]]
    rows = table.rows.set_axis(stems).loc[[f"ISIC_{i}" for i in range(4)]]
    assert rows["group"].tolist() == [1, -1, 3, -1]
    np.testing.assert_array_equal(rows["ita"], [50, np.nan, 12.25, np.nan])


WRONG_ESTIMATES = (
    ([("a.jpg", "x")], r"ita.csv: line 2: column 'ita' holds 'x': expected a number"),
    ([("a.jpg", "")], r"line 2: ita '': expected -180 to 180, since the estimate is valid"),
    ([("b.jpg", "1"), ("a.jpg", "inf")], r"line 3: ita 'inf': expected -180"),
    ([("a.jpg", "181")], r"ita '181': expected -180"),
    ([("a.jpg", "1", "yes")], r"line 2: valid 'yes': expected true or false"),
    ([("a.jpg", "1", "")], r"line 2: valid '': expected true or false"),
    ([("", "1")], r"line 2: image '': expected the path of an image"),
    ([("x/.jpg", "1")], r"line 2: image 'x/.jpg': expected the name of an image"),
    ([("x/a.jpg", "1"), ("y/a.png", "1")], r"line 3: 'a' has an estimate above: keep one"),
    ([("b\n.jpg", "1")], r"no image of .*in.csv is in it \(first: 'a' there, 'b\\n' here\)"),
)


def test_wrong_estimates_are_refused(tmp_path, assign, estimates):
    good = ["--ita_csv", estimates(("a.jpg", "1"), name="good.csv")]
    for rows, message in WRONG_ESTIMATES:
        for flags in (["--ita_csv"], [*good, "--compare_csv"]):
            with pytest.raises(UserError, match=message):
                assign([{"image_name": "a.jpg"}], *flags, estimates(*rows))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("column", ["image", "ita", "valid", "reason", "status"])
def test_missing_column_of_the_estimates_is_named(tmp_path, assign, column):
    row = {k: v for k, v in estimate("a.jpg", "1").items() if k != column}
    path = write_csv(tmp_path / "ita.csv", [row], ",")
    with pytest.raises(UserError, match=rf"ita.csv: no column '{column}' \(found: "):
        assign([{"image_name": "a"}], "--ita_csv", str(path))


COLOR = {"color_r": "1", "color_g": "2", "color_b": "3"}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "a"}, r"in.csv: expected one of the columns image_name, .* \(found: name"),
        ({"image_name": ""}, r"line 3: image_name '': expected the name of an image"),
        ({"color_b": "256"}, r"line 3: color_b '256': expected a whole number from 0 to 255"),
        ({"color_r": "-1"}, r"line 3: color_r '-1': expected a whole number"),
        ({"color_g": "1,5"}, r"line 3: color_g '1,5': expected a whole number"),
        ({"color_g": "inf"}, r"line 3: color_g 'inf': expected a whole number"),
        ({"color_g": "red"}, r"in.csv: line 3: column 'color_g' holds 'red': expected a number"),
        ({"ita": "x"}, r"in.csv: line 3: column 'ita' holds 'x': expected a number"),
        ({"group": "4"}, r"line 3: group '4': expected 0 to 3, or -1 for unknown"),
        ({"group": "0,5"}, r"line 3: group '0,5': expected 0 to 3"),
        (dict.fromkeys(COLOR, ""), r"in.csv: no colours in color_r, .* with --ita_csv"),
        ({"color_b": None}, r"in.csv: no colours in color_r, .* with --ita_csv"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, assign, capsys, row, message):
    """`row` stands below a good one; a colour that is empty or absent is so in both."""
    good = {"image_name": "a.jpg", "ita": "1", "group": "0"} | COLOR
    absent = {k: v for k, v in row.items() if k in COLOR and not v}
    rows = [good | absent, good | row]
    if "name" in row:
        rows = [{"name": "a"} | COLOR] * 2
    rows = [{k: v for k, v in cells.items() if v is not None} for cells in rows]
    with pytest.raises(UserError, match=message):
        assign(rows)
    assert not (tmp_path / "out.csv").exists()
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "--csv .*in.csv: expected a file; no such file"), (b"image_name\n\xff\n", "not a CSV")],
)
def test_unreadable_table_is_refused(tmp_path, content, message):
    source = tmp_path / "in.csv"
    if content:
        source.write_bytes(content)
    with pytest.raises(UserError, match=message):
        main(["--csv", str(source)])


def test_method_beside_estimates_is_refused(assign, estimates):
    with pytest.raises(UserError, match="leave it or --ita_csv out"):
        assign([{"image_name": "a"}], "--ita_csv", estimates(("a.jpg", "1")), "--method", "opencv8")


@pytest.mark.parametrize("place", ["in.csv", "ita.csv", "other.csv", "in.csv/out.csv"])
def test_no_input_is_overwritten(tmp_path, estimates, place, capsys):
    source = write_csv(tmp_path / "in.csv", [{"image_name": "a"}])
    ita, other = estimates(("a.jpg", "1")), estimates(("a.jpg", "2"), name="other.csv")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    flags = ["--csv", str(source), "--ita_csv", ita, "--compare_csv", other]
    with pytest.raises(UserError, match=r"is also an input|cannot be written to"):
        main([*flags, "--output_csv", str(tmp_path / place)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_command_exits_with_2_and_one_line_for_an_unknown_method(tmp_path):
    command = [sys.executable, str(SCRIPT), "--csv", "in.csv", "--method", "hsv"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: --method is 'hsv': expected cielab, opencv8")
    assert len(done.stderr.splitlines()) == 1
