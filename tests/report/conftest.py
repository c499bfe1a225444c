"""Predictions tables, as the tests of evaluation draw them."""

from tests.evaluation.conftest import random_table, table  # noqa: F401
