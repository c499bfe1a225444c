"""What is said of a picture is what the model says; what cannot be classified gets a sentence."""

import csv
import io

import numpy as np
import pytest

from src.core.errors import UserError
from src.inference import SkinLesionPredictor
from src.page import sentences
from src.page.answers import SIDE, examine
from src.page.models import examples, load_model
from src.page.options import PageOptions
from src.page.table import as_csv
from src.preprocess.image import decode_image
from tests.page.conftest import lesion


@pytest.fixture
def model(page_model):
    return load_model(PageOptions(onnx_model_path=page_model))


def test_an_answer_is_that_of_predict_with_the_skin_tone_and_its_record(
    model, page_model, tmp_path
):
    data = lesion()
    (tmp_path / "a.jpg").write_bytes(data)
    expected = SkinLesionPredictor(page_model).predict(tmp_path / "a.jpg")
    answer = examine(model, "a.jpg", data)
    assert answer.probabilities == expected["probabilities"]
    assert answer.predicted == expected["predicted_class"]
    assert answer.tone.group == "Light"
    assert answer.record.n_positive == 14
    assert "7 of 14" in sentences.record_in_words(answer, "melanoma")
    (drawn,) = map(decode_image, answer.pictures.values())
    assert max(drawn.shape[:2]) <= SIDE
    assert (drawn > 245).all(axis=2).any()  # the lesion's outline


def test_a_skin_tone_without_a_record_is_said_to_be_unmeasured(model):
    model.records.pop("Light")
    said = sentences.record_in_words(examine(model, "a.jpg", lesion()), "melanoma")
    assert "was not measured on light skin" in said
    assert "27 of 36" in said
    model.records.clear()
    assert "not measured" in sentences.record_in_words(
        examine(model, "a.jpg", lesion()), "melanoma"
    )


def test_what_cannot_be_classified_is_refused_in_a_sentence(model):
    for data in (b"", b"text", lesion()[:400]):
        answer = examine(model, "a.jpg", data)
        assert answer.refusal
        assert not answer.predicted
        assert not answer.pictures


def test_an_ensemble_shows_the_vote_of_each_member(page_model, tmp_path):
    for name in ("a.onnx", "b.onnx"):
        (tmp_path / name).write_bytes(page_model.read_bytes())
    answer = examine(load_model(PageOptions(onnx_model_path=tmp_path)), "x", lesion())
    assert answer.votes.keys() == {"a.onnx", "b.onnx"}
    np.testing.assert_allclose([*answer.votes.values()], answer.probabilities["malignant"])


def test_the_table_holds_a_line_for_each_picture_and_no_formulas(model):
    answers = [examine(model, "=1+1.jpg", lesion()), examine(model, "b.jpg", b"")]
    first, second = csv.DictReader(io.StringIO(as_csv(answers, ("benign", "malignant"))))
    assert first["image_name"] == "'=1+1.jpg"
    assert float(first["probability_malignant"]) == answers[0].probabilities["malignant"]
    assert second["reason"] == answers[1].refusal
    assert second["probability_malignant"] == ""


def test_without_a_model_it_is_said_where_to_put_one(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="--onnx_model_path"):
        load_model(PageOptions())
    assert examples(PageOptions()) == {}


def test_a_demo_model_and_its_pictures_are_found(page_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run, pictures = tmp_path / "demo_output/demo_1", tmp_path / "demo_data/isic2020/test/benign"
    for folder in (run, pictures):
        folder.mkdir(parents=True)
    (run / "best_checkpoint.onnx").write_bytes(page_model.read_bytes())
    (pictures / "a.jpg").write_bytes(lesion())
    assert load_model(PageOptions()).names == ("best_checkpoint.onnx",)
    assert [*examples(PageOptions())] == ["benign/a.jpg"]
