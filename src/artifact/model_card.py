"""The model card: what a model is for, how it was measured, by group, and where it fails."""

import csv
from pathlib import Path
from typing import Any

import yaml

from ..core.cells import visible
from .contract import Contract
from .evidence import METHODS

_SPLITS = {"test": "test", "valid": "validation (these rows chose the epoch: optimistic)"}
_COLUMNS = {"sensitivity": "sensitivity", "specificity": "specificity", "auroc": "AUROC"}
_MOST_ROWS = 60
_CARD = """
# {name}

A classifier of images of skin lesions: {classes}. The positive class is **{positive}**.

> {notice}

## Intended use

Research on skin-lesion classification and its fairness over skin tones, and teaching. Not for
patients, not for triage, not for a decision about anyone's care: no such use was studied.

## Results by group

{results}

## Limits

- The figures hold for images like those of its data ({data}): another camera, clinic or population
  gives others, often lower ones.
- It knows the classes above and nothing else; any image, also one without a lesion, gets one.
- {tones}
- Small groups have wide intervals; a gap that cannot be seen in them is not shown to be absent.
- {evidence}

## How it decides

| | |
|---|---|
| network | {model}, head `{head}` |
| input | {height} x {width} RGB, preprocessed by `{steps}` |
| class probabilities | {reduction}, at temperature {temperature:.4g} |
| decision rule | {rule} |
| training rows | {counts} |
| training | {training} |

The contract inside of the ONNX file says the same to programs. To use it, without PyTorch:

```bash
python predict.py --onnx_model_path {file} --input_folder IMAGES --output_csv predictions.csv
```
"""


def model_card(contract: Contract, name: str, file: str, run: Path) -> str:
    """Markdown with the figures that the run in a folder has reported for its model.

    Begins with the metadata that Hugging Face reads, with a `model-index` where there are figures.
    """
    split, rows = _reported(run)
    evidence = contract.evidence
    config = contract.provenance.get("config", {})
    height, width = contract.preprocessing.output_size
    counts = contract.provenance.get("label_counts", [])
    of_classes = zip(contract.classes, counts, strict=False)
    card = _CARD.format(
        name=visible(name, 100),
        classes=", ".join(visible(c, 80) for c in contract.classes),
        positive=visible(contract.classes[contract.positive], 80),
        notice=contract.notice,
        results=_table(split, rows),
        data=visible(config.get("dataset", "not recorded"), 80),
        tones=_tones(contract),
        evidence=f"Its evidence maps are an {METHODS[evidence.method]}: they say what the network "
        "used, not whether that is right."
        if evidence
        else "It has no evidence maps: its logits are not an exact sum over cells of the image.",
        model=visible(contract.model, 80),
        head=visible(contract.head, 80),
        height=height,
        width=width,
        steps=visible(r" \| ".join(map(str, contract.preprocessing.steps)), 400),
        reduction=contract.reduction,
        temperature=contract.temperature,
        rule=visible(contract.rule, 200),
        counts=", ".join(f"{n:,} {visible(c, 80)}" for c, n in of_classes) or "not recorded",
        training=visible(config.get("objective", "not recorded"), 200),
        file=file,
    )
    metadata = yaml.safe_dump(_metadata(contract, name, split, rows), sort_keys=False)
    return f"---\n{metadata}---\n{card}"


def _reported(run: Path) -> tuple[str, list[dict[str, str]]]:
    """(split, rows by group) of the table that the run wrote for its test rows, else validation."""
    for split in _SPLITS:
        path = run / f"metrics_by_group_{split}.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                return split, [*csv.DictReader(file)][:_MOST_ROWS]
    return "", []


def _table(split: str, rows: list[dict[str, str]]) -> str:
    if not rows:
        return "None were found beside the checkpoint: evaluate it with melanoma_eval.py."
    lines = [
        f"Of the {_SPLITS[split]} rows, with 95 % CI.",
        "",
        f"| group | n | positive | {' | '.join(_COLUMNS.values())} |",
        f"|---|---|---|{'---|' * len(_COLUMNS)}",
    ]
    for row in rows:
        group = row["group"] if row["attribute"] == "all" else f"{row['attribute']}: {row['group']}"
        cells = [visible(group, 80), row["n"], row["n_positive"]]
        cells += [_interval(row, column) for column in _COLUMNS]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(row: dict[str, str], column: str) -> str:
    value, low, high = (row.get(f"{column}{end}", "") for end in ("", "_low", "_high"))
    if not value:
        return "not defined"
    interval = f" ({float(low):.2f}–{float(high):.2f})" if low and high else ""
    return f"{float(value):.2f}{interval}"


def _tones(contract: Contract) -> str:
    source = contract.provenance.get("tone_source")
    if not contract.groups:
        return "Skin tones of its training rows are not recorded: it was not compared over them."
    told = f" (tones: {visible(source, 200)})" if source else ""
    return f"Skin-tone groups: {', '.join(visible(g, 80) for g in contract.groups)}{told}."


def _metadata(
    contract: Contract, name: str, split: str, rows: list[dict[str, str]]
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "library_name": "timm",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "dermatology", "skin-lesion", "onnx"],
    }
    whole = next((row for row in rows if row["attribute"] == "all"), {})
    metrics = [
        {"type": kind, "name": title, "value": round(float(whole[kind]), 4)}
        for kind, title in _COLUMNS.items()
        if whole.get(kind)
    ]
    if metrics:
        data = str(contract.provenance.get("config", {}).get("dataset", "skin lesions"))
        of = {"name": f"{data}, {split} rows", "type": data}
        task = {"type": "image-classification"}
        results = [{"task": task, "dataset": of, "metrics": metrics}]
        found["model-index"] = [{"name": name, "results": results}]
    return found
