"""What metadata and the predictions CSVs themselves know of images, and sets that stay apart."""

import numpy as np
import pytest

from src.core.errors import UserError
from src.evaluator.metadata import known_images, read_metadata, require_clusters_apart
from src.evaluator.predictions_csv import read_predictions

NAMES = ["x/1.jpg", "y/1.jpg", "y/2.jpg", "z/3.jpg"]
PATIENTS = ["p", "q", "q", ""]


def test_a_csv_alone_tells_its_columns_by_whole_names(write):
    path = write({"image": NAMES, "patient_id": PATIENTS, "sex": list("fmmf")})
    known = known_images(NAMES[::-1], None, [path])
    units, what = known.clusters(NAMES[::-1])
    assert (what, units.tolist()) == ("patient_id", [0, 1, 1, 2])
    found = known.grouping(NAMES, "sex")
    assert [found.levels[code] for code in found.codes] == list("fmmf")
    with pytest.raises(UserError, match="no column 'sexx'; did you mean 'sex'"):
        known.grouping(NAMES, "sexx")


def test_metadata_come_first_where_they_say_something(write):
    names = ["a.jpg", "b.jpg", "c.jpg"]
    table = {"image_id": ["c", "b", "a"], "sex": ["f", "", "m"], "lesion_id": ["unknown", "", "na"]}
    table |= {"site": ["", "", ""]}
    own = {"image": names, "sex": list("ffm"), "lesion_id": list("llm"), "clinic": list("xyx")}
    known = known_images(names, read_metadata(write(table)), [write(own)])
    rows = known.rows_of(names)
    assert rows["sex"].tolist() == ["m", "f", "f"]
    assert rows["clinic"].tolist() == list("xyx")
    assert rows["site"].tolist() == [""] * 3
    units, what = known.clusters(names)
    assert (what, units.tolist()) == ("lesion_id", [0, 0, 1])
    assert known.grouping(names, "sex*clinic").levels == ("f × x", "f × y", "m × x")


def test_a_tone_is_of_one_table(write):
    names, tones = ["a", "b", "c"], {"ita": ["60", "", "unknown"]}
    own = {"image": names, "group": ["3", "3", "-1"], "ita": ["", "", "45"]}
    known = known_images(names, read_metadata(write({"image": names} | tones)), [write(own)])
    assert known.tone_groups(names).codes.tolist() == [0, 3, 1]


def test_metadata_of_names_alone_add_nothing(write):
    metadata = read_metadata(write({"image_id": ["a", "b"]}))
    known = known_images(["b", "a"], metadata, [write({"image": ["a", "b"], "sex": ["f", "m"]})])
    assert known.rows_of(["a", "b"])["sex"].tolist() == ["f", "m"]


def test_a_run_s_file_with_one_name_for_two_images_tells_nothing(write):
    rows = {"image_name": ["1.jpg", "1.jpg"], "patient_id": ["p", "q"]}
    assert known_images(rows["image_name"], None, [write(rows)]) is None
    require_clusters_apart(None, *[None] * 2)


def test_units_of_two_files_are_apart(write):
    def evaluated(names, patients):
        n = len(names)
        rows = {"image": names, "target": [0] * n, "label": [1] * n, "patient_id": patients}
        path = write(rows)
        return path, read_predictions(path, None)

    (first, valid), (second, test) = evaluated(NAMES, PATIENTS), evaluated(["a", "b"], ["", "r"])
    names = valid.names + test.names
    require_clusters_apart(known_images(names, None, [first, second]), valid, test)
    second, test = evaluated(["a", "b"], ["", "q"])
    known = known_images(names, None, [first, second])
    with pytest.raises(UserError, match=r"1 of its 3 clusters \(patient_id\) are evaluated too"):
        require_clusters_apart(known, valid, test)
    assert np.unique(known.clusters(names)[0]).size == 4
