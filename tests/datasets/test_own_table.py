"""Tables of others, as they are published: columns, labels, images and what is told of them."""

import logging

import pytest

from src.core.config import Data
from src.core.errors import UserError
from src.datasets.adapters import DATASETS
from src.datasets.load import load_table
from src.datasets.table import split_csv
from tests.datasets.small_isic import write_csv, write_image


def build(text, path):
    return DATASETS.build(text, data_path=path, skin_color_csv="")


def told(text, path):
    with pytest.raises(UserError) as error:
        build(text, path)
    assert str(error.value).isprintable()
    return str(error.value)


def names(table):
    return [table.classes[label] for label in table.labels]


def draw(root, *paths):
    for path in paths:
        write_image(root / path)


def lay_out(root, cells, files, name="t.csv", separator=","):
    """A table with these rows, and its images."""
    write_csv(root / name, cells, separator)
    draw(root, *files)
    return root


def test_ddi_as_published(tmp_path):
    cells = [
        {"": i, "DDI_ID": i, "DDI_file": f"{i:06}.png", "skin_tone": tone, "malignant": truth}
        | {"disease": "nevus"}
        for i, (tone, truth) in enumerate([(12, "True"), (34, "False"), (56, "False")])
    ]
    lay_out(tmp_path, cells, [f"images/{i:06}.png" for i in range(3)], "ddi_metadata.csv")
    plain = build("table(csv='ddi_metadata.csv', label='malignant')", tmp_path)
    named = build("table(csv='ddi_metadata.csv', label='malignant', group='skin_tone')", tmp_path)
    source = "Fitzpatrick types in column skin_tone of ddi_metadata.csv"
    for table in (plain, named):
        assert (table.classes, table.positive) == (("False", "True"), 1)
        assert names(table) == ["True", "False", "False"]
        assert table.bad == ()
        assert table.groups == ("Fitzpatrick I–II", "Fitzpatrick III–IV", "Fitzpatrick V–VI")
        assert table.group_indices.tolist() == [0, 1, 2]
        assert table.tone_source.startswith(source)
    assert "label='malignant'" in told("table(csv='ddi_metadata.csv')", tmp_path)


def test_isic_2019_as_published(tmp_path, caplog):
    classes = ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC", "UNK"]
    ids = ["ISIC_0000000", "ISIC_0000002_downsampled", "ISIC_0000003", "ISIC_0000004"]
    truth = dict(zip(ids, ["NV", "MEL", "NV", "UNK"], strict=True))
    cells = [{"image": i} | {c: f"{float(truth[i] == c)}" for c in classes} for i in ids]
    lesions = [
        {"image": i, "age_approx": "", "anatom_site_general": "", "lesion_id": lesion, "sex": ""}
        for i, lesion in zip(ids, ["L1", "L1", "", ""], strict=True)
    ]
    write_csv(tmp_path / "meta.csv", lesions, ",")
    files = ["ISIC_0000000", "ISIC_0000002_downsampled", "ISIC_0000003_downsampled", "ISIC_0000004"]
    lay_out(tmp_path, cells, [f"ISIC_2019_Training_Input/{file}.jpg" for file in files])
    with caplog.at_level(logging.INFO):
        table = build("table(csv='t.csv', metadata='meta.csv')", tmp_path)
    assert (table.classes, table.positive) == (("NV", "MEL"), 1)
    assert names(table) == ["NV", "MEL", "NV"]
    assert table.rows["lesion_id"].tolist() == ["L1", "L1", ""]
    assert "1 of 4 rows left out: unknown class" in caplog.text
    assert "without an image left out: BCC, AK, BKL, DF, VASC, SCC" in caplog.text
    chosen = build("table(csv='t.csv', label=['NV', 'MEL', 'UNK'], positive='nv')", tmp_path)
    assert (chosen.classes, chosen.classes[chosen.positive]) == (("MEL", "NV"), "NV")
    assert "line 5 has 0 of the classes NV, MEL" in told(
        "table(csv='t.csv', label=['NV', 'MEL'])", tmp_path
    )
    assert "no column 'XX'" in told("table(csv='t.csv', label=['NV', 'XX'])", tmp_path)
    cells[1]["NV"] = "1"
    write_csv(tmp_path / "t.csv", cells, ",")
    assert "line 3 has 2 of the classes MEL, NV" in told(
        "table(csv='t.csv', label=['MEL', 'NV', 'UNK'])", tmp_path
    )


