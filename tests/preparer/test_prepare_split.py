"""The split maker: finds the leak, keeps patients whole and shares even, changes nothing else."""

import csv
import io
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from preparer.prepare_split import main
from src.core.errors import UserError

SCRIPT = Path(__file__).resolve().parents[2] / "preparer" / "prepare_split.py"
COLUMNS = ["image_name", "ita", "group", "patient_id", "sex", "site, exact", "target", "split"]


def cohort(n_patients=90, seed=0):
    """Rows of 1 to 5 images a patient, in a random order, split by image: it leaks."""
    rng = random.Random(seed)
    rows = []
    for patient in range(n_patients):
        group = rng.choices(range(4), [1, 5, 3, 2])[0]
        for _ in range(rng.randint(1, 5)):
            rows.append(
                [
                    f"ISIC_{len(rows):07}.jpg",
                    f"{rng.uniform(-40, 60):.8f}".replace(".", ","),
                    str(group),
                    f"IP_{patient:05}",
                    rng.choice(["female", "", "NA", " 007 "]),
                    rng.choice(["back", 'left "upper", arm', "Fuß; rechts"]),
                    str(int(rng.random() < 0.3)),
                    rng.choices(["train", "valid"], [4, 1])[0],
                ]
            )
    rng.shuffle(rows)
    return rows


def write(path, rows, separator=";", columns=COLUMNS):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, delimiter=separator, lineterminator="\n")
        writer.writerows([columns, *rows])
    return path


def read(path, separator=";"):
    text = path.read_text(encoding="utf-8")
    header, *rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    return [dict(zip(header, row, strict=True)) for row in rows]


def split_of(path):
    return {row["image_name"]: row["split"] for row in read(path)}


def run(path, output, *flags):
    return main(["--csv", str(path), "--output_csv", str(output), *flags])


@pytest.fixture
def leaky(tmp_path):
    return write(tmp_path / "in.csv", cohort())


def check_whole_and_even(rows, sizes, tolerance):
    """No shared patient; sizes within 2 points; each class x group within `tolerance` rows."""
    patients = {s: {r["patient_id"] for r in rows if r["split"] == s} for s in sizes}
    assert sum(map(len, patients.values())) == len(set().union(*patients.values()))
    in_stratum = Counter((r["target"], r["group"]) for r in rows)
    for split, size in sizes.items():
        part = [r for r in rows if r["split"] == split]
        assert len(part) / len(rows) == pytest.approx(size, abs=0.02)
        found = Counter((r["target"], r["group"]) for r in part)
        for stratum, count in in_stratum.items():
            assert abs(found[stratum] - size * count) <= tolerance(stratum), (split, stratum)


@pytest.mark.parametrize(
    ("flags", "sizes"),
    [
        ([], {"train": 0.7, "valid": 0.15, "test": 0.15}),
        (["--valid_size", "0.1", "--test_size", "0"], {"train": 0.9, "valid": 0.1}),
        (["--valid-size", "0.2", "--test-size", "0.2"], {"train": 0.6, "valid": 0.2, "test": 0.2}),
    ],
)
def test_patients_are_whole_and_shares_even(tmp_path, flags, sizes):
    assert run(write(tmp_path / "in.csv", cohort()), tmp_path / "out.csv", *flags) == 0
    rows = read(tmp_path / "out.csv")
    assert set(split_of(tmp_path / "out.csv").values()) == set(sizes)
    # A patient has up to five rows: the nearest share of a stratum is at most half of them away.
    check_whole_and_even(rows, sizes, lambda stratum: 2.5)


def test_real_table_leaks_and_its_new_split_does_not(real_data, tmp_path, capsys):
    source, output = real_data / "isic2020" / "ISIC_2020_full.csv", tmp_path / "out.csv"
    assert main(["--csv", str(source), "--audit"]) == 2
    assert "1,689 of the 1,691 valid patients are also in train\n" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"1 rows .* ISIC_7951995 in ita, color_b.*--keep_first"):
        run(source, output)
    assert not output.exists()
    capsys.readouterr()
    assert run(source, output, "--keep_first", "--valid_size", "0.2", "--test_size", "0") == 0
    assert "the image of an earlier row: 1\n" in capsys.readouterr().out
    before, rows = read(source), read(output)
    assert len(rows) == len({r["image_name"] for r in before}) == len(before) - 1
    # A patient is up to 115 rows, so no stratum can be cut exactly. Two points of its rows are
    # the tolerance of the sizes too; two rows where a stratum has under a hundred (33 and 32).
    counts = Counter((r["target"], r["group"]) for r in rows)
    sizes = {"train": 0.8, "valid": 0.2}
    check_whole_and_even(rows, sizes, lambda stratum: max(2, 0.02 * counts[stratum]))
    assert main(["--csv", str(output), "--audit"]) == 0


