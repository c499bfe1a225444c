"""From the file that a site runs to the merged report, on drawn images of three sites."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest

from src.core.errors import UserError
from src.preprocess.image import write_png
from src.preprocess.spec import parse_preprocessing
from src.scripts import evaluate_site, merge_sites, package_site
from src.sites.merge import merged
from src.sites.signature import signed
from src.sites.study import aggregates
from tests.artifact.test_contract import make_contract
from tests.inference.onnx_files import with_contract

SPEC = parse_preprocessing("resize || normalize(stats='half')", 8)
KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return with_contract(tmp_path_factory.mktemp("m") / "m.onnx", make_contract(preprocessing=SPEC))


def draw_site(folder, seed, n=80):
    """A folder of images with a CSV of labels, patients and clinics, and a key."""
    rng, rows = np.random.default_rng(seed), []
    (folder / "images").mkdir(parents=True)
    for number in range(n):
        positive = number % 2
        color = rng.normal((140, 120, 150 + 40 * positive), 30)
        image = np.full((8, 8, 3), color).clip(0, 255).astype(np.uint8)
        write_png(folder / "images" / f"{number}.png", image)
        clinic = "a" if number < n - 6 else "b"
        rows.append([f"{number}.png", ("benign", "malignant")[positive], f"P{number // 4}", clinic])
    with (folder / "table.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["image_name", "label", "who", "clinic"], *rows])
    (folder / "secret.key").write_text(f"{KEY}{seed}\n")
    return folder


def flags(folder, output, **changes):
    values = {
        "input_folder": folder / "images",
        "csv": folder / "table.csv",
        "site": folder.name,
        "key_file": folder / "secret.key",
        "patient_column": "who",
        "group_by": "clinic",
        "output_json": output,
    } | changes
    return [part for name, value in values.items() for part in (f"--{name}", str(value))]


def test_the_file_of_a_site_gives_what_the_clone_gives_and_sites_merge(model, tmp_path, capsys):
    program = tmp_path / "evaluate_site.pyz"
    given = ["--onnx_model_path", str(model)]
    assert package_site.main([*given, "--output_path", str(program)]) == 0
    folders = [draw_site(tmp_path / f"site{seed}", seed) for seed in range(3)]
    keys, files = tmp_path / "keys", []
    keys.mkdir()
    for folder in folders:
        files.append(tmp_path / f"{folder.name}.json")
        assert evaluate_site.main([*flags(folder, files[-1]), *given]) == 0
        (keys / f"{folder.name}.key").write_bytes((folder / "secret.key").read_bytes())
    alone = tmp_path / "alone.json"
    command = [sys.executable, str(program), *flags(folders[0], alone)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert alone.read_text() == files[0].read_text()
    assert ".png" not in alone.read_text() and "P1" not in alone.read_text()

    output = tmp_path / "merged"
    given = [*map(str, files), "--output_dir", str(output)]
    assert merge_sites.main([*given, "--keys", str(keys)]) == 0
    found = json.loads((output / "sites.json").read_text())
    everyone = found["rows"][0]
    assert (everyone["group"], everyone["n_positive"], everyone["n_negative"]) == ("all", 120, 120)
    assert everyone["n_sites"] == 3 and 0.6 < found["auroc"] <= 1
    assert "site2" in (output / "report.html").read_text()
    assert (output / "forest.png").stat().st_size > 5000

    changed = files[1].read_text().replace('"site1"', '"site9"')
    files[1].write_text(changed)
    with pytest.raises(UserError, match=r"site1.json: its signature does not fit"):
        merge_sites.main([*given, "--keys", str(keys)])
    assert merge_sites.main([*given, "--unsigned"]) == 0
    assert "Signatures were not checked" in (output / "report.html").read_text()


def test_counts_of_merged_sites_are_those_of_all_rows_or_bound_them():
    rng, sites, parts = np.random.default_rng(0), [], []
    for number, rate in enumerate((0.2, 0.4, 0.3, 0.2)):
        positive = rng.random(900) < rate
        scores = 1 / (1 + np.exp(-rng.normal(np.where(positive, 1.5, -1.5), 1.5)))
        tones = rng.choice(["dark", "light", "middle"], 900, p=[0.03, 0.6, 0.37])
        parts.append((scores, positive, tones))
        told = aggregates(scores, scores >= 0.5, positive, np.arange(900), "tone", tones)
        sites.append(site_of(number, told))
    found = merged(sites)
    scores, positive, tones = (np.concatenate(part) for part in zip(*parts, strict=True))
    everyone = found["rows"][0]
    exact = int((positive & (scores >= 0.5)).sum()), int((~positive & (scores >= 0.5)).sum())
    assert everyone["detected"] == {"low": exact[0], "high": exact[0]}
    assert everyone["false_alarms"] == {"low": exact[1], "high": exact[1]}
    assert (everyone["n_positive"], everyone["n_negative"]) == (positive.sum(), (~positive).sum())
    light = next(row for row in found["rows"] if row["group"] == "light")
    hits = int((positive & (scores >= 0.5) & (tones == "light")).sum())
    assert light["n_sites"] == 4 and light["detected"]["low"] <= hits <= light["detected"]["high"]
    assert light["detected"]["high"] - light["detected"]["low"] < 40
    assert found["meta_analysis"]["auroc"]["n_sites"] == 4


def test_bounds_hold_where_few_were_missed():
    """With three misses nothing but numbers is told, and the histogram bounds the detected."""
    scores = np.concatenate([np.linspace(0.3, 0.49, 3), np.linspace(0.5, 0.99, 97)])
    scores = np.concatenate([scores, np.linspace(0.01, 0.6, 200)])
    positive = np.arange(300) < 100
    told = aggregates(scores, scores >= 0.5, positive, np.arange(300), "tone", np.full(300, "a"))
    assert "flagged" not in told["all"]["positive"]
    row = merged([site_of(0, told)])["rows"][0]
    assert row["detected"]["low"] <= 97 <= row["detected"]["high"] == 100
    assert row["detected"]["low"] >= 80


def site_of(number, told):
    head = {"format": "melanoma site 1", "site": f"s{number}", "model": "m", "positive": "mel"}
    rest = {"rule": "threshold(value=0.5)", "threshold": 0.5, "patients_known": True, "unread": 0}
    return head | rest | told


def test_mistakes_of_a_site_are_named(model, tmp_path):
    folder = draw_site(tmp_path / "site0", 0)
    output = tmp_path / "out.json"
    cases = [
        ({"label_column": "dx"}, "--label_column dx"),
        ({"group_by": "sex"}, "--group_by sex"),
        ({"site": "a" * 61}, "--site"),
        ({"key_file": folder / "short"}, r"short: 5 bytes; expected a key of 16"),
        ({"csv": folder / "bad.csv"}, r"bad.csv: 'naevus' is no class: expected benign, malignant"),
        ({"csv": folder / "absent.csv"}, r"absent.csv: 1 images are not in .* \(first: 99.png\)"),
        ({"csv": folder / "twice.csv"}, r"twice.csv: 1 lines name an image that another one names"),
    ]
    (folder / "short").write_text("abcde")
    text = (folder / "table.csv").read_text()
    (folder / "bad.csv").write_text(text.replace("benign", "naevus"))
    (folder / "absent.csv").write_text(text.replace("\n1.png", "\n99.png"))
    (folder / "twice.csv").write_text(text + "0.png;benign;P1;a\n")
    for changes, expected in cases:
        with pytest.raises(UserError, match=expected):
            given = ["--onnx_model_path", str(model)]
            evaluate_site.main([*flags(folder, output, **changes), *given])
        assert not output.exists()


def few(n=60):
    given = np.linspace(0.01, 0.99, n), np.arange(n) > 30, np.arange(n) > 25, np.arange(n)
    return aggregates(*given, "tone", np.full(n, "light"))


def test_files_that_no_site_wrote_are_refused(tmp_path):
    good, key = site_of(0, few()), b"k" * 20
    bins = good["histograms"]["positive"]["light"]
    path = tmp_path / "s0.json"

    def with_bins(**changes):
        kinds = good["histograms"] | {"positive": {"light": bins | changes}}
        return good | {"histograms": kinds}

    changed = [
        good | {"format": "other"},
        good | {"auroc_standard_error": "0.05"},
        good | {"threshold": "0.5"},
        good | {"by_group": {}},
        {k: v for k, v in good.items() if k != "histograms"},
        with_bins(counts=[10**9] * len(bins["counts"])),
        with_bins(edges=[str(edge) for edge in bins["edges"]]),
        with_bins(edges=[*bins["edges"][:-1], 10**400]),
    ]
    texts = [signed(content, key) for content in changed]
    texts += [
        "[" * 100_000,
        '{"signature": "\\ud800"}',
        signed(good, key).replace('"m"', '"\\ud800"'),
    ]
    for text in texts:
        path.write_text(text)
        with pytest.raises(UserError, match=r"s0.json: is not what a site's evaluation wrote"):
            merge_sites.main([str(path), "--unsigned", "--output_dir", str(tmp_path / "o")])


def test_a_group_of_which_nothing_is_told_has_no_name_and_counts_with_the_rest():
    groups = np.repeat(["Anna", "light", "dark"], [3, 57, 40])
    scores, positive = np.linspace(0.01, 0.99, 100), np.arange(100) % 2 == 0
    told = aggregates(scores, scores > 0.5, positive, np.arange(100), "name", groups)
    assert "Anna" not in json.dumps(told) and "light" in told["by_group"]
    for kind in ("positive", "negative"):
        assert sum(sum(h["counts"]) for h in told["histograms"][kind].values()) == 50


def test_what_a_site_hides_is_not_pooled_for_the_others():
    """Sites that miss few hide it: the others' mean would be below that of all."""
    sites = [site_of(number, few(60 + 20 * number)) for number in range(3)]
    assert merged(sites)["meta_analysis"]["specificity"] is None
    assert all(site["specificity"] is None for site in merged(sites)["by_site"][:1])
    assert merged(sites)["meta_analysis"]["auroc"] is None  # all are ranked without a mistake