def test_isic_2020_as_published(tmp_path):
    cells = [
        {"image_name": f"ISIC_{i}", "patient_id": f"IP_{i // 2}", "sex": "male", "age_approx": "45"}
        | {"anatom_site_general_challenge": "torso", "diagnosis": "unknown"}
        | {"benign_malignant": ("benign", "malignant")[i % 2], "target": i % 2}
        for i in range(4)
    ]
    lay_out(tmp_path, cells, [f"jpeg/train/ISIC_{i}.jpg" for i in range(4)], "train.csv")
    for text in (
        "siim",
        "table(csv='train.csv', label='benign_malignant', images='jpeg/train')",
        "table(csv='train.csv', label='benign_malignant', images=['jpeg/train'])",
    ):
        table = build(text, tmp_path)
        assert names(table) == ["benign", "malignant"] * 2
        assert table.rows["patient_id"].tolist() == ["IP_0", "IP_0", "IP_1", "IP_1"]
    zero = build("table(csv='train.csv', label='target', images='jpeg/train')", tmp_path)
    assert (zero.classes, zero.positive) == (("0", "1"), 1)
    for words in (("False", "True"), ("no", "YES")):
        write_csv(tmp_path / "train.csv", [c | {"target": words[c["target"]]} for c in cells], ",")
        assert names(build("siim", tmp_path)) == ["benign", "malignant"] * 2


def test_isic_2024_as_published(tmp_path):
    cells = [
        {
            "isic_id": f"ISIC_{i}",
            "target": i % 2,
            "patient_id": f"IP_{i}",
            "age_approx": "",
            "sex": "",
        }
        for i in range(3)
    ]
    lay_out(tmp_path, cells, [f"image/ISIC_{i}.jpg" for i in range(3)], "train-metadata.csv")
    table = build("table(csv='train-metadata.csv', label='target', positive=1)", tmp_path)
    assert names(table) == ["0", "1", "0"]
    assert len(set(table.rows["patient_id"])) == 3


@pytest.mark.parametrize(
    ("name", "separator", "suffix"),
    [
        ("HAM10000_metadata.csv", ",", ""),
        ("HAM10000_metadata.tab", "\t", ""),
        ("HAM10000_metadata", ",", ".jpg"),
    ],
)
def test_ham10000_as_published(tmp_path, name, separator, suffix):
    cells = [
        {"lesion_id": f"HAM_{i // 2}", "image_id": f"ISIC_{i}{suffix}", "dx": ("nv", " MEL")[i % 2]}
        | {"dx_type": "histo", "age": "80.0", "sex": "male", "localization": "scalp"}
        for i in range(4)
    ]
    files = [f"HAM10000_images_part_{i % 2 + 1}/ISIC_{i}.jpg" for i in range(4)]
    lay_out(tmp_path, cells, files, name, separator)
    for text in ("ham10000", f"table(csv='{name}', label='dx')"):
        table = build(text, tmp_path)
        assert sorted(map(str.casefold, map(str.strip, names(table)))) == ["mel"] * 2 + ["nv"] * 2
        assert table.bad == ()
        assert sorted(table.rows["lesion_id"]) == ["HAM_0", "HAM_0", "HAM_1", "HAM_1"]
        assert table.classes[table.positive].casefold() == "mel"


