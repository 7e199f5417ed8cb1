"""How long each operator takes on each node, and how that is known."""

from functools import cached_property
from typing import Annotated, Literal

import msgspec

from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.nouns import Noun, Value

Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e12)]
"""Not more than 30 000 years, so that sums stay numbers."""


class CodecCost(Value, frozen=True):
    """What a codec does to one kind of tensor on one node, for each byte of the tensor before it."""

    ratio: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    """Bytes after / bytes before."""
    encode_s_per_byte: Seconds = 0.0
    decode_s_per_byte: Seconds = 0.0


class NodeProfile(Value, frozen=True):
    """One graph on one node, at one binding of the symbolic sizes and one number of cores."""

    node: str
    seconds: dict[str, Seconds]
    """Operator name -> seconds of the whole operator, emulation included. A folded operator has 0 and its
    producer carries the time."""
    call_s: Seconds = 0.0
    """Seconds that every call of a segment costs on top of its operators."""
    cores: Annotated[int, msgspec.Meta(ge=1)] = 1
    bindings: dict[str, int] = {}
    """Symbolic size -> number; batch, sequence and context length are such sizes. `kept` is how many positions of a
    sequence were there before the step that was measured."""
    codecs: dict[str, CodecCost] = {}
    """Codec name -> its cost here; `raw` costs nothing unless it is listed."""
    curve: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    """(share of an operator's work, share of its time), rising: a small slice is less efficient."""
    memory_s_per_byte: Seconds = 0.0
    """Seconds for each byte read or written where partial results are added up."""
    message_s: Seconds = 0.0
    """Seconds that every message which arrives costs besides its wire, while the node computes on; 0 where the link's
    latency was measured through the nodes and has it already."""
    error: float | None = None
    """Relative error of a predicted profile, cross-validated; None = measured or not known."""
    kernel_scale: float | None = None
    """Whole model / sum of kernel times, by which measured kernel times were scaled."""
    host: str = ""
    """Processor and system that it was measured on."""
    threads: int = 1


class Profile(Noun, frozen=True, tag="hocket.profile/1", dict=True):
    """Seconds per operator and node for one graph."""

    graph: str
    """Name of the graph."""
    sha256: str
    """Of the graph's file; empty for a graph made in memory."""
    how: Literal["measured", "predicted", "formula"]
    entries: tuple[NodeProfile, ...]
    version: str = ""
    """Versions of hocket and ONNX Runtime that it was made with."""

    @cached_property
    def nodes(self) -> dict[str, NodeProfile]:
        """The first entry of each node."""
        return {entry.node: entry for entry in reversed(self.entries)}

    def check_graph(self, graph: Graph) -> None:
        """Refuse a graph that the profile is not of; one without a file is taken as it is.

        Raises:
            ProfileError: it is of another file, or of other sizes.
        """
        expected = graph.source.sha256 if graph.source else ""
        if not expected or not self.sha256 or expected == self.sha256:
            return
        found = self.entries[0].bindings if self.entries else {}
        unlike = [f"{size} {found[size]}, not {n}" for size, n in graph.bindings.items() if found.get(size, n) != n]
        sizes = f" ({', '.join(unlike)})" if unlike else ""
        raise ProfileError(
            f"a profile is of one model file, and that of {self.graph!r} is of {self.sha256[:12]} where {graph.name!r}"
            f" is {expected[:12]}{sizes}; give each profile with its model"
        )

    def at(self, node: str) -> NodeProfile:
        """The entry of a node.

        Raises:
            ProfileError: the profile has none.
        """
        if node not in self.nodes:
            known = ", ".join(sorted(self.nodes)) or "none"
            raise ProfileError(f"the profile has no node {node!r} (it has {known}); measure that node")
        return self.nodes[node]
