"""What the runtime executes: segments on nodes, transfers between nodes, states that stay.

A `Program` is structure only: no weights and no model bytes (`Artifact` carries those). It names
everything the runtime needs and nothing it does not: the runtime has no notion of a pipeline, a
tile, a head or a replica. A segment fires when its ports have what they wait for.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
import numpy as np

from hocket.nouns import Noun, Value
from hocket.program.parts import Part, Region

INPUT = "input"  # the source id of a tensor that the task brings with it

NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Site(Value, frozen=True):
    """A node as the runtime sees it."""

    name: str
    address: str = "tcp://127.0.0.1:0"
    slowdown: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = 1.0
    """How many times slower than its host this node computes; 1 = not emulated."""
    threads: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 1
    providers: tuple[str, ...] = ("CPUExecutionProvider",)


class Resource(Value, frozen=True):
    """Something that carries one transfer at a time: a link's direction, a node's port, a shared medium."""

    name: str
    bytes_per_s: Positive | None = None
    """Rate; None = not limited. Ignored where there is a trace."""
    trace: tuple[tuple[NonNegative, NonNegative], ...] = ()
    """(at_s, bytes_per_s) steps in rising time from 0, repeated after `trace_s`; rate 0 = nothing passes."""
    trace_s: Positive | None = None
    """Length of the trace; None = the last step lasts for ever."""


class Wire(Value, frozen=True):
    """The direct way from one node to another. A transfer holds all its resources for bytes / least rate;
    then the latency passes, holding nothing."""

    source: str
    target: str
    latency_s: NonNegative = 0.0
    resources: tuple[str, ...] = ()


class Port(Value, frozen=True):
    """An input of a segment: a tensor (or a region of one) and where it comes from."""

    tensor: str
    sources: tuple[str, ...]
    """Ids of the transfers, local segments, or `INPUT`, that deliver it."""
    region: Region | None = None
    """The part that this port needs; None = the whole tensor."""
    take: Literal["all", "first", "deadline"] = "all"
    """Wait for all sources (their regions are put together), the first of them, or what has come in time."""
    deadline_s: NonNegative | None = None
    """For `deadline`: seconds after the first arrival at this port."""
    name: str = ""
    """The input of the segment's model; empty = the tensor's name. A segment may need two regions of one tensor."""

    @property
    def label(self) -> str:
        """What the segment's model calls it."""
        return self.name or self.tensor


class Segment(Value, frozen=True):
    """A run of operators that one node computes in one call."""

    id: str
    node: str
    operators: tuple[str, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[str, ...]
    """Tensors that leave the segment."""
    priority: int = 0
    """Of the segments that are ready on a node the one with the least (request, priority, id) runs first."""
    gate: str | None = None
    """A boolean scalar output; where it is false the other outputs leave as voids."""
    output_regions: tuple[Region | None, ...] = ()
    """The part of each output tensor that this segment makes, in the order of `outputs`; None = all of it, () = all
    of each."""
    parts: tuple[Part, ...] = ()
    """What it computes, in order, where that is not its operators whole."""
    stacks: bool = False
    """Requests of several sequences, with inputs of the same shapes, may be computed as one, put together along axis 0
    of all that enters, leaves and stays. Each has one entry there."""


class Transfer(Value, frozen=True):
    """A tensor (or a region of one) that goes from one node to another, perhaps over others."""

    id: str
    tensor: str
    source: str
    """Id of the segment that makes it, or `INPUT`."""
    path: Annotated[tuple[str, ...], msgspec.Meta(min_length=2)]
    """Nodes from the first to the last; those between store and forward."""
    nbytes: Count
    """Bytes of the tensor before its codec."""
    codec: str = "raw"
    region: Region | None = None
    priority: int = 0


class State(Value, frozen=True):
    """A buffer that stays on its node between the requests of one sequence (a key-value cache).

    Its segment reads it as `past` and writes it as `present`, which is the same memory. It is filled from the front, a
    row for each position that a request brings.
    """

    segment: str
    past: str
    """The input of the segment's model."""
    present: str
    """The output of the segment's model."""
    dtype: str
    shape: tuple[Count, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of one sequence."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


class Counter(Value, frozen=True):
    """An input of a segment's model that its node makes: how far the request's sequence has come."""

    segment: str
    name: str
    counts: Literal["last", "total"]
    """Position of the last element that a request brings, counted from 0; or elements so far, its own included.

    Of requests that are computed as one: the last position of each, along axis 0; the total of the longest."""
    dtype: str
    shape: tuple[Count, ...]


class TensorInfo(Value, frozen=True):
    """Name, element type and shape of a tensor that enters, leaves or crosses."""

    name: str
    dtype: str
    """A numpy name: float32, int64, uint8, bool ..."""
    shape: tuple[Count, ...]
    free: tuple[Count, ...] = ()
    """Axes that may be shorter than `shape` says, but not empty: requests then differ in length."""

    def admits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of a shape is one of these.

        >>> TensorInfo(name="x", dtype="float32", shape=(1, 8, 4), free=(1,)).admits((1, 3, 4))
        True
        """
        return len(shape) == len(self.shape) and all(
            length == most or (axis in self.free and 1 <= length <= most)
            for axis, (length, most) in enumerate(zip(shape, self.shape, strict=True))
        )


class Binding(Value, frozen=True):
    """Where a tensor of the task enters or leaves: `source` is `INPUT` or the id of what delivers it to `node`."""

    tensor: str
    node: str
    source: str = INPUT


class Program(Noun, frozen=True, tag="hocket.program/1"):
    """Segments, transfers and states over sites and wires, for one task."""

    name: str
    sites: tuple[Site, ...]
    wires: tuple[Wire, ...]
    resources: tuple[Resource, ...]
    tensors: tuple[TensorInfo, ...]
    """Every tensor that enters, leaves or crosses a segment's border."""
    segments: tuple[Segment, ...]
    transfers: tuple[Transfer, ...]
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]
    states: tuple[State, ...] = ()
    counters: tuple[Counter, ...] = ()
    window: Annotated[int, msgspec.Meta(ge=1, le=4096)] = 2
    """Most requests under way at once; mailboxes are sized for it, so no node ever blocks on a peer."""

    def at(self, node: str) -> Iterator[Segment]:
        """The segments of one node."""
        return (segment for segment in self.segments if segment.node == node)

    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes that compute, relay, feed or receive something, sorted."""
        used = {segment.node for segment in self.segments} | {binding.node for binding in self.inputs + self.outputs}
        return tuple(sorted(used.union(*(transfer.path for transfer in self.transfers))))