def test_pad_ufes_20_as_published(tmp_path):
    cells = [
        {"patient_id": f"PAT_{i // 2}", "lesion_id": f"{i}", "smoke": "", "fitspatrick": t}
        | {"diagnostic": d, "img_id": f"PAT_{i}.png", "biopsed": "True"}
        for i, (t, d) in enumerate([("3.0", "NEV"), ("", "MEL"), ("", "BCC"), ("1.0", "NEV")])
    ]
    files = [f"imgs_part_{i % 3 + 1}/PAT_{i}.png" for i in range(4)]
    lay_out(tmp_path, cells, files, "metadata.csv")
    for images in ("", ", images=['imgs_part_1', 'imgs_part_2', 'imgs_part_3']"):
        table = build(f"table(csv='metadata.csv', label='diagnostic'{images})", tmp_path)
        assert sorted(names(table)) == ["BCC", "MEL", "NEV", "NEV"]
        assert (table.classes[table.positive], len(table), table.bad) == ("MEL", 4, ())
        tones = dict(zip(table.rows["image"].str[-5], table.group_indices, strict=True))
        assert tones == {"0": 2, "1": -1, "2": -1, "3": 0}
        assert table.groups[5] == "Fitzpatrick VI"


def test_fitzpatrick17k_as_published(tmp_path):
    cells = [
        {"md5hash": f"{i:032x}", "fitzpatrick_scale": s, "fitzpatrick_centaur": -1, "label": "acne"}
        | {
            "nine_partition_label": "x",
            "three_partition_label": d,
            "qc": "",
            "url": "",
            "url_alphanum": "",
        }
        for i, (s, d) in enumerate([(-1, "benign"), (6, "malignant"), (2, "non-neoplastic")])
    ]
    lay_out(tmp_path, cells, [f"images/{i:032x}.jpg" for i in range(3)])
    table = build("table(csv='t.csv', label='three_partition_label')", tmp_path)
    assert (len(table), table.classes[table.positive]) == (3, "malignant")
    assert table.group_indices.tolist() == [-1, 5, 1]  # fitzpatrick_centaur names none
    assert build("table(csv='t.csv')", tmp_path).classes == ("acne",)


def test_columns_have_any_name_and_are_suggested(tmp_path):
    cells = [
        {"Photo": f"{i}.jpg", "Outcome": "ab"[i % 2], "Person": f"{i}.0", "Spot": 1, "Tone": i}
        | {"Angle": "10,5", "Part": ("Train ", "VAL")[i % 2], "Fold": i % 2, "Outline": f"{i}.png"}
        for i in range(4)
    ]
    lay_out(tmp_path, cells, [f"{i}.jpg" for i in range(4)], separator=";")
    draw(tmp_path, *(f"masks/{i}.png" for i in range(4)))
    options = "label='Outcome', patient='Person', lesion='Spot', group='Tone', ita='Angle'"
    options += ", split='Part', fold='Fold', mask='Outline', positive='A'"
    table = build(f"table(csv='t.csv', image='Photo', {options})", tmp_path)
    rows = table.rows
    assert (table.classes, table.positive) == (("b", "a"), 1)
    assert rows["patient_id"].tolist() == ["0", "1", "2", "3"]
    assert rows["group"].tolist() == [0, 1, 2, 3]
    assert rows["ita"].tolist() == [10.5] * 4
    assert rows["split"].tolist() == ["train", "valid"] * 2
    assert rows["fold"].tolist() == [0, 1, 0, 1]
    assert rows["mask"].tolist() == [str(tmp_path / "masks" / f"{i}.png") for i in range(4)]
    assert "image='Photo'" in told("table(csv='t.csv', label='Outcome')", tmp_path)
    assert "label='Outcome'" in told("table(csv='t.csv', image='Photo')", tmp_path)
    given = "table(csv='t.csv', image='Photo', label='Outcome', "
    for option in ("patient", "lesion", "group", "ita", "split", "fold", "mask"):
        assert f"{option}='nope': no such column" in told(f"{given}{option}='nope')", tmp_path)
    assert "image='photo'" in told("table(csv='t.csv', image='photo', label='Outcome')", tmp_path)
    assert "did you mean 'Outcome'" in told(
        "table(csv='t.csv', image='Photo', label='outcom')", tmp_path
    )
    assert "positive='c'" in told(f"{given}positive='c')", tmp_path)
    assert "images" in told(f"{given}images=['nowhere'])", tmp_path)
    assert "none of the images" in told_metadata(tmp_path, given)