@pytest.mark.parametrize("separator", [";", ","])
def test_only_the_split_column_changes(tmp_path, separator):
    """Byte for byte: decimal commas, leading zeros, blanks, quotes and empty cells."""
    source = write(tmp_path / "in.csv", cohort(), separator)
    run(source, tmp_path / "out.csv")
    before, after = read(source, separator), read(tmp_path / "out.csv", separator)
    assert [r | {"split": ""} for r in after] == [r | {"split": ""} for r in before]
    assert [r["split"] for r in after] != [r["split"] for r in before]
    again = write(tmp_path / "again.csv", [list(r.values()) for r in after], separator)
    assert (tmp_path / "out.csv").read_bytes() == again.read_bytes()


def test_split_depends_on_the_seed_but_not_on_the_order_of_rows(leaky, tmp_path):
    def made(source, seed):
        output = tmp_path / "out.csv"
        run(source, output, "--seed", str(seed))
        return split_of(output)

    mixed = cohort()
    random.Random(1).shuffle(mixed)
    first = made(leaky, 0)
    assert made(leaky, 0) == first
    assert made(write(tmp_path / "mixed.csv", mixed), 0) == first
    assert made(leaky, 1) != first
    old = [[*row[:-1], "train"] for row in cohort()]
    assert made(write(tmp_path / "old.csv", old), 0) == first


def test_audit_reports_and_writes_nothing(leaky, tmp_path, capsys):
    output = tmp_path / "out.csv"
    assert run(leaky, output, "--audit") == 2
    patients = {s: {r[3] for r in cohort() if r[-1] == s} for s in ("train", "valid")}
    shared, total = len(patients["train"] & patients["valid"]), len(patients["valid"])
    assert (
        f"\n{shared} of the {total} valid patients are also in train\n" in capsys.readouterr().out
    )
    assert [p.name for p in tmp_path.iterdir()] == ["in.csv"]
    run(leaky, output)
    capsys.readouterr()
    assert main(["--csv", str(output), "--audit"]) == 0
    assert "no patient or lesion appears in more than one split" in capsys.readouterr().out


def test_audit_sees_lesions_and_split_aliases(tmp_path, capsys):
    columns = ["image_name", "target", "patient_id", "lesion_id", "split"]
    rows = [["a", 0, "", "l", "TRAIN"], ["b", 1, "", "l", "val"], ["c", 1, "p", "", "test"]]
    path = write(tmp_path / "in.csv", rows, columns=columns)
    assert main(["--csv", str(path), "--audit"]) == 2
    assert "1 of the 1 valid lesions are also in train" in capsys.readouterr().out


def test_audit_of_a_table_without_a_split_says_so(tmp_path, capsys):
    rows = [["a", 0, "p"], ["b", 1, "p"], ["c", 1, "q"]]
    path = write(tmp_path / "in.csv", rows, columns=["image_name", "target", "patient_id"])
    assert main(["--csv", str(path), "--audit"]) == 2
    assert "the table has no column 'split' or 'fold'" in capsys.readouterr().out


def test_columns_in_another_case_are_found_and_the_split_is_written_there(tmp_path, capsys):
    columns = ["IMAGE_NAME", "Target", "Patient_ID", "Split"]
    rows = [[f"i{i}", i % 2, f"p{i // 2}", ("train", "test")[i % 2]] for i in range(20)]
    path = write(tmp_path / "in.csv", rows, columns=columns)
    assert main(["--csv", str(path), "--audit"]) == 2
    assert "10 of the 10 test patients are also in train" in capsys.readouterr().out
    output = tmp_path / "out.csv"
    assert run(path, output) == 0
    assert output.read_text().partition("\n")[0] == ";".join(columns)
    assert main(["--csv", str(output), "--audit"]) == 0


