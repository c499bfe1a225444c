"""The table of an evaluation for a paper: what the JSON says, in Markdown and LaTeX."""

import re

from src.report.paper_table import paper_table
from src.report.text_tables import to_latex, to_markdown
from tests.report.drawn_evaluation import evaluation_of

HOSTILE = ("[5pt] \\input{/etc/passwd}", "*|& <b>$x$", "50 % _a_ #1 {", "=1+1\x1b[2J")


def cells(markdown: str) -> list[list[str]]:
    lines = markdown.split("\n\n", 1)[1].strip().splitlines()
    return [re.split(r"(?<!\\) ?\| ?", line)[1:-1] for line in lines[:1] + lines[2:]]


def test_a_row_says_what_the_evaluation_says(random_table):
    evaluation = evaluation_of(random_table())
    heading, overall, *rows = cells(to_markdown(paper_table(evaluation)))
    assert heading[:3] == ["", "n", "n malignant"]
    assert heading[3:] == [f"{name} (95 % CI)" for name in ("Sensitivity", "Specificity", "AUROC")]
    parts = {"All images": evaluation["overall"]}
    for groups in evaluation["groups"].values():
        parts |= groups
    found = {row[0].replace("\\", ""): row for row in [overall, *rows] if row[1]}
    assert [*found] == [*parts]
    for name, part in parts.items():
        assert found[name][1:3] == [str(part["n"]), str(part["n_positive"])]
        for text, metric in zip(
            found[name][3:], ("sensitivity", "specificity", "auroc"), strict=True
        ):
            figure = part["metrics"][metric]
            numbers = [float(number) for number in re.findall(r"\d\.\d+", text)]
            wanted = [round(figure[key], 3) for key in ("value", "low", "high")]
            assert numbers == [number for number in wanted if number == number]
    headings = [row[0] for row in rows if not row[1]]
    assert headings == ["**Skin tone**", "**Sex**", "**Age approx**", "**Skin tone × sex**"]


def test_figures_of_few_images_are_marked_and_undefined_ones_a_dash(table):
    labels = [0, 1] * 20 + [0]
    evaluation = evaluation_of(table(labels, [0] * 38 + [1, 1, 2]))
    del evaluation["groups"]["sex"], evaluation["groups"]["age_approx"]
    found = {row[0]: row[3:] for row in cells(to_markdown(paper_table(evaluation)))}
    assert not any("†" in text for text in found["Very light"])
    assert all(text.endswith("†") for text in found["Light"])
    assert found["Intermediate"][0] == "–" == found["Intermediate"][2]


def test_any_metric_of_the_registry_can_be_chosen(random_table):
    evaluation = evaluation_of(random_table())
    heading, overall, *_ = cells(to_markdown(paper_table(evaluation, ("cohen_kappa", "auprc"))))
    assert heading[3:] == ["Cohen's κ (95 % CI)", "AUPRC (95 % CI)"]
    value = evaluation["overall"]["metrics"]["auprc"]["value"]
    assert overall[4].startswith(f"{value:.3f} (")


def test_names_of_strangers_neither_break_a_table_nor_run(random_table):
    evaluation = evaluation_of(random_table())
    parts = [*evaluation["groups"]["skin tone"].values()]
    evaluation["groups"] = {"*\\end{table}": dict(zip(HOSTILE, parts, strict=False))}
    evaluation["source"] |= {"positive": "m|e_l", "classes": ["b", "m|e_l"], "name": "$a_b$.csv"}
    table = paper_table(evaluation)
    markdown, latex = to_markdown(table), to_latex(table)
    assert "\x1b" not in markdown + latex
    assert {len(row) for row in cells(markdown)} == {6}
    assert r"\*\|& \<b\>\$x\$" in markdown and "$a_b$" not in markdown
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == 2 + len(HOSTILE)
    for line in body:
        assert line.endswith(r" \\") and len(re.findall(r"(?<!\\)&", line)) == 5
        assert not line.startswith(("[", "*")), "would be an option of the line above"
    assert r"\input" not in latex and latex.count(r"\end{table}") == 1
    opened, closed = (len(re.findall(rf"(?<!\\)\{brace}", latex)) for brace in "{}")
    assert opened == closed
