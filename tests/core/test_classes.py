"""The class to detect: by its name, by a usual name, else the last."""

import pytest

from src.core.classes import positive_index, require_class_names
from src.core.errors import UserError

OF_TWO = (
    *(("True", "False"), ("yes", "no"), ("Positive", "negative"), ("1", "0"), ("1.0", "0.0")),
    *(("1", "-1"), ("true", "x"), ("cancer", "benign"), ("mel", "benign")),
)


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
        *(((positive, negative), "", 0) for positive, negative in OF_TWO),
        *(((negative, positive), "", 1) for positive, negative in OF_TWO),
        (("mel", "true"), "", 0),
        (("2", "1", "0"), " 1.0", 1),
        (("true", "false", "unsure"), "", 2),
        (("0", "-1"), "", 1),
    ],
)
def test_index_of_the_class_to_detect(classes, wanted, index):
    assert positive_index(classes, wanted) == index
    assert positive_index(list(classes), wanted) == index


def test_a_class_that_is_none_is_refused():
    with pytest.raises(UserError, match="positive='mel': expected one of a, b"):
        positive_index(("a", "b"), "mel")


def test_class_names_are_tidied_and_told_apart():
    assert require_class_names([" a  b", "1.0", "c"], "x") == ("a b", "1", "c")
    for names, named in (
        (("a", "b", "a"), "x: classes '0 a' and '2 a' have the same name"),
        (("Mel", "mel "), "x: classes '0 Mel' and '1 mel' have the same name"),
        (("1", "1.0"), "x: classes '0 1' and '1 1' have the same name"),
        (("a", " "), "x: class 1 has no name"),
        (("a", "\ud800"), r"x: class 1, \\ud800, is not valid text"),
    ):
        with pytest.raises(UserError, match=named):
            require_class_names(names, "x")
