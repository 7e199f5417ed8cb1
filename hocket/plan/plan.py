"""The plan: for every operator where it runs, for every tensor that crosses how it travels.

Every solver returns this one type. It is written for people too: operators are named by their first output
tensor, runs of them as `first..last` or by the path of their module.
"""

from typing import Annotated, Literal

import msgspec

from hocket.nouns import Noun, Value

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]


class Split(Value, frozen=True, tag_field="kind", tag="split"):
    """A run of operators divided along one axis of its result, or along its contracted axis."""

    axis: int | Literal["contract"]
    parts: "tuple[str | Split | Copies, ...]"
    cuts: tuple[int, ...] | None = None
    """Positions between the parts, rising, one fewer than the parts; equal neighbours make an empty part."""
    weights: tuple[NonNegative, ...] | None = None
    """For an axis whose length is not fixed: shares, turned into positions by largest remainder."""
    granularity: Annotated[int, msgspec.Meta(ge=1)] = 1
    border: Literal["recompute", "exchange"] = "recompute"


class Copies(Value, frozen=True, tag_field="kind", tag="copies"):
    """The same work on several nodes."""

    nodes: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
    mode: Literal["race", "mirror", "deal"] = "race"
    """First answer wins; all compute and keep equal state; each request to one of them."""


class Run(Value, frozen=True):
    """Operators in topological order, and where they run."""

    operators: str
    """One operator, `first..last` (both included), or the path of a module."""
    on: str | Split | Copies


class Crossing(Value, frozen=True):
    """How one tensor travels to one node."""

    tensor: str
    target: str
    codec: str = "raw"


class Gate(Value, frozen=True):
    """An early exit that is armed."""

    exit: str
    threshold: float
    temperature: Annotated[float, msgspec.Meta(gt=0)] = 1.0


class Setting(Value, frozen=True):
    """What a node can choose for itself."""

    node: str
    frequency_hz: NonNegative | None = None
    transmit_w: NonNegative | None = None
    channel: str | None = None


class Entry(Value, frozen=True):
    """How one task is served. A task without an entry is refused; one with several has its requests dealt out."""

    task: str
    where: tuple[Run, ...]
    weight: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Share of the task's requests, relative to the task's other entries."""
    codecs: tuple[Crossing, ...] = ()
    """Crossings that do not travel raw."""
    gates: tuple[Gate, ...] = ()
    order: dict[str, int] = {}
    """Operator -> priority, least first; operators that are not listed have 0."""
    shares: dict[str, NonNegative] = {}
    """Resource or node -> fraction, or whole cores, that this task may use; others are not limited."""
    settings: tuple[Setting, ...] = ()
    slices: tuple[int, ...] = ()
    """Lengths on the sequence axis that a request is divided into; () = not divided."""
    loads: tuple[str, ...] = ()
    """Order in which weights are sent; () = they are installed before."""


class Plan(Noun, frozen=True, tag="hocket.plan/1"):
    """Where and how every task of a problem is computed."""

    entries: tuple[Entry, ...]
    graph: dict[str, str] = {}
    """Task -> sha256 of its graph's file; empty for graphs made in memory."""
    variant: str = ""
    """Which version of the model (an exit, a pruned width); empty = the model as it is."""
