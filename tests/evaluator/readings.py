"""What the files of an evaluation say, read for a test."""

import json

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event

MEASURED = ("overall", "groups", "gaps", "calibration")


def strict_json(path):
    def refuse(constant):
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(encoding="utf-8"), parse_constant=refuse)


def measured(evaluation, parts=MEASURED):
    return {part: evaluation[part] for part in parts}


def leaves(value, path=""):
    """The numbers and texts of a JSON by where they are."""
    if not isinstance(value, dict | list):
        return {path: value}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {k: v for key, item in items for k, v in leaves(item, f"{path}/{key}").items()}


def values(part):
    return {name: figure["value"] for name, figure in part["metrics"].items()}


def limits(part):
    return {name: (figure["low"], figure["high"]) for name, figure in part["metrics"].items()}


def same(value, expected):
    """Whether a number of a JSON is this one; null is undefined."""
    return np.isnan(expected) if value is None else value == pytest.approx(expected, abs=1e-12)


def read_events(folder):
    """The values of a folder's TensorBoard events by their tags."""
    (path,) = folder.iterdir()
    content, start, found = path.read_bytes(), 0, {}
    while start < len(content):  # length, its checksum, the record, its checksum
        end = start + 12 + int.from_bytes(content[start : start + 8], "little")
        found |= {
            value.tag: value for value in Event.FromString(content[start + 12 : end]).summary.value
        }
        start = end + 4
    return found
