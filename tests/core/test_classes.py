"""The class to detect: by its name, by a usual name, else the last."""

import pytest

from src.core.classes import positive_index
from src.core.errors import UserError


@pytest.mark.parametrize(
    ("classes", "wanted", "index"),
    [
        (("benign", "malignant"), "", 1),
        (("Malignant", "Benign"), "", 0),
        (("MEL", "NV", "BCC"), "", 0),
        (("x", "y"), "", 1),
        (("MEL", "NV", "BCC"), "nv", 1),
        (("NV", "nv", "Nv"), "nv", 1),
        (("NV", "nv", "Nv"), "nV", 0),
    ],
)
def test_index_of_the_class_to_detect(classes, wanted, index):
    assert positive_index(classes, wanted) == index
    assert positive_index(list(classes), wanted) == index


def test_a_class_that_is_none_is_refused():
    with pytest.raises(UserError, match="positive='mel': expected one of a, b"):
        positive_index(("a", "b"), "mel")