def told_metadata(tmp_path, given):
    write_csv(tmp_path / "m.csv", [{"image": "other", "age": 4}], ",")
    return told(f"{given}metadata='m.csv')", tmp_path)


def test_images_are_found_wherever_one_reader_finds_them(tmp_path):
    draw(tmp_path, "images/a.jpg", "images/b.jpg", "part_1/a.jpg", "part_2/b.jpg", "in/c d.TIF")
    ways = [
        (["images\\a.jpg", "images\\b.jpg"], "", ["images/a.jpg", "images/b.jpg"]),
        (["a", "b"], "", ["images/a.jpg", "images/b.jpg"]),
        (["a.png", " b.jpg "], "", ["images/a.jpg", "images/b.jpg"]),
        (["a", "b"], ", images=['part_1', 'part_2']", ["part_1/a.jpg", "part_2/b.jpg"]),
        (["part_1/a", "part_2\\b.jpg"], "", ["part_1/a.jpg", "part_2/b.jpg"]),
        (["a", "c d"], "", ["images/a.jpg", "in/c d.TIF"]),
        ([str(tmp_path / "part_1" / "a.jpg"), "b"], "", ["part_1/a.jpg", "images/b.jpg"]),
    ]
    (tmp_path / "in" / "c d.TIF").write_bytes((tmp_path / "images" / "a.jpg").read_bytes())
    for cells, option, expected in ways:
        rows = [{"image": cell, "label": "xy"[i]} for i, cell in enumerate(cells)]
        write_csv(tmp_path / "t.csv", rows, ",")
        table = build(f"table(csv='t.csv'{option})", tmp_path)
        assert set(table.rows["image"]) == {str(tmp_path / path) for path in expected}
    write_csv(tmp_path / "t.csv", [{"image": "a.jpg", "label": "x"}], ",")
    both = told("table(csv='t.csv', images=['images', 'part_1'])", tmp_path)
    assert "two images have this name" in both
    # a name with its suffix is looked for everywhere before others with its stem
    draw(tmp_path, "a.png")
    assert build("table(csv='t.csv')", tmp_path).rows["image"][0].endswith("images/a.jpg")
    # beside the CSV, where that is not in the data's folder
    elsewhere = tmp_path / "elsewhere"
    draw(elsewhere, "pictures/e.jpg")
    write_csv(elsewhere / "t.csv", [{"image": "e", "label": "x"}], ",")
    found = build(f"table(csv={str(elsewhere / 't.csv')!r})", tmp_path / "images").rows["image"]
    assert found.tolist() == [str(elsewhere / "pictures" / "e.jpg")]


def test_ids_with_and_without_downsampled_are_told_apart(tmp_path):
    rows = [
        {"image": f"I_{i}{end}", "label": "xy"[i % 2]} for i, end in enumerate(["", "_downsampled"])
    ]
    rows += [{"image": "I_1", "label": "x"}]
    lay_out(tmp_path, rows, ["I_0_downsampled.jpg", "I_1_downsampled.jpg"])
    table = build("table(csv='t.csv')", tmp_path)
    assert len(table) == 2
    assert [name for name, _ in table.bad] == ["I_1"]


def test_no_image_found_is_one_line(tmp_path):
    rows = [{"image": f"gone/I{i:03}.jpg", "label": "xy"[i % 2]} for i in range(40)]
    lay_out(tmp_path, rows, ["images/other.jpg"])
    message = told("table(csv='t.csv')", tmp_path)
    assert message.startswith("40 bad images")
    assert "gone/I000.jpg" in message
    assert "images=[" in message


