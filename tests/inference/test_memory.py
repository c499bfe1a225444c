"""A file whose tensors grow without bound while it runs is stopped, not the machine."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from src.core.errors import UserError
from src.core.memory import peak_megabytes
from src.inference.session import Session
from tests.inference.onnx_files import node, save, value


@pytest.mark.parametrize("depends_on_images", [False, True])
def test_a_tensor_of_a_terabyte_is_refused(tmp_path, depends_on_images):
    shape = helper.make_tensor("shape", TensorProto.INT64, [3], [2**10, 2**14, 2**14])
    nodes = [node("ConstantOfShape", "shape", "huge")]
    if depends_on_images:
        nodes = [
            node("Shape", "x", "sides", start=0, end=1),
            node("Mul", "shape sides", "grown"),
            node("ConstantOfShape", "grown", "huge"),
        ]
    nodes += [
        node("ReduceMax", "huge", "highest", keepdims=0),
        node("ReduceMean", "x", "means", axes=[2, 3], keepdims=0),
        node("Add", "means highest", "scores"),
    ]
    path = save(tmp_path / "x.onnx", nodes, [value("scores", None)], ["n", 3, 8, 8], [shape])
    before = peak_megabytes()
    with pytest.raises(UserError, match=r"x\.onnx"):
        Session(path).run(np.zeros((1, 3, 8, 8), np.float32), ["scores"])
    assert peak_megabytes() - before < 1000
