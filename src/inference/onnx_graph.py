"""What an ONNX file says of itself before it is run: read from its bytes, without the onnx package.

The numbers are those of the fields in onnx.proto.
"""

from collections.abc import Iterator
from typing import NamedTuple

_GRAPH, _FUNCTIONS = 7, 25
_NODE, _INITIALIZER, _SPARSE_INITIALIZER = 1, 5, 15
_NODE_INPUT, _NODE_OUTPUT, _NODE_TYPE, _NODE_ATTRIBUTE = 1, 2, 4, 5
# a message's fields that hold messages with tensors, by the kind of message
_INSIDE = {
    "model": {_GRAPH: "graph", _FUNCTIONS: "function"},
    "graph": {_NODE: "node", _INITIALIZER: "tensor", _SPARSE_INITIALIZER: "sparse"},
    "function": {7: "node"},
    "node": {_NODE_ATTRIBUTE: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_TENSOR_EXTERNAL_DATA = 13
# what changes neither the values of a tensor nor their order
_KEEPS_VALUES = {
    *("Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Dropout"),
    *("QuantizeLinear", "DequantizeLinear"),
}
# linear steps: those of integers are multiplied by their scale, and a bias may be added to all
_OF_INTEGERS = ("MatMulInteger", "ConvInteger")
LINEAR = ("Gemm", "MatMul", "Conv", "QGemm", "QLinearMatMul", "QLinearConv", *_OF_INTEGERS)
_ADDS_BIAS = ("Add", "QLinearAdd")
_MOST_DEEP = 50


class Span(NamedTuple):
    """A message within the bytes of a file."""

    start: int
    end: int


def last_operation(data: bytes, output: str) -> str:
    """The operation that computes an output, such as Softmax; empty where it cannot be told.

    Casts and changes of shape after it do not count, nor do the scale and bias of a linear step.
    """
    try:
        fields = _fields(data, Span(0, len(data)))
        (graph,) = (place for field, place in fields if field == _GRAPH and place is not None)
        producers = dict(_producers(data, graph))
    except ValueError:
        return ""
    operation, inputs = _scaled(producers, output)
    if operation in _ADDS_BIAS:
        added = {_scaled(producers, name)[0] for name in inputs} - {"", "Constant"}
        operation = added.pop() if len(added) == 1 and added <= set(LINEAR) else operation
    return operation


def _scaled(producers: dict[str, tuple[str, list[str]]], output: str) -> tuple[str, list[str]]:
    """`_last`, but for a product of integers by its scale that of the integers."""
    operation, inputs = _last(producers, output)
    factors = {_last(producers, name)[0] for name in inputs} if operation == "Mul" else set()
    return next((name for name in _OF_INTEGERS if name in factors), operation), inputs


def _last(producers: dict[str, tuple[str, list[str]]], output: str) -> tuple[str, list[str]]:
    """(the operation that computes an output's values, its inputs), empty where there is none."""
    operation, inputs = "", [output]
    for _ in range(_MOST_DEEP):
        operation, inputs = producers.get((inputs or [""])[0], ("", []))
        if operation not in _KEEPS_VALUES:
            break
    return operation, inputs


def external_files(data: bytes) -> list[str]:
    """The names of files that hold tensors of the model, sorted. Raises `ValueError`."""
    if b"location" not in data:  # the key that every reference to a file has
        return []
    return sorted(set(_locations(data, Span(0, len(data)), "model", 0)))


def _producers(data: bytes, graph: Span) -> Iterator[tuple[str, tuple[str, list[str]]]]:
    """The name of each node's output with the (operation, inputs) that give it."""
    for field, span in _fields(data, graph):
        if field != _NODE:
            continue
        parts = [(number, part) for number, part in _fields(data, span) if part is not None]
        inputs = [_text(data, part) for number, part in parts if number == _NODE_INPUT]
        kinds = [_text(data, part) for number, part in parts if number == _NODE_TYPE]
        for number, part in parts:
            if number == _NODE_OUTPUT:
                yield _text(data, part), ((kinds or [""])[0], inputs)


def _locations(data: bytes, message: Span, kind: str, depth: int) -> Iterator[str]:
    if depth > _MOST_DEEP:
        raise ValueError("nested too deeply")
    for field, span in _fields(data, message):
        if span is None:
            continue
        if kind == "tensor" and field == _TENSOR_EXTERNAL_DATA:
            entry = {number: _text(data, part) for number, part in _fields(data, span) if part}
            if entry.get(1) == "location":
                yield entry.get(2, "")
        elif inner := _INSIDE.get(kind, {}).get(field):
            yield from _locations(data, span, inner, depth + 1)


def _text(data: bytes, span: Span) -> str:
    return data[span.start : span.end].decode("utf-8", "replace")


def _fields(data: bytes, message: Span) -> Iterator[tuple[int, Span | None]]:
    """(number, place) of each field of a message; numbers have no place."""
    position, end = message
    while position < end:
        key, position = _varint(data, position, end)
        kind, span = key & 7, None
        if kind == 0:
            _, position = _varint(data, position, end)
        elif kind in (1, 5):
            position += 8 if kind == 1 else 4
        elif kind == 2:
            length, position = _varint(data, position, end)
            span = Span(position, position + length)
            position += length
        else:
            raise ValueError("not protobuf")
        if position > end:
            raise ValueError("truncated")
        yield key >> 3, span


def _varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 64, 7):
        if position >= end:
            raise ValueError("truncated")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise ValueError("not protobuf")