def test_one_name_in_two_folders_is_two_images(tmp_path, capsys):
    rows = [[f"{2023 + i % 2}/i{i // 2}.jpg", i % 2] for i in range(20)]
    output = tmp_path / "out.csv"
    assert run(write(tmp_path / "in.csv", rows, columns=["image", "target"]), output) == 0
    assert "rows dropped as repeating the image of an earlier row: 0" in capsys.readouterr().out
    assert len(output.read_text().splitlines()) == 21


def test_counts_are_printed_before_and_after(leaky, tmp_path, capsys):
    run(leaky, tmp_path / "out.csv", "--test_size", "0")
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    tables = [i for i, line in enumerate(lines) if line[0] in ("before", "after")]
    assert [lines[i][0] for i in tables] == ["before", "after"]
    for start, path in zip(tables, (leaky, tmp_path / "out.csv"), strict=True):
        for line, split in zip(lines[start + 1 : start + 3], ("train", "valid"), strict=True):
            part = [r for r in read(path) if r["split"] == split]
            expected = [split]
            for group in (None, "0", "1", "2", "3"):
                rows = [r for r in part if group in (None, r["group"])]
                expected += [str(len(rows)), f"({sum(r['target'] == '1' for r in rows)})"]
            assert line == expected


def test_equal_rows_are_dropped_and_counted(tmp_path, capsys):
    rows = cohort()
    source = write(tmp_path / "in.csv", [*rows, rows[0], rows[7], rows[7]])
    run(source, tmp_path / "out.csv")
    assert "the image of an earlier row: 3\n" in capsys.readouterr().out
    names = [row["image_name"] for row in read(tmp_path / "out.csv")]
    assert names == [row[0] for row in rows]


@pytest.mark.parametrize(
    ("column", "value"),
    [("target", "x"), ("patient_id", "IP_other"), ("split", "x"), ("image_name", "x")],
)
def test_rows_of_an_image_that_differ_are_refused_or_the_first_is_kept(tmp_path, column, value):
    rows = cohort()
    place = COLUMNS.index(column)
    other = list(rows[4])
    flipped = {"target": str(1 - int(other[6])), "image_name": other[0].removesuffix(".jpg")}
    flipped["split"] = {"train": "valid", "valid": "train"}[other[7]]
    other[place] = flipped.get(column, value)
    source = write(tmp_path / "in.csv", [*rows, rows[4], other])
    stem = rows[4][0].removesuffix(".jpg")
    with pytest.raises(UserError, match=rf"1 rows .*\(first: {stem} in {column}\).*--keep_first"):
        run(source, tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()
    run(source, tmp_path / "out.csv", "--keep_first")
    assert [list(r.values())[:-1] for r in read(tmp_path / "out.csv")] == [r[:-1] for r in rows]


def test_rows_without_a_patient_are_counted_and_stand_alone(tmp_path, capsys):
    rows = [[*row[:3], "", *row[4:]] for row in cohort(40)]
    run(write(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    assert f"{len(rows)} rows, {len(rows)} without a patient" in capsys.readouterr().out
    assert set(split_of(tmp_path / "out.csv").values()) == {"train", "valid", "test"}


@pytest.mark.parametrize("place", ["in.csv", "link.csv", "sub/../in.csv"])
def test_input_is_never_overwritten(leaky, tmp_path, place):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.csv").symlink_to(leaky)
    before = leaky.read_bytes()
    with pytest.raises(UserError, match=r"is also an input|it is a link"):
        run(leaky, tmp_path / place)
    assert leaky.read_bytes() == before


@pytest.mark.parametrize("place", ["in.csv/out.csv", "folder"])
def test_output_that_cannot_be_written_is_refused(leaky, tmp_path, place):
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="cannot be written"):
        run(leaky, tmp_path / place)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "in.csv"]


def test_earlier_output_survives_a_write_that_fails(leaky, tmp_path, monkeypatch):
    output = tmp_path / "out.csv"
    output.write_text("earlier")

    def full(self, text, **options):
        self.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UserError, match=r"out.csv: cannot be written \(No space left on device\)"):
        run(leaky, output)
    assert output.read_text() == "earlier"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_earlier_output_is_replaced_not_written_into(leaky, tmp_path):
    output, kept = tmp_path / "out.csv", tmp_path / "kept.csv"
    output.write_text("earlier")
    kept.hardlink_to(output)
    run(leaky, output)
    assert len(read(output)) == len(cohort())
    assert kept.read_text() == "earlier"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--valid_size", "0"], "expected a sum below 1"),
        (["--valid_size", "-0.1"], "--valid_size -0.1"),
        (["--valid_size", "nan"], "--valid_size is 'nan'"),
        (["--valid_size", "0.5", "--test_size", "0.5"], "expected a sum below 1"),
        (["--test_size", "-0.1"], "--test_size -0.1"),
        (["--kfold", "1"], "--kfold 1: expected 0"),
        (["--kfold", "-1"], "--kfold -1: expected 0 or more"),
        (["--kfold", "5", "--valid_size", "0.1"], "--valid_size 0.1: leave it out with --kfold"),
        (["--seed", "-1"], "--seed -1: expected 0 to"),
        (["--seed", str(2**32)], "--seed 4294967296"),
    ],
)
def test_sizes_and_seeds_out_of_range_are_refused(leaky, tmp_path, flags, message):
    with pytest.raises(UserError, match=message):
        run(leaky, tmp_path / "out.csv", *flags)


