"""`get_results`: which runs are found, what their lines say, how the tables are written."""

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest

from src.core.errors import UserError
from src.report.text_tables import latex_text, markdown_text
from src.runs import results as run_results
from src.runs.results import find_results
from src.scripts.get_results import METRICS, main


def rows(recall=0.5, **changes):
    """What `metrics.json` says of a split."""
    group = {"sensitivity": recall, "n_positive": 4, "n": 9}
    found = dict.fromkeys(METRICS, 0.5) | {"sensitivity": recall, "n": 20, "n_positive": 8}
    nested = {"confusion_matrix": [[1]], "groups": {"unknown": group, "Tan": group}}
    return found | nested | {"rows_digest": "r", "groups_digest": "g"} | changes


def evaluation(value):
    """What `evaluation_metrics.json` says, of the parts that are read."""
    figure = {"value": value, "low": 0.1, "high": 0.9}
    part = {"n": 30, "n_positive": 6, "metrics": {"auroc": figure, "sensitivity": figure}}
    gaps = {"equal_opportunity_difference": figure, "rates": {"accuracy": {"difference": figure}}}
    return {
        "schema": 1,
        "source": {"split": "test", "model": "net", "positive": "MEL"},
        "overall": part,
        "groups": {"skin tone": {"Light": part}, "sex": {"male": part}},
        "gaps": {"skin tone": {"MEL": gaps, "NV": {}}},
    }


