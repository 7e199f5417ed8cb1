"""A suite: which problems, which solvers, how often and for how long. `load.py` reads and checks it."""

from typing import Annotated, Any

import msgspec

from hocket.cost import Objective
from hocket.cost.queueing import Queue
from hocket.nouns import Noun, Value

Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Relative = str | float
"""Text is a quantity with its unit; a number is relative, to what the key says."""
Draw = str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1)]
"""A preset, or presets to draw from."""


class Fleet(Value, frozen=True):
    """A cluster: a file, or one of the five architectures made of presets."""

    file: str = ""
    architecture: str = ""
    """one_to_one, many_to_one, one_to_many, many_to_many or peer_to_peer."""
    devices: Count | None = None
    servers: Count | None = None
    device: Draw | None = None
    server: Draw | None = None
    radio: Draw | None = None
    wire: str | None = None
    seed: int | None = None
    """Of the draw; needed where a key has several presets."""
    nodes: dict[str, dict[str, Any]] = {}
    """Pattern of node names -> keys of a cluster's TOML file that replace what the nodes have."""


class Variant(Value, frozen=True):
    """What else a problem asks. Numbers are relative, so that one variant fits models of all sizes."""

    sources: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None = None
    """Patterns of node names: each node that fits makes a task; absent = the cluster's source makes one."""
    rate: Relative | None = None
    """Arrivals of each task; a number: requests per latency of the whole model at its source."""
    deadline: Relative | None = None
    """A number: times the latency of the whole model at its source."""
    memory: dict[str, Relative] = {}
    """Pattern of node names -> most bytes; a number: times the weights of all models of the problem."""
    reliability: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    accuracy: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    input_codecs: dict[str, Annotated[float, msgspec.Meta(ge=0)]] = {}
    queue: Queue = "none"
    margin: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    whole_model: bool = False


class Group(Value, frozen=True):
    """Problems: each of the models on each of the clusters, with each objective, in each variant."""

    name: str
    models: Annotated[tuple[str | Names, ...], msgspec.Meta(min_length=1)]
    """Paths of ONNX files or zoo:NAME; a list of them gives the tasks different models, in turn."""
    clusters: Names
    objectives: Names = ("latency",)
    variants: Names = ("plain",)
    solvers: Names | None = None
    """Absent = the suite's."""
    without: tuple[str, ...] = ()
    """Solvers that are left out here, besides the suite's."""


class Sample(Group, frozen=True):
    """Problems whose plans are really run on this computer, with profiles that are measured first."""

    requests: Count = 5
    repeats: Count = 5
    """Calls that the medians of the profile are taken of."""


class Suite(Noun, frozen=True, tag="hocket.suite/1"):
    """Everything that a comparison is made of."""

    name: str
    problems: Annotated[tuple[Group, ...], msgspec.Meta(min_length=1)]
    title: str = ""
    solvers: Names = ("all",)
    """Names of solvers or settings, family:NAME, or all."""
    without: tuple[str, ...] = ()
    seeds: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)] = (0,)
    time_limit: str | None = None
    """What a solver is told, as in `hocket solve --time-limit`; absent = its own rule, which sees no clock."""
    kill_after: str = "60 s"
    """A solver that takes longer is ended, and the row is late."""
    settings: dict[str, dict[str, Any]] = {}
    """Name -> a solver and its options, under which it takes part besides."""
    clusters: dict[str, Fleet] = {}
    objectives: dict[str, Objective] = {}
    """Besides the metrics, each of which is an objective by its own name."""
    variants: dict[str, Variant] = {}
    """Besides `plain`, which asks nothing more."""
    sample: tuple[Sample, ...] = ()