def test_a_table_of_any_columns_gets_a_split(tmp_path, capsys):
    """Without split and target, ids spelled in two ways, lesions numbered within patients."""
    columns = ["Photo", "Outcome", "Person", "Spot"]
    rows = [
        [f"{i}.png", "ab"[i % 2], ("7", "7.0")[i % 2] if i < 4 else i, i % 4] for i in range(40)
    ]
    source = write(tmp_path / "in.csv", rows, ",", columns)
    named = ["--image_column", "Photo", "--label_column", "Outcome"]
    units = ["--patient_column", "Person", "--lesion_column", "Spot"]
    with pytest.raises(UserError, match=r"no column of images .*--image_column"):
        run(source, tmp_path / "out.csv")
    for option in ("image", "label", "patient", "lesion"):
        with pytest.raises(UserError, match=f"--{option}_column: .* no column 'x'"):
            run(source, tmp_path / "out.csv", *named, f"--{option}_column", "x")
    assert run(source, tmp_path / "out.csv", *named[:2]) == 0
    said = capsys.readouterr().out
    assert "no classes are known" in said
    assert "each image counts alone" in said
    assert run(source, tmp_path / "out.csv", *named, *units) == 0
    said = capsys.readouterr().out
    assert "no classes are known" not in said
    assert "counts alone" not in said
    found = read(tmp_path / "out.csv", ",")
    assert [[*row.values()][:4] for row in found] == [[str(cell) for cell in row] for row in rows]
    assert len({row["split"] for row in found[:4]}) == 1
    assert {row["split"] for row in found} == {"train", "valid", "test"}
    labels = {
        split: {r["Outcome"] for r in found if r["split"] == split} for split in ("valid", "test")
    }
    assert labels == {"valid": {"a", "b"}, "test": {"a", "b"}}


def test_public_tables_get_a_split(tmp_path, capsys):
    tables = {
        "one_hot": (
            ["image", "MEL", "NV", "UNK"],
            [[f"I{i}", "1.0", "0.0", "0.0"] for i in range(20)],
        ),
        "ham": (
            ["lesion_id", "image_id", "dx"],
            [[f"L{i // 2}", f"I{i}", "nv"] for i in range(20)],
        ),
        "isic_2024": (
            ["isic_id", "target", "patient_id"],
            [[f"I{i}", i % 2, i] for i in range(20)],
        ),
    }
    tables["one_hot"][1][3][1:3] = ["0.0", "1.0"]
    for name, (columns, rows) in tables.items():
        source = write(tmp_path / f"{name}.csv", rows, ",", columns)
        assert run(source, tmp_path / "out.csv") == 0
        assert "no classes are known" not in capsys.readouterr().out
        splits = {row["split"] for row in read(tmp_path / "out.csv", ",")}
        assert splits == {"train", "valid", "test"}


