"""The model as planners see it: operators in topological order, tensors with one producer and many readers."""

from collections.abc import Callable, Set
from functools import cached_property
from typing import Annotated, Literal, TypeVar

import msgspec

from hocket.errors import GraphError
from hocket.nouns import Noun, Value

_ITEM_BITS = {
    "float64": 64, "int64": 64, "uint64": 64, "complex64": 64,
    "float32": 32, "int32": 32, "uint32": 32,
    "float16": 16, "bfloat16": 16, "int16": 16, "uint16": 16,
    "int8": 8, "uint8": 8, "bool": 8, "float8_e4m3fn": 8, "float8_e5m2": 8,
    "int4": 4, "uint4": 4, "string": 512,
}  # fmt: skip
MOST_BYTES = 1 << 60
"""No tensor is larger; beyond it a shape is a mistake, and floats could not hold what follows from it."""
Length = Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=MOST_BYTES)]
Count = Annotated[float, msgspec.Meta(ge=0)]
Kept = TypeVar("Kept")


class Tensor(Value, frozen=True):
    """An activation: made once, read by any number of operators."""

    name: str
    dtype: str
    """A numpy name, float32 for example."""
    shape: tuple[Length, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    @property
    def nbytes(self) -> int:
        """Bytes without any codec."""
        return nbytes(self.dtype, self.shape)


class Operator(Value, frozen=True):
    """One operator of the model. Its name is the name of its first output tensor."""

    name: str
    kind: str
    """The ONNX operator kind, with its domain in front if it is not the standard one."""
    inputs: tuple[str, ...]
    """Activations that it reads, each once, in the order of their first use; weights and constants are not here."""
    outputs: tuple[str, ...]
    weights: tuple[str, ...] = ()
    """Initializers that it reads."""
    macs: Count = 0.0
    """Multiply-accumulates."""
    flops: Count = 0.0
    """Floating-point operations: two for a multiply-accumulate."""
    weight_bytes: Bytes = 0
    moved_bytes: Bytes = 0
    """Bytes read and written: weights, inputs and outputs. The memory side of a roofline."""
    scope: str = ""
    """Path of the module that it came from, `features.3.conv` for example; empty if not known."""


class Buffer(Value, frozen=True):
    """A weight that is none: it stays where its operator is, and each request of a sequence changes it in place."""

    past: str
    """The weight that the operator reads."""
    present: str
    """What the operator makes of it: an output that no other operator reads."""
    dtype: str
    shape: tuple[Length, ...]


class Counter(Value, frozen=True):
    """A weight that is no weight: a number that follows from how far a sequence has come."""

    name: str
    """The weight that operators read."""
    counts: Literal["last", "total"]
    """Position of the last element that a request brings, counted from 0; or elements so far, its own included."""
    dtype: str
    shape: tuple[Length, ...]
    """All of its elements are that number."""


class Source(Value, frozen=True):
    """The file that a graph was read from."""

    path: str
    sha256: str
    """Of the ONNX file without external data, and the shapes that its inputs were bound to."""
    has_weights: bool = True


class Graph(Noun, frozen=True, tag="hocket.graph/1", dict=True):
    """An immutable model: structure, sizes and costs, but no weights.

    Operators stand in topological order; this is checked when one is made.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    """Every activation, inputs included."""
    weights: dict[str, Bytes] = {}
    """Bytes of each initializer that some operator reads."""
    source: Source | None = None
    bindings: dict[str, int] = {}
    """The number given to each symbolic dimension."""
    body: bytes = b""
    """The same model as ONNX without its weights, from which the slicing rules work; empty for a graph made by hand,
    whose operators are not divided."""

    buffers: tuple[Buffer, ...] = ()
    """What its nodes keep for each sequence: key-value caches."""
    counters: tuple[Counter, ...] = ()
    """What its nodes know of each sequence."""
    free: dict[str, tuple[tuple[int, Length], ...]] = {}
    """Tensor -> (axis, most) for axes whose length differs from request to request; the shape is what is planned."""
    stacks: tuple[str, ...] = ()
    """Tensors that have one entry along axis 0 for each sequence: requests of several may be put together there."""

    def __post_init__(self) -> None:
        self._check_tensors()
        self._check_buffers()
        known = {tensor.name for tensor in self.inputs}
        for operator in self.operators:
            self._check_operator(operator, known)
            known.update(operator.outputs)
        declared = {tensor.name for tensor in self.tensors}
        for name in sorted(known - declared):
            raise GraphError(f"tensor {name!r} has no shape; list it in the graph's tensors")
        for name in self.outputs:
            if name not in known:
                raise GraphError(f"nothing makes the output {name!r}; list an existing tensor")

    def _check_tensors(self) -> None:
        if len({tensor.name for tensor in self.tensors}) != len(self.tensors):
            raise GraphError(f"tensor names are unique, and {self.name!r} repeats one; rename it")
        for tensor in self.tensors:
            if tensor.nbytes > MOST_BYTES:
                raise GraphError(
                    f"a tensor has at most 2^60 bytes, and {tensor.name!r} of {self.name!r} has more; correct its shape"
                )

    def _check_buffers(self) -> None:
        declared = {tensor.name: tensor for tensor in self.tensors}
        for buffer in self.buffers:
            if buffer.past not in self.weights:
                raise GraphError(f"a buffer is a weight that some operator reads, and {buffer.past!r} is none; list it")
        for counter in self.counters:
            if counter.name not in self.weights:
                raise GraphError(
                    f"a counter is a weight that some operator reads, and {counter.name!r} is none; list it"
                )
        for name, axes in self.free.items():
            if name not in declared or any(axis >= len(declared[name].shape) for axis, _ in axes):
                raise GraphError(f"free axes are those of a tensor, and {name!r} has no {list(axes)}; correct them")
        for name in self.stacks:
            if name not in declared or declared[name].shape[:1] != (1,):
                raise GraphError(f"a tensor that stacks has length 1 along axis 0, and {name!r} has not; leave it out")

    def _check_operator(self, operator: Operator, known: Set[str]) -> None:
        for name in operator.inputs:
            if name not in known:
                raise GraphError(
                    f"operator {operator.name!r} reads {name!r} before anything makes it;"
                    " sort the operators topologically first"
                )
        for name in operator.weights:
            if name not in self.weights:
                raise GraphError(
                    f"operator {operator.name!r} reads the weight {name!r}, whose size is not known; list it in the"
                    " graph's weights"
                )
        if not operator.outputs or operator.outputs[0] != operator.name:
            raise GraphError(f"an operator is named by its first output, and {operator.name!r} is not; rename it")
        for position, name in enumerate(operator.outputs):
            if name in known or name in operator.outputs[:position]:
                raise GraphError(f"a tensor has one producer, and {name!r} has two; rename one of them")

    def kept(self, make: "Callable[[Graph], Kept]") -> "Kept":
        """What a function derives from this graph, derived once and kept as long as the graph lives."""
        key = f"kept {make.__module__}.{make.__qualname__}"
        if key not in self.__dict__:
            self.__dict__[key] = make(self)
        value: Kept = self.__dict__[key]
        return value

    @cached_property
    def tensor(self) -> dict[str, Tensor]:
        """Tensor by name."""
        return {tensor.name: tensor for tensor in self.tensors}

    @cached_property
    def operator(self) -> dict[str, Operator]:
        """Operator by name."""
        return {operator.name: operator for operator in self.operators}

    @cached_property
    def index(self) -> dict[str, int]:
        """Topological position of each operator by name."""
        return {operator.name: position for position, operator in enumerate(self.operators)}

    @cached_property
    def producer(self) -> dict[str, int]:
        """Position of the operator that makes a tensor; inputs of the graph are not in it."""
        return {name: position for position, operator in enumerate(self.operators) for name in operator.outputs}

    @cached_property
    def readers(self) -> dict[str, tuple[int, ...]]:
        """Positions of the operators that read a tensor, rising; () if none does."""
        readers: dict[str, list[int]] = {tensor.name: [] for tensor in self.tensors}
        for position, operator in enumerate(self.operators):
            for name in operator.inputs:
                readers[name].append(position)
        return {name: tuple(positions) for name, positions in readers.items()}

    @cached_property
    def flops(self) -> float:
        """Floating-point operations of one inference."""
        return sum(operator.flops for operator in self.operators)

    @cached_property
    def macs(self) -> float:
        """Multiply-accumulates of one inference."""
        return sum(operator.macs for operator in self.operators)

    @cached_property
    def weight_bytes(self) -> int:
        """Bytes of all weights, each once."""
        return sum(self.weights.values())


def nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    """Bytes of a dense tensor.

    Raises:
        GraphError: the element type is not known.

    >>> nbytes("float32", (1, 3, 224, 224))
    602112
    """
    if dtype not in _ITEM_BITS:
        raise GraphError(f"element type {dtype!r} is not known; cast the tensor to one of {', '.join(_ITEM_BITS)}")
    size = 1
    for length in shape:
        size *= length
    return (size * _ITEM_BITS[dtype] + 7) // 8