def write(folder, **files):
    """A run's folder; `metrics_json={...}` is `metrics.json`, a text is written as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (folder / name.replace("_json", ".json")).write_text(text, encoding="utf-8")
    return folder


def settings(**changes):
    base = {"model": "net", "objective": "focal(gamma=2)", "seed": 0, "split_seed": 0, "lr": 0.1}
    return base | {"run_name": "x", "num_workers": 4} | changes


def table_rows(folder, which=0):
    """The lines of a Markdown table as dicts."""
    blocks = (folder / "results.md").read_text("utf-8").split("\n\n")[1::2]
    lines = [line.strip("| ").split(" | ") for line in blocks[which].strip().splitlines()]
    assert {len(line) for line in lines} == {len(lines[0])}
    return [dict(zip(lines[0], line, strict=True)) for line in lines[2:]]


def test_a_run_of_the_trainer_is_a_line(tiny_run, tmp_path, capsys):
    shutil.copytree(tiny_run, tmp_path / "a" / "tiny", ignore=shutil.ignore_patterns("*.pth"))
    assert main([str(tmp_path)]) == 0
    (line,) = pd.read_csv(tmp_path / "results.csv").to_dict("records")
    found = json.loads((tiny_run / "metrics.json").read_text())["test"]
    assert (line["run"], line["model"], line["split"]) == ("a/tiny", "test_resnet", "test")
    assert (line["objective"], line["seed"], line["epochs"]) == ("cross_entropy", 0, 3)
    history = json.loads((tiny_run / "training_history.json").read_text())
    assert line["best_epoch"] == max(e["epoch"] + 1 for e in history if e["is_best"])
    for name in ("n", "n_positive", *METRICS):
        wanted = np.nan if found[name] is None else found[name]
        assert line[name] == pytest.approx(wanted, nan_ok=True)
    for name, group in found["groups"].items():
        assert line[f"sensitivity {name}"] == group["sensitivity"]
        assert line[f"n_positive {name}"] == group["n_positive"]
    printed = capsys.readouterr().out
    assert printed.startswith((tmp_path / "results.md").read_text())
    assert "**" not in printed  # one run is the best of nothing
    assert not (tmp_path / "results_over_seeds.csv").exists()


def test_each_kind_of_file_is_read(tmp_path):
    write(
        tmp_path / "both", metrics_json={"test": rows(0.1)}, evaluation_metrics_json=evaluation(0.7)
    )
    write(tmp_path / "folds", kfold_json={"folds": 2, "oof": rows(0.3)})
    write(tmp_path / "folds" / "fold_0", config_json=settings(), metrics_json={"valid": rows(0.2)})
    write(tmp_path / "evaluated", metrics_json={"decisions": rows(0.4)})
    write(tmp_path / "no_rows", metrics_json={})
    results, problems = find_results(tmp_path)
    assert not problems
    found = {r.name: (r.split, r.model, r.metrics.get("sensitivity")) for r in results}
    assert found == {
        "both": ("test", "net", 0.7),
        "folds": ("oof", "net", 0.3),
        "folds/fold_0": ("valid", "net", 0.2),
        "evaluated": ("decisions", "", 0.4),
        "no_rows": ("", "", None),
    }
    assert results[0].metrics["equal_opportunity_difference"] == 0.7
    assert results[0].groups == {"Light": (0.7, 6)}
    assert (results[0].metrics["n"], results[0].metrics["n_positive"]) == (30, 6)


def test_test_rows_come_before_validation_rows(tmp_path):
    write(tmp_path / "a", metrics_json={"valid": rows(0.9), "test": rows(0.1)})
    (result,) = find_results(tmp_path)[0]
    assert (result.split, result.metrics["sensitivity"]) == ("test", 0.1)


def test_undefined_is_empty_and_a_dash_and_never_zero(tmp_path):
    write(tmp_path / "a", metrics_json={"test": rows(None, auroc=None)})
    write(tmp_path / "b", metrics_json={"test": rows(0.25)})
    write(tmp_path / "c", evaluation_metrics_json=evaluation(None))
    assert main([str(tmp_path)]) == 0
    frame = pd.read_csv(tmp_path / "results.csv", dtype=str, keep_default_na=False)
    assert frame["auroc"].tolist() == ["", "0.5", ""]
    assert frame["sensitivity Tan and darker"].tolist() == ["", "0.25", ""]
    assert frame["n_positive Tan and darker"].tolist() == ["4", "4", ""]
    a, b, c = table_rows(tmp_path)
    assert (a["AUROC"], b["AUROC"], c["AUROC"]) == ("–", "0.500", "–")
    assert (
        a["sensitivity Tan and darker"],
        b["sensitivity Tan and darker"],
        c["sensitivity Tan and darker"],
    ) == ("– (n=4)", "0.250 (n=4)", "–")
    assert [*a][-1] == "sensitivity unknown"
    assert "&  &" not in (tmp_path / "results.tex").read_text()


def test_a_group_under_its_former_name_is_the_same_group(tmp_path):
    part = evaluation(0.5)
    part["groups"]["skin tone"] = {"Tan": part["overall"]}
    write(tmp_path / "a", evaluation_metrics_json=part)
    write(tmp_path / "b", metrics_json={"test": rows()})
    now = rows()
    now["groups"] = {"Tan and darker": now["groups"]["Tan"]}
    write(tmp_path / "c", metrics_json={"test": now})
    tones = [set(result.groups) - {"unknown"} for result in find_results(tmp_path)[0]]
    assert tones == [{"Tan and darker"}] * 3


def test_the_best_is_bold_among_runs_of_the_same_rows(tmp_path):
    """That a split has the same name says nothing: other folds and other data have it too."""
    for name, digest, auroc, gap in (
        ("a", "r", 0.7, 0.3),
        ("b", "r", 0.8, 0.2),
        ("c", "r", 0.8, None),
        ("d", "other fold", 0.9, 0.1),
    ):
        metrics = rows(auroc=auroc, equal_opportunity_difference=gap, log_loss=auroc, accuracy=0.5)
        digests = {"rows_digest": digest, "groups_digest": digest}
        write(tmp_path / name, metrics_json={"test": metrics | digests | {"selection_rate": auroc}})
    columns = ["auroc", "equal_opportunity_difference", "log_loss", "selection_rate", "accuracy"]
    main([str(tmp_path), "--metrics", *columns])
    found = table_rows(tmp_path)
    assert [line["AUROC"] for line in found] == ["0.700", "**0.800**", "**0.800**", "0.900"]
    gaps = [line["equal opportunity difference"] for line in found]
    assert gaps == ["0.300", "**0.200**", "–", "0.100"]
    assert [line["log loss"] for line in found] == ["**0.700**", "0.800", "0.800", "0.900"]
    for same in ("selection rate", "accuracy"):  # no direction; no difference
        assert not any("*" in line[same] for line in found)
    assert (tmp_path / "results.tex").read_text().count(r"\textbf{0.800}") == 2


def test_gaps_are_compared_between_runs_with_the_same_groups_only(tmp_path):
    for name, groups, value in (("a", "g", 0.2), ("b", "g", 0.3), ("c", "of another table", 0.1)):
        metrics = rows(auroc=value, equal_opportunity_difference=value, groups_digest=groups)
        metrics["groups"]["Tan"] = {"sensitivity": value, "n_positive": 4}
        write(tmp_path / name, metrics_json={"test": metrics})
    main([str(tmp_path), "--metrics", "auroc", "equal_opportunity_difference"])
    lines = table_rows(tmp_path)
    assert [line["AUROC"] for line in lines] == ["0.200", "**0.300**", "0.100"]
    gaps = [line["equal opportunity difference"] for line in lines]
    assert gaps == ["**0.200**", "0.300", "0.100"]
    tan = [line["sensitivity Tan and darker"] for line in lines]
    assert tan == ["0.200 (n=4)", "**0.300 (n=4)**", "0.100 (n=4)"]


def test_runs_that_do_not_state_their_rows_are_not_compared_and_named(tmp_path, capsys):
    for name, value in (("old_1", 0.1), ("old_2", 0.2)):
        found = rows(auroc=value)
        del found["rows_digest"], found["groups_digest"]
        write(tmp_path / name, metrics_json={"test": found})
    main([str(tmp_path)])
    assert [line["AUROC"] for line in table_rows(tmp_path)] == ["0.100", "0.200"]
    (note,) = (line for line in capsys.readouterr().out.splitlines() if "Not compared" in line)
    assert note.endswith(r"old_1, old_2.")


def test_seeds_are_not_averaged_over_data_that_changed(tmp_path):
    """Runs of one split seed have the same rows; runs of different ones may have others."""
    for seed in (0, 1):
        same, drawn = settings(seed=seed), settings(seed=seed, split_seed=seed, lr=1)
        for name, config in (("same", same), ("drawn", drawn)):
            found = {"test": rows(rows_digest=f"{seed}")}
            write(tmp_path / f"{name}_{seed}", config_json=config, metrics_json=found)
    main([str(tmp_path)])
    assert [line["runs"] for line in table_rows(tmp_path, which=1)] == ["drawn_0, drawn_1"]


def test_an_evaluation_that_is_being_written_is_no_run(tmp_path):
    for name in ("a", ".a_eval.host.1.tmp"):
        write(tmp_path / name, evaluation_metrics_json=evaluation(0.3))
    assert [found.name for found in find_results(tmp_path)[0]] == ["a"]


def test_runs_that_differ_in_seeds_alone_are_averaged(tmp_path, capsys):
    values = {0: 0.6, 1: 0.7, 2: None}
    for seed, auroc in values.items():
        config = settings(seed=seed, split_seed=seed, run_name=f"s{seed}", num_workers=seed)
        metrics = rows(auroc=auroc, auprc=auroc if seed else None)
        write(tmp_path / f"s{seed}", config_json=config, metrics_json={"test": metrics})
    write(tmp_path / "other", config_json=settings(lr=0.2), metrics_json={"test": rows()})
    write(tmp_path / "valid", config_json=settings(seed=3), metrics_json={"valid": rows()})
    write(tmp_path / "same", config_json=settings(lr=0.3), metrics_json={"test": rows()})
    write(tmp_path / "same2", config_json=settings(lr=0.3), metrics_json={"test": rows()})
    write(tmp_path / "bare", metrics_json={"test": rows()})
    write(tmp_path / "bare2", metrics_json={"test": rows()})
    main([str(tmp_path)])
    (line,) = table_rows(tmp_path, which=1)
    assert line["runs"] == "s0, s1, s2" and line["seeds"] == "0, 1, 2" and line["n runs"] == "3"
    assert line["AUROC"] == "0.650 ± 0.071 (2 of 3)"
    assert line["AUPRC"] == "0.700 (1 of 3)"
    assert line["F1"] == "0.500 ± 0.000"
    assert line["sensitivity Tan and darker"] == "0.500 ± 0.000"
    (line,) = pd.read_csv(tmp_path / "results_over_seeds.csv").to_dict("records")
    assert line["auroc_mean"] == pytest.approx(0.65)
    assert line["auroc_sd"] == pytest.approx(np.std([0.6, 0.7], ddof=1))
    assert (line["auroc_n"], line["auprc_n"]) == (2, 1)
    assert math.isnan(line["auprc_sd"])
    for name in ("s1", "s2"):
        shutil.rmtree(tmp_path / name)
    main([str(tmp_path)])
    assert not (tmp_path / "results_over_seeds.csv").exists()
    assert "±" not in capsys.readouterr().out.split("written to")[1]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "7",
        '"test"',
        '{"accuracy": 0.9}',
        '{"test": {"n": 3}}',
        '{"test": []}',
        {"test": rows(n=None)},
        {"test": rows(groups={"a": {"sensitivity": "x", "n_positive": 1}})},
        {"test": rows(groups={str(i): rows()["groups"]["Tan"] for i in range(60)})},
        {"test": rows(auroc=10**400)},
    ],
)
def test_damaged_and_foreign_files_are_named_and_left_out(tmp_path, capsys, content):
    write(tmp_path / "bad", metrics_json=content)
    write(tmp_path / "good", metrics_json={"test": rows()})
    assert main([str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(f"left out: {tmp_path / 'bad' / 'metrics.json'}: not ")
    assert len(captured.err.splitlines()) == 1
    assert pd.read_csv(tmp_path / "results.csv")["run"].tolist() == ["good"]


@pytest.mark.parametrize("name", ["config", "training_history", "evaluation_metrics"])
def test_any_damaged_file_of_a_run_is_named(tmp_path, capsys, name):
    write(tmp_path / "bad", metrics_json={"test": rows()}, **{f"{name}_json": "[]"})
    with pytest.raises(UserError, match="no run found"):
        main([str(tmp_path)])
    assert f"{name}.json" in capsys.readouterr().err


def test_the_search_is_bounded_and_follows_no_link(tmp_path, monkeypatch):
    monkeypatch.setattr(run_results, "MAX_DEPTH", 2)
    for depth, folder in enumerate(("", "a", "a/b", "a/b/c")):
        write(tmp_path / "root" / folder, metrics_json={"test": rows(depth / 10)})
    write(tmp_path / "away", metrics_json={"test": rows()})
    (tmp_path / "root" / "a" / "loop").symlink_to(tmp_path / "root")
    (tmp_path / "root" / "z").symlink_to(tmp_path / "away")
    assert [r.name for r in find_results(tmp_path / "root")[0]] == ["root", "a", "a/b"]


def test_linked_files_are_not_read(tmp_path):
    away = write(
        tmp_path / "away",
        config_json=settings(seed=7),
        metrics_json={"test": rows()},
        evaluation_metrics_json=evaluation(0.9),
    )
    run = write(tmp_path / "root" / "run", metrics_json={"test": rows(0.1)})
    for name in ("config", "evaluation_metrics"):
        (run / f"{name}.json").symlink_to(away / f"{name}.json")
    linked = tmp_path / "root" / "linked"
    linked.mkdir()
    (linked / "metrics.json").symlink_to(away / "metrics.json")
    (found,) = find_results(tmp_path / "root")[0]
    assert (found.name, found.settings) == ("run", {})
    assert found.metrics["sensitivity"] == 0.1


def test_a_csv_is_shown_by_its_name_and_compared_by_its_rows(tmp_path):
    for run, name, value in (("a", "x.csv", 0.5), ("b", "y.csv", 0.6), ("c", "z.csv", 0.7)):
        found = evaluation(value)
        digest = "r" if name == "x.csv" else "s"
        found["source"] |= {"split": "", "name": name, "rows_digest": digest}
        write(tmp_path / run, evaluation_metrics_json=found)
    main([str(tmp_path)])
    lines = table_rows(tmp_path)
    assert [line["split"] for line in lines] == ["x.csv", "y.csv", "z.csv"]
    assert [line["AUROC"] for line in lines] == ["0.500", "0.600", "**0.700**"]


def test_mistakes_are_one_line(tmp_path):
    write(tmp_path / "a", metrics_json={"test": rows()})
    (tmp_path / "empty").mkdir()
    for argv, message in (
        ([tmp_path / "no"], "no such folder"),
        ([tmp_path / "empty"], "no run found"),
        ([tmp_path, "--metrics", "aurocc"], "no run has it; did you mean 'auroc'"),
        ([tmp_path, "--metrics", "auroc", "auroc"], "given twice"),
        ([tmp_path, "--output_dir", tmp_path / "a" / "metrics.json"], "cannot be written to"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            main([str(argument) for argument in argv])
        assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "results.csv").exists()


def test_texts_of_strangers_are_escaped(tmp_path):
    assert markdown_text("a|b\n*c* <i> _d_ e_f") == r"a\|b?\*c\* \<i\> \_d\_ e_f"
    assert latex_text("50 % a_b & {x} \\cmd $1 #2 ~ ^ – ± é漢\n[*]≥κ") == (
        r"50 \% a\_b \& \{x\} \textbackslash{}cmd \$1 \#2 \textasciitilde{} "
        r"\textasciicircum{} -- $\pm$ é??{[}{*}{]}$\geq$$\kappa$"
    )
    assert markdown_text("&lt; R&D $x$") == r"\&lt; R&D \$x\$"
    objective = "=x | y & \\input{/etc/passwd} %"
    write(
        tmp_path / "a_b", config_json=settings(objective=objective), metrics_json={"test": rows()}
    )
    main([str(tmp_path)])
    latex = (tmp_path / "results.tex").read_text("utf-8")
    assert r"a\_b & net & =x | y \& \textbackslash{}input\{/etc/passwd\} \% & 0 & test" in latex
    assert r"x \| y" in (tmp_path / "results.md").read_text("utf-8")
    assert latex.count("{") == latex.count("}")
    assert pd.read_csv(tmp_path / "results.csv")["objective"].item() == f"'{objective}"


def test_the_latex_table_has_a_cell_for_each_column(tmp_path):
    write(tmp_path / "a", metrics_json={"test": rows()})
    write(tmp_path / "b", evaluation_metrics_json=evaluation(0.3))
    main([str(tmp_path)])
    lines = (tmp_path / "results.tex").read_text("utf-8").splitlines()
    n_columns = len(next(line for line in lines if "begin{tabular}" in line).split("{")[-1]) - 1
    cells = [line.count(" & ") + 1 for line in lines if line.endswith(r" \\")]
    assert cells == [n_columns] * 3
    order = [line for line in lines if line in (r"\toprule", r"\midrule", r"\bottomrule")]
    assert order == [r"\toprule", r"\midrule", r"\bottomrule"]
    starts = [line for line in lines if line.startswith((r"\begin", r"\end"))]
    assert [s.split("{")[1].split("}")[0] for s in starts] == [
        "table",
        "tabular",
        "tabular",
        "table",
    ]