def test_spellings_of_a_class_are_one_and_named(tmp_path, caplog):
    written = ["melanoma", "melanoma ", "Melanoma", "nevus", "nevus", "melanoma"]
    rows = [{"image": f"{i}.jpg", "label": label} for i, label in enumerate(written)]
    lay_out(tmp_path, rows, [f"{i}.jpg" for i in range(6)])
    with caplog.at_level(logging.WARNING):
        table = build("table(csv='t.csv')", tmp_path)
    assert (table.classes, table.positive) == (("nevus", "melanoma"), 1)
    assert names(table) == ["melanoma"] * 3 + ["nevus"] * 2 + ["melanoma"]
    assert all(f"'{text}'" in caplog.text for text in written[:3])


def test_spellings_of_a_class_folder_are_one_and_named(tmp_path, caplog):
    draw(tmp_path, "train/Melanoma/a.jpg", "train/nevus/b.jpg", "test/melanoma/c.jpg")
    draw(tmp_path, "test/Nevus /d.jpg", "train/nevus/older/e.png", "other/nevus/f.jpg")
    (tmp_path / "train" / "nevus" / "movie.mp4").touch()
    with caplog.at_level(logging.WARNING):
        table = build("folders", tmp_path)
    assert [name.casefold() for name in table.classes] == ["nevus", "melanoma"]
    assert len(table) == 5
    assert "'Melanoma', 'melanoma'" in caplog.text
    assert "1 file left out (1 .mp4): train/nevus/movie.mp4" in caplog.text
    assert "no split are left out: other" in caplog.text


def test_classes_that_are_numbers_go_round_trip(tmp_path, caplog):
    rows = [{"image": f"{i:02}.jpg", "label": label} for i, label in enumerate([*range(11), "1.0"])]
    lay_out(tmp_path, rows, [f"{i:02}.jpg" for i in range(12)])
    table = build("table(csv='t.csv', positive=0)", tmp_path)
    assert table.classes == tuple(map(str, range(11)))
    assert table.positive == 0
    assert table.labels.tolist() == [*range(11), 1]
    with caplog.at_level(logging.INFO):
        assert build("table(csv='t.csv')", tmp_path).positive == 10
    assert "The class to detect is 10" in caplog.text
    (tmp_path / "split.csv").write_text(
        split_csv(table.with_rows(table.rows.assign(split="train")), "train", str(tmp_path))
    )
    back = build("table(csv='split.csv', positive='0')", tmp_path)
    assert (back.classes, back.positive) == (table.classes, 0)
    assert back.labels.tolist() == table.labels.tolist()
    two = build("table(csv='two.csv', positive='0')", lay_out(tmp_path, rows[:2], [], "two.csv"))
    assert (two.classes, two.positive, two.labels.tolist()) == (("1", "0"), 1, [1, 0])


def test_names_that_are_words_or_formulas_stay_names(tmp_path):
    rows = [
        {"image": "NA.jpg", "label": "None", "patient_id": "=1+1"},
        {"image": "b.jpg", "label": "NA", "patient_id": "NA"},
    ]
    lay_out(tmp_path, rows, ["NA.jpg", "b.jpg"])
    table = build("table(csv='t.csv')", tmp_path)
    assert sorted(names(table)) == ["NA", "None"]
    assert table.rows["patient_id"].tolist() == ["=1+1", ""]
    text = split_csv(table.with_rows(table.rows.assign(split="train")), "train", str(tmp_path))
    assert "'=1+1" in text
    (tmp_path / "split.csv").write_text(text)
    assert build("table(csv='split.csv')", tmp_path).rows["patient_id"].tolist() == ["=1+1", ""]


