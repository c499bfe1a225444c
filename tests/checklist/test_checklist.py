"""What a reporting checklist says of a run, where it says nothing, and its text follows files."""

import hashlib
import json
import re
import zipfile
from xml.etree import ElementTree

import pytest

from src.checklist.answers import QUESTIONS
from src.checklist.facts import Run
from src.checklist.standards import CLAIM, CLEAR_DERM, STANDARDS, TRIPOD_AI
from src.checklist.write import AUTHOR, fill
from src.core.errors import UserError
from src.scripts import checklist
from tests.checklist.written import FOUND, write_run


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def test_the_inventories_have_the_published_numbers_of_items():
    assert len(TRIPOD_AI) == 52
    assert [*dict.fromkeys(int(re.match(r"\d+", n)[0]) for n, *_ in TRIPOD_AI)] == [*range(1, 28)]
    assert [number for number, *_ in CLAIM] == [str(n) for n in range(1, 45)]
    assert [*dict.fromkeys(n.split()[0] for n, *_ in CLEAR_DERM)] == [
        *("Data", "Technique", "Assessment", "Application")
    ]
    used = {name for _, items in STANDARDS.values() for _, _, name in items} - {""}
    assert used == QUESTIONS.keys()


def test_a_run_answers_22_items_of_each_and_every_answer_names_its_files(run):
    for standard in ("tripod_ai", "claim"):
        closed = [one for one in fill(Run(run), standard) if not one.is_open]
        assert len(closed) >= 22, standard
        for one in closed:
            names = re.findall(r"(\S+) \(SHA-256 (\w{12})\)", one.source)
            assert names, one.number
            for name, digest in names:
                assert hashlib.sha256((run / name).read_bytes()).hexdigest().startswith(digest)


def answers(run, standard="claim"):
    return {one.number: one.text for one in fill(Run(run), standard)}


def test_the_text_follows_the_files(run):
    before = answers(run)
    assert "AUROC 0.900" not in before["37"] and "auroc 0.900 (95 % CI 0.800–0.950)" in before["37"]
    assert "Missed: 3 of 10" in before["39"] and "lesion" in before["20"]
    path = run / "metrics_by_group_test.csv"
    path.write_text(path.read_text().replace("0.9,0.8,0.95", "0.91,0.8,0.95"))
    after = answers(run)
    assert "auroc 0.910" in after["37"]
    assert {n for n in before if before[n] != after[n]} == {"37", "38"}
    # a lesion in two partitions: the item is open, not answered wrongly
    test = run / "test_split.csv"
    test.write_text(test.read_text().replace("L200", "L3"))
    assert answers(run)["20"] == AUTHOR


def test_what_the_files_say_in_part_is_open(run):
    items = {"missing_data": "11", "updating": "12f", "disjoint": "20", "failures": "39"}
    assert answers(run, "tripod_ai")[items["missing_data"]].startswith("Every one of the 24 images")
    assert answers(run, "tripod_ai")[items["updating"]] == AUTHOR  # and by what came later?
    assert (
        answers(run)[items["disjoint"]]
        == "Disjoint by lesion: checked, no lesion is in two partitions."
    )
    (run / "predictions_test.csv").unlink()
    test = run / "test_split.csv"
    test.write_text(test.read_text().replace("i200.jpg,nv", "i200.jpg,").replace("L201", ""))
    found = answers(run)
    assert found[items["disjoint"]] == found[items["failures"]] == AUTHOR
    assert answers(run, "tripod_ai")[items["missing_data"]] == AUTHOR
    settings = json.loads((run / "config.json").read_text()) | {"finetune": "old.pth"}
    (run / "config.json").write_text(json.dumps(settings))
    assert answers(run, "tripod_ai")[items["updating"]] == "Fine-tuned from old.pth."


def test_damaged_files_are_named(run):
    head = "attribute,group,n,n_positive,auroc,auroc_low,auroc_high\n"
    wrong = {
        "metrics.json": ["[]", '{"test": 5}', '{"test": {}}'],
        "training_history.json": ["{}", "[1, 2]", '[{"is_best": true}]'],
        "environment.json": ["[]", '{"packages": ["a"]}'],
        "metrics_by_group_test.csv": [
            f"{head}skin tone,Light,20,5,1,1,1\n",
            f"{head}all,all,20,5,many,1,1\n",
            "attribute,group,n,auroc\nall,all,20,1\n",
        ],
    }
    for name, texts in wrong.items():
        whole = (run / name).read_text()
        for text in texts:
            (run / name).write_text(text)
            with pytest.raises(UserError, match=name):
                fill(Run(run), "tripod_ai")
        (run / name).write_text(whole)
    # a rate of no images is null
    (run / "metrics.json").write_text(json.dumps({"test": FOUND | {"false_negative_rate": None}}))
    assert answers(run)["39"] == AUTHOR


def test_without_validation_images_internal_validation_is_open(run):
    (run / "metrics.json").write_text(json.dumps({"test": FOUND}))
    (run / "valid_split.csv").unlink()
    (run / "metrics_by_group_valid.csv").unlink()
    found = answers(run)
    assert found["32"] == found["26"] == AUTHOR
    assert found["37"] != AUTHOR


def test_the_command_writes_what_opens_as_markdown_html_and_word(run, tmp_path, capsys):
    for standard, (title, items) in STANDARDS.items():
        checklist.main([str(run), "--standard", standard])
        told = capsys.readouterr().out
        assert f"of {len(items)} items answered" in told
        stem = run / f"checklist_{standard}"
        markdown = stem.with_suffix(".md").read_text()
        assert (
            markdown.startswith(f"# {title} checklist") and markdown.count("\n|") == len(items) + 2
        )
        assert stem.with_suffix(".html").read_text().count("<tr>") == len(items) + 1
        with zipfile.ZipFile(stem.with_suffix(".docx")) as archive:
            parts = {
                name: ElementTree.fromstring(archive.read(name)) for name in archive.namelist()
            }
        rows = [e for e in parts["word/document.xml"].iter() if e.tag.endswith("}tr")]
        assert len(rows) == len(items) + 1
    with pytest.raises(UserError, match=r"config\.json"):
        checklist.main([str(tmp_path)])
    (run / "checklist_claim.html").unlink()
    (run / "checklist_claim.html").symlink_to(run / "config.json")
    with pytest.raises(UserError, match="cannot be written, it is a link"):
        checklist.main([str(run), "--standard", "claim"])
    (run / "metrics.json").write_text("[]")
    with pytest.raises(UserError, match=r"metrics\.json"):
        checklist.main([str(run)])
    with pytest.raises(UserError, match="--output_dir"):
        checklist.main([str(run), str(tmp_path), "--output_dir", str(tmp_path)])