@pytest.mark.parametrize(("first", "second"), [("1", "1.0"), ("IP_1", "ip_1 ")])
def test_audit_sees_through_spellings_of_a_patient(tmp_path, capsys, first, second):
    columns = ["image_name", "target", "patient_id", "split"]
    rows = [["a", 0, first, "train"], ["b", 1, second, "valid"]]
    rows += [["c", 0, "unknown", "train"], ["d", 1, "unknown", "valid"], ["e", 1, "-1", "train"]]
    path = write(tmp_path / "in.csv", rows, columns=columns)
    assert main(["--csv", str(path), "--audit"]) == 2
    said = capsys.readouterr().out
    assert "1 of the 1 valid patients are also in train" in said
    assert "5 rows, 3 without a patient" in said


def test_wrong_group_is_named_with_its_line(tmp_path):
    rows = cohort()
    rows[3][2] = "6"
    stem = rows[3][0].removesuffix(".jpg")
    with pytest.raises(UserError, match=rf"{stem} \(line 5\): group 6: expected 0 to 3"):
        main(["--csv", str(write(tmp_path / "in.csv", rows)), "--audit"])


@pytest.mark.slow
def test_command_exits_with_2_and_one_line_without_an_output(leaky):
    command = [sys.executable, str(SCRIPT), "--csv", str(leaky)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=leaky.parent)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no output: give --output_csv FILE, or --audit")
    assert len(done.stderr.splitlines()) == 1


def test_folds_keep_patients_whole_and_train_as_they_are(leaky, tmp_path, capsys):
    """A fold of before, and the split of before, leave no trace."""
    output = tmp_path / "out.csv"
    assert run(leaky, output, "--kfold", "4", "--test_size", "0.2") == 0
    assert "fold" in capsys.readouterr().out
    rows = read(output)
    assert {row["fold"] for row in rows if row["split"] == "test"} == {""}
    assert {row["fold"] for row in rows if row["split"] == "valid"} == {"0"}
    assert {row["fold"] for row in rows if row["split"] == "train"} == {"1", "2", "3"}
    homes = {}
    for row in rows:
        homes.setdefault(row["patient_id"], set()).add((row["split"], row["fold"]))
    assert max(map(len, homes.values())) == 1
    as_splits = [row | {"split": row["fold"] or "test"} for row in rows]
    check_whole_and_even(as_splits, dict.fromkeys("0123", 0.2) | {"test": 0.2}, lambda _: 4)
    assert main(["--csv", str(output), "--audit"]) == 0
    assert "no patient or lesion appears in more than one split or fold" in capsys.readouterr().out
    # folds that leak are told, and a new split without folds has none
    folded = [row | {"split": ""} for row in rows if row["fold"]]
    often = Counter(row["patient_id"] for row in folded).most_common(1)[0][0]
    row = next(row for row in folded if row["patient_id"] == often)
    row["fold"] = str((int(row["fold"]) + 1) % 4)
    crossed = [list(row.values()) for row in folded]
    path = write(tmp_path / "crossed.csv", crossed, columns=[*rows[0]])
    assert main(["--csv", str(path), "--audit"]) == 2
    assert "1 of 71 patients are in several folds" in capsys.readouterr().out
    assert run(output, tmp_path / "plain.csv") == 0
    assert "fold" not in read(tmp_path / "plain.csv")[0]


def test_folds_may_leave_the_tables_own_test_set_as_it_is(tmp_path):
    rows = [[f"{i}.jpg", f"p{i // 2}", str(i % 2), "test" if i < 10 else "x"] for i in range(60)]
    rows = [[*cells[:3], cells[3].replace("x", "")] for cells in rows]
    path = write(tmp_path / "in.csv", rows, columns=["image", "patient_id", "target", "split"])
    assert run(path, tmp_path / "out.csv", "--kfold", "5", "--test_size", "0") == 0
    found = read(tmp_path / "out.csv")
    assert [row["split"] == "test" for row in found] == [i < 10 for i in range(60)]
    assert Counter(row["fold"] for row in found) == dict.fromkeys("01234", 10) | {"": 10}