def test_one_bad_cell_blames_its_line(tmp_path):
    rows = [{"image_name": f"{i}", "image": f"{i}", "target": 0, "label": "x"} for i in range(50)]
    lay_out(tmp_path, rows, ["jpeg/train/0.jpg"], "train.csv")
    for change, data_set in [
        ({"target": "7"}, "siim"),
        ({"target": ""}, "siim"),
        ({"label": " "}, "table(csv='train.csv')"),
        ({"image": ""}, "table(csv='train.csv')"),
    ]:
        changed = [row | (change if i == 39 else {}) for i, row in enumerate(rows)]
        write_csv(tmp_path / "train.csv", changed, ",")
        assert "line 41" in told(data_set, tmp_path), change


def test_columns_that_are_no_classes_are_refused(tmp_path):
    rows = [{"image": f"{i}", "label": f"remark {i}", "dx": "nv"} for i in range(300)]
    lay_out(tmp_path, rows, ["0.jpg"])
    assert "300 different values" in told("table(csv='t.csv')", tmp_path)
    with pytest.raises(UserError, match="299 bad images, expected at most 0"):
        load_table(Data(dataset="table(csv='t.csv', label='dx')", data_path=str(tmp_path)))


def test_columns_in_another_case_are_used(tmp_path):
    cells = [
        {"Image": f"{i}.jpg", "LABEL": "xy"[i % 2], "Patient_ID": f"p{i // 2}", "Split": part}
        for i, part in enumerate(["train"] * 4 + ["test"] * 4)
    ]
    lay_out(tmp_path, cells, [f"{i}.jpg" for i in range(8)])
    table = build("table(csv='t.csv')", tmp_path)
    assert table.rows["split"].tolist() == [cell["Split"] for cell in cells]
    assert table.rows["patient_id"].nunique() == 4
    named = build("table(csv='t.csv', image='Image', label='LABEL', patient='Image')", tmp_path)
    assert named.rows["patient_id"].nunique() == 8


def test_images_of_one_name_in_two_folders_have_their_own_metadata(tmp_path, caplog):
    paths = [f"{year}/{name}.jpg" for year in (2023, 2024) for name in "ab"]
    cells = [{"image": path, "label": "xy"[i % 2]} for i, path in enumerate(paths)]
    lay_out(tmp_path, cells, paths)
    write_csv(tmp_path / "m.csv", [{"image": p, "patient_id": p} for p in paths])
    table = build("table(csv='t.csv', metadata='m.csv')", tmp_path)
    assert table.rows["patient_id"].tolist() == paths
    write_csv(tmp_path / "m.csv", [{"image": p, "patient_id": p} for p in paths[:2]])
    with caplog.at_level(logging.WARNING):
        table = build("table(csv='t.csv', metadata='m.csv')", tmp_path)
    assert table.rows["patient_id"].tolist() == [*paths[:2], "", ""]
    assert "no row for 2 of 4 images" in caplog.text


def test_metadata_are_joined_in_any_spelling_of_the_images(tmp_path):
    cells = [{"image": f"I{i}", "label": "xy"[i % 2]} for i in range(4)]
    lay_out(tmp_path, cells, [f"I{i}.jpg" for i in range(4)])
    more = [{"image": f" i{i}.JPG", "patient_id": f"p{i}"} for i in range(4)]
    write_csv(tmp_path / "m.csv", more)
    table = build("table(csv='t.csv', metadata='m.csv')", tmp_path)
    assert table.rows["patient_id"].tolist() == ["p0", "p1", "p2", "p3"]
    write_csv(tmp_path / "m.csv", [{"image": "other", "patient_id": "p"}])
    assert "m.csv: none of the images of the table is in its column 'image'" in told(
        "table(csv='t.csv', metadata='m.csv')", tmp_path
    )


def test_one_image_under_two_paths_is_repeated_and_numbers_find_their_files(tmp_path):
    names = ["images/1.jpg", "images/../images/1.jpg"]
    cells = [{"image": name, "label": label} for name, label in zip(names, "xy", strict=True)]
    lay_out(tmp_path, cells, ["images/1.jpg", "images/2.jpg"])
    assert "repeat an image" in told("table(csv='t.csv')", tmp_path)
    cells = [{"image": f"{i}.0", "label": "xy"[i - 1]} for i in (1, 2)]
    write_csv(tmp_path / "t.csv", cells)
    table = build("table(csv='t.csv')", tmp_path)
    assert [path[-5:] for path in table.rows["image"]] == ["1.jpg", "2.jpg"]


