"""What a node looks at before it loads a model from the network.

A node has no `onnx` package, so this walks the protobuf's fields itself. It need not understand a model, only find
everything that could reach outside of it: references to files, operators from other domains (which could be
libraries of code), and functions. ONNX Runtime then checks the rest when it loads the model.
"""

from collections.abc import Iterator

from hocket.errors import GraphError
from hocket.program import ABSENT

DOMAINS = frozenset(["", "ai.onnx", "ai.onnx.ml", "com.microsoft"])
MOST_MODEL_BYTES = 256 << 20
_MOST_DEPTH = 8
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5

# Field numbers of onnx.proto.
_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN = 1
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_ATTRIBUTE, _NODE_DOMAIN = 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_SPARSE_TENSORS = (1, 2)
_ENTRY_KEY, _ENTRY_VALUE = 1, 2
_LOCATION_EXTERNAL = 1

Field = tuple[int, "int | memoryview"]


def check_model(model: bytes | memoryview) -> frozenset[str]:
    """Refuse a model that could reach outside of itself.

    Returns:
        Names of the initializers whose data are absent.

    Raises:
        GraphError: it is too large, not a protobuf, or refers to files, foreign operators or functions.
    """
    if len(model) > MOST_MODEL_BYTES:
        raise GraphError(
            f"a model without its weights has at most {MOST_MODEL_BYTES} bytes, got {len(model)};"
            " send large weights apart"
        )
    absent: set[str] = set()
    graphs = 0
    for number, value in _fields(memoryview(model)):
        if number == _MODEL_GRAPH:
            _check_graph(_message(value), absent, 0)
            graphs += 1
        elif number == _MODEL_OPSET:
            _check_domain(_text(_message(value), _OPSET_DOMAIN))
        elif number == _MODEL_FUNCTIONS:
            raise GraphError("a model from the network has no functions of its own; inline them first")
    if graphs != 1:
        raise GraphError(f"a model has one graph, these {len(model)} bytes have {graphs}; send an ONNX model")
    return frozenset(absent)


def _check_graph(graph: memoryview, absent: set[str], depth: int) -> None:
    if depth > _MOST_DEPTH:
        raise GraphError(f"graphs within graphs go {_MOST_DEPTH} deep at most; flatten the model")
    for number, value in _fields(graph):
        if number == _GRAPH_NODE:
            _check_node(_message(value), absent, depth)
        elif number == _GRAPH_INITIALIZER:
            _check_tensor(_message(value), absent)
        elif number == _GRAPH_SPARSE:
            _check_sparse(_message(value), absent)


def _check_node(node: memoryview, absent: set[str], depth: int) -> None:
    for number, value in _fields(node):
        if number == _NODE_DOMAIN:
            _check_domain(_decode(_message(value)))
        elif number == _NODE_ATTRIBUTE:
            for inner, content in _fields(_message(value)):
                if inner in _ATTRIBUTE_GRAPHS:
                    _check_graph(_message(content), absent, depth + 1)
                elif inner in _ATTRIBUTE_TENSORS:
                    _check_tensor(_message(content), absent)
                elif inner in _ATTRIBUTE_SPARSE:
                    _check_sparse(_message(content), absent)


def _check_sparse(sparse: memoryview, absent: set[str]) -> None:
    for number, value in _fields(sparse):
        if number in _SPARSE_TENSORS:
            _check_tensor(_message(value), absent)


def _check_tensor(tensor: memoryview, absent: set[str]) -> None:
    name, external, locations = "", False, []
    for number, value in _fields(tensor):
        if number == _TENSOR_NAME:
            name = _decode(_message(value))
        elif number == _TENSOR_EXTERNAL:
            external = True
            entry = _message(value)
            if _text(entry, _ENTRY_KEY) == "location":
                locations.append(_text(entry, _ENTRY_VALUE))
        elif number == _TENSOR_LOCATION:
            external = external or value == _LOCATION_EXTERNAL
    if not external:
        return
    if locations != [ABSENT]:
        raise GraphError(
            f"initializer {name!r} refers to {locations or 'no place'}; absent data are at {ABSENT!r} only"
        )
    absent.add(name)


def _check_domain(domain: str) -> None:
    if domain not in DOMAINS:
        known = ", ".join(sorted(DOMAINS - {""}))
        raise GraphError(f"operators of domain {domain!r} are not run from the network; use those of {known}")


def _text(message: memoryview, wanted: int) -> str:
    found = ""
    for number, value in _fields(message):
        if number == wanted:
            found = _decode(_message(value))  # as in protobuf, the last one counts
    return found


def _decode(value: memoryview) -> str:
    try:
        return str(value, "utf-8")
    except UnicodeDecodeError:
        raise _broken("a name is not UTF-8") from None


def _message(value: "int | memoryview") -> memoryview:
    if isinstance(value, int):
        raise _broken("a number stands where a message should")
    return value


def _broken(why: str) -> GraphError:
    return GraphError(f"these bytes are not an ONNX model ({why}); send one that was saved whole")


def _fields(data: memoryview) -> Iterator[Field]:
    """Field numbers and values of one protobuf message."""
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        kind = tag & 7
        if kind == _VARINT:
            number, place = _varint(data, place)
            yield tag >> 3, number
            continue
        if kind == _BYTES:
            size, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            size = 8 if kind == _FIXED64 else 4
        else:
            raise _broken(f"wire type {kind}")
        if size > end - place:
            raise _broken("it ends early")
        yield tag >> 3, data[place : place + size]
        place += size


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            raise _broken("it ends early")
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise _broken("a number is too long")
