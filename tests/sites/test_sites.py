"""What leaves a hospital, what does not, and what hospitals come to together."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

from src.core.errors import UserError
from src.scripts import bundle_site, merge_sites
from src.sites.bundle import modules_needed
from src.sites.collect import aggregates
from src.sites.disclosure import LEAST, auroc, cells_of, histogram, pooled_auroc, safe_groups
from src.sites.pool import merge, meta_analysis, pooled_rate
from src.sites.signed import read_signed, signed
from tests.passport.drawn import draw, write_darkness
from tests.test_layers import MODULES, ROOT, imports

NAMES = ("light", "brown")


def drawn(rng, n, prevalence=0.2, shift=1.8):
    """Scores (logits), targets, decisions at 0.5 and groups of n rows."""
    target = rng.random(n) < prevalence
    scores = rng.normal(-1 + shift * target, 1)
    return scores, target, scores >= 0, [NAMES[int(u)] for u in rng.random(n) < 0.3]


def site(name, parts):
    return {"site": name, "model": "m", "n": len(parts[0]), "version": 1, "positive": "mel"} | (
        aggregates(*parts, threshold=0.0)
    )


def test_merged_counts_are_those_of_all_rows_and_the_auroc_is_near():
    rng, off = np.random.default_rng(0), []
    for _ in range(10):
        parts = [drawn(rng, n) for n in (900, 1500, 2500)]
        merged = merge([site(f"s{i}", part) for i, part in enumerate(parts)])
        together = [np.concatenate([part[i] for part in parts]) for i in range(4)]
        assert merged["groups"]["all"]["cells"] == cells_of(*together[1:3])
        for name in NAMES:
            own = together[3] == name
            assert merged["groups"][name]["cells"] == cells_of(together[1][own], together[2][own])
            assert "most" not in merged["groups"][name]
        off.append(merged["groups"]["all"]["auroc"] - auroc(*together[:2])[0])
    assert np.abs(off).max() <= 0.005


def test_no_cell_is_below_ten_nor_one_that_totals_give_away():
    rng = np.random.default_rng(1)
    for n in (60, 150, 400, 1200):
        for _ in range(25):
            scores, target, decided, _ = drawn(rng, n, rng.uniform(0.05, 0.5))
            groups = [f"g{int(g)}" for g in rng.choice(5, n, p=(0.5, 0.25, 0.15, 0.07, 0.03))]
            told = aggregates(scores, target, decided, groups, 0.0)
            if told["cells"] is None:
                assert min(cells_of(target, decided).values()) < LEAST
                continue
            parts = [told["cells"], *(g["cells"] for g in told["groups"].values())]
            assert min(min(part.values()) for part in parts) >= LEAST
            rest = [told["cells"][c] - sum(p[c] for p in parts[1:]) for c in told["cells"]]
            assert not any(rest) or min(rest) >= LEAST
            blocks = told["histogram"]
            assert min([LEAST, *blocks["positive"], *blocks["negative"]]) == LEAST
            # cumulated to the threshold they are the cells: nothing between the two
            if blocks["edges"]:
                place = blocks["edges"].index(0.0)
                assert sum(blocks["positive"][:place]) == told["cells"]["fn"]
                assert sum(blocks["negative"][place:]) == told["cells"]["fp"]


def test_a_group_that_follows_from_the_others_is_held_back_with_one_of_them():
    big, small = (
        dict.fromkeys(("tp", "fn", "fp", "tn"), 30),
        {"tp": 3, "fn": 12, "fp": 15, "tn": 40},
    )
    middle = dict.fromkeys(big, 20)
    total = {c: big[c] + middle[c] + small[c] for c in big}
    assert safe_groups({"a": big, "b": middle, "c": small}, total) == ["a"]
    assert safe_groups({"a": big, "b": middle}, dict.fromkeys(big, 50)) == ["a", "b"]
    sites = [
        {
            "site": "x",
            "n": 1,
            "cells": total,
            "auroc": [0.8, 0.02],
            "groups": {},
            "histogram": {"edges": []},
        },
        {"site": "y", "n": 1, "cells": big, "auroc": [0.8, 0.02], "histogram": {"edges": []}}
        | {"groups": {"a": {"cells": big, "auroc": [0.8, 0.02]}}},
    ]
    for one in sites:
        one["histogram"] |= {"positive": [], "negative": []}
    found = merge(sites)["groups"]["a"]
    assert found["cells"] == big
    assert found["most"] == {c: big[c] + total[c] for c in big}  # the truth lies between


def test_auroc_and_its_error_are_those_of_the_definition():
    scores, target = np.array([1.0, 2, 2, 3, 0]), np.array([False, True, False, True, False])
    pairs = [(p > n) + 0.5 * (p == n) for p in (2, 3) for n in (1, 2, 0)]
    assert auroc(scores, target)[0] == pytest.approx(np.mean(pairs))
    rng = np.random.default_rng(0)
    draws = [drawn(rng, 300) for _ in range(200)]
    found = np.array([auroc(*one[:2]) for one in draws])
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.15)
    apart = np.concatenate([np.linspace(-3, -2, 50), np.linspace(2, 3, 50)])
    assert pooled_auroc([histogram(apart, apart > 0, 0.0)]) == pytest.approx(1, abs=0.01)
    assert np.isnan(pooled_auroc([]))


@pytest.mark.simulation
def test_the_random_effects_interval_covers(at_size):
    """Of rates at 12 sites that differ: the interval of their mean, and that of a new site."""
    rng, n = np.random.default_rng(4), at_size(300, 5000)
    covered, new = [], []
    for _ in range(n):
        variances = rng.uniform(0.02, 0.15, 12)
        truths = rng.normal(1.5, 0.4, 13)
        found = meta_analysis(rng.normal(truths[:12], np.sqrt(variances)), variances)
        covered.append(found[1] <= 1.5 <= found[2])
        new.append(found[3] <= truths[12] <= found[4])
    print(np.mean(covered), np.mean(new))
    assert at_size(0.91, 0.93) <= np.mean(covered) <= at_size(0.99, 0.97)
    assert np.mean(new) >= at_size(0.88, 0.91)


def test_meta_analysis_in_closed_form():
    same = meta_analysis(np.full(4, 0.7), np.full(4, 0.1))
    assert same[0] == pytest.approx(0.7) and same[5] == same[6] == 0
    # equal variances: tau² is the sample variance less the error's (the method of moments)
    estimates = np.array([0.0, 1.0, 2.0, 5.0])
    found = meta_analysis(estimates, np.full(4, 0.5))
    assert found[0] == pytest.approx(2.0)
    assert found[5] ** 2 == pytest.approx(estimates.var(ddof=1) - 0.5, rel=1e-6)
    one = pooled_rate([90], [100])
    assert one.mean == pytest.approx(0.9) and one.low < 0.9 < one.high and np.isnan(one.tau)


def test_tampering_is_seen(tmp_path):
    path, key = tmp_path / "a.json", b"0123456789abcdef"
    text = signed({"n": 1234, "site": "a"}, key)
    path.write_text(text)
    assert read_signed(path, key) == {"n": 1234, "site": "a"}
    changed = (text.replace("1234", "1235"), text.replace('"a"', '"b"'), text[:-9], "[]", "{}")
    for content in changed:
        path.write_text(content)
        with pytest.raises(UserError, match=r"a\.json"):
            read_signed(path, key)
    path.write_text(text)
    with pytest.raises(UserError, match="signature"):
        read_signed(path, b"another key, as long")


def test_what_a_site_runs_needs_only_what_it_has():
    names = [f"src.{name}".rstrip(".") for name in modules_needed(ROOT / "src")]
    foreign = {m.partition(".")[0] for name in names for m in imports(name)}
    foreign -= {"src", *sys.stdlib_module_names}
    # the last ones inside of functions that a site never calls
    assert foreign == {"numpy", "cv2", "onnxruntime", "tqdm", "sklearn", "kneed", "threadpoolctl"}
    assert "src.inference.predictor" in names and set(names) <= set(MODULES)


@pytest.mark.slow
def test_a_site_runs_one_file_and_returns_aggregates_that_merge(tmp_path, capsys):
    model = write_darkness(tmp_path / "m.onnx", scale=60.0, centre=2.2)
    bundle_site.main(["--onnx_model_path", str(model), "--output", str(tmp_path / "site.pyz")])
    rng, lines = np.random.default_rng(0), ["image_name,label,group"]
    for folder in ("images", "keys", "poison"):
        (tmp_path / folder).mkdir()
    for n in range(120):
        image = draw(rng, n % 2, (48, 64))[0]
        cv2.imwrite(str(tmp_path / "images" / f"patient_{n}.png"), image[..., ::-1])
        lines.append(f"patient_{n}.png,{('benign', 'malignant')[n % 2]},light")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    (tmp_path / "keys" / "a.key").write_text("a secret of this site")
    for name in ("torch", "pandas", "scipy", "tqdm", "onnx"):
        (tmp_path / "poison" / f"{name}.py").write_text("raise ImportError(__name__)")
    command = [sys.executable, str(tmp_path / "site.pyz"), "--input_folder", "images"]
    command += ["--csv", "labels.csv", "--key", "keys/a.key", "--site", "A", "--output", "a.json"]
    options = {"cwd": tmp_path, "env": {"PYTHONPATH": "poison", "PATH": "/usr/bin:/bin"}}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "a.json").read_text()
    content = json.loads(text)
    assert content["n"] == 120 == sum(content["cells"].values())
    assert "patient" not in text and str(tmp_path) not in text
    merge_sites.main(
        [str(tmp_path / "a.json"), "--keys", str(tmp_path / "keys"), "--output_dir", str(tmp_path)]
    )
    assert "1 sites, 120 images" in capsys.readouterr().out
    pooled = json.loads((tmp_path / "sites.json").read_text())
    assert pooled["groups"]["all"]["cells"] == content["cells"]
    assert "data:image/png" in (tmp_path / "sites.html").read_text()
    (tmp_path / "a.json").write_text(text.replace('"n": 120', '"n": 121'))
    with pytest.raises(UserError, match="signature"):
        merge_sites.main(
            [str(tmp_path / "a.json"), "--keys", str(tmp_path / "keys"), "--output_dir", "x"]
        )
    lines[3] = "../m.onnx,benign,light"
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 2 and "line 4" in done.stderr and "Traceback" not in done.stderr