def test_links_to_nothing_in_class_folders_are_bad_images(tmp_path):
    draw(tmp_path, *(f"{name}/{i}.jpg" for name in "ab" for i in range(10)))
    for i in range(2):
        (tmp_path / "a" / f"gone{i}.jpg").symlink_to("nowhere")
    data = {"dataset": "folders", "data_path": str(tmp_path)}
    with pytest.raises(UserError, match="2 bad images, expected at most 0"):
        load_table(Data(**data))
    table = load_table(Data(**data, max_bad_images=2))
    assert (len(table), len(table.bad)) == (20, 2)


def with_labels(root, labels, **more):
    cells = [
        {"image": f"{i}.jpg", "label": label} | {name: of[i] for name, of in more.items()}
        for i, label in enumerate(labels)
    ]
    return lay_out(root, cells, [f"{i}.jpg" for i in range(len(labels))])


@pytest.mark.parametrize("word", ["unknown", "n/a", "?", "missing", "-1", "nan", "Not available"])
def test_a_label_that_names_nobody_is_no_class(tmp_path, word):
    for labels in (["x", word, "y", "x"], ["0", word, "1", "0"]):
        with_labels(tmp_path, labels)
        message = told("table(csv='t.csv')", tmp_path)
        assert "line 3: label" in message and "skip_unlabelled=True" in message
        table = build("table(csv='t.csv', skip_unlabelled=True)", tmp_path)
        assert table.unlabelled == ("1.jpg",)
        assert table.classes == tuple(sorted({*labels} - {word}))


def test_names_that_look_like_nothing_stay_classes(tmp_path, caplog):
    for labels in (["-1", "1.0", "-1.0", "1"], ["None", "NA", "None", "mel"]):
        with_labels(tmp_path, labels)
        for options in ("", ", skip_unlabelled=True"):
            table = build(f"table(csv='t.csv'{options})", tmp_path)
            assert len(table) == 4
            assert {*table.classes} == {label.removesuffix(".0") for label in labels}
    assert "None and NA taken as the name of a class" in caplog.text
    cells = [
        {"image": f"{i}.jpg"} | {c: int(i % 3 == j) for j, c in enumerate(["None", "nan", "m"])}
        for i in range(3)
    ]
    write_csv(tmp_path / "t.csv", cells)
    assert build("table(csv='t.csv')", tmp_path).classes == ("None", "m", "nan")


def test_spellings_of_a_truth_are_one(tmp_path):
    with_labels(tmp_path, ["True", "1", "0", "false"])
    assert names(build("table(csv='t.csv')", tmp_path)) == ["True", "True", "False", "False"]
    with_labels(tmp_path, ["1", "1,0", "0,0", "0"])
    assert names(build("table(csv='t.csv')", tmp_path)) == ["1", "1", "0", "0"]


def test_classes_that_may_be_in_several_columns_are_asked_for(tmp_path):
    cells = [
        {"image": f"{i}.jpg", "diagnosis": "xy"[i % 2], "male": i % 2, "female": 1 - i % 2}
        for i in range(4)
    ]
    lay_out(tmp_path, cells, [f"{i}.jpg" for i in range(4)])
    assert "say which with label='diagnosis'" in told("table(csv='t.csv')", tmp_path)
    assert build("table(csv='t.csv', label='diagnosis')", tmp_path).classes == ("x", "y")
    cells = [{"image": f"{i}.jpg", "A": i % 2, "a": 1 - i % 2} for i in range(4)]
    write_csv(tmp_path / "t.csv", cells)
    assert "columns A, a name one class" in told("table(csv='t.csv')", tmp_path)
