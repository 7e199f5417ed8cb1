"""From the times of ONNX Runtime's kernels to seconds per operator, each kernel counted once.

hocket names every node by its operator, that is by its first output. The engine fuses nodes and renames them
(`relu_1_nchwc`, `linear/MatMulAddFusion`), so a kernel belongs to the operator whose name its own begins with; an
operator without a kernel was fused into a neighbour and shares the neighbour's time by its part of the work.
"""

import math
import re
from collections import deque
from collections.abc import Mapping
from typing import Protocol

from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.graph.topology import VIEWS, units
from hocket.profile.profile import NodeProfile, Profile

_ENGINE_PARTS = re.compile(r"_token_\d+|_nchwc$|^fused ")
"""What ONNX Runtime adds to the name of a node that it changes, apart from a path after a slash."""


class Measured(Protocol):
    """What measuring one model on one node gives."""

    @property
    def kernel_s(self) -> Mapping[str, float]:
        """Node of the session's graph -> seconds of its kernel in one inference."""

    @property
    def whole_s(self) -> float:
        """Seconds of one inference without the profiler."""

    @property
    def call_s(self) -> float:
        """The part of `whole_s` that a call costs whatever it computes."""

    @property
    def threads(self) -> int:
        """Threads of the session."""

    @property
    def host(self) -> str:
        """Processor and system."""


def measured_profile(graph: Graph, measurements: Mapping[str, Measured], *, version: str = "") -> Profile:
    """Make a profile of what was measured on each node.

    Args:
        graph: the model that ran.
        measurements: node -> what was measured there, emulation included.
        version: of hocket and ONNX Runtime.

    Raises:
        ProfileError: times that are not those of this graph, or no times at all.
    """
    if not measurements:
        raise ProfileError("a measured profile needs at least one node, got none; measure one")
    sha256 = graph.source.sha256 if graph.source else ""
    entries = tuple(_entry(graph, node, measured) for node, measured in measurements.items())
    return Profile(graph=graph.name, sha256=sha256, how="measured", entries=entries, version=version)


def _entry(graph: Graph, node: str, measured: Measured) -> NodeProfile:
    seconds, scale = attribute_kernels(graph, measured.kernel_s, measured.whole_s - measured.call_s)
    return NodeProfile(
        node=node,
        seconds=seconds,
        call_s=measured.call_s,
        bindings=graph.bindings,
        kernel_scale=scale,
        host=measured.host,
        threads=measured.threads,
    )


def attribute_kernels(graph: Graph, kernel_s: Mapping[str, float], whole_s: float) -> tuple[dict[str, float], float]:
    """Divide the time of a whole model among its operators as its kernels did.

    Args:
        graph: the model; its operators bear the names of the session's nodes.
        kernel_s: node -> seconds of its kernel.
        whole_s: seconds that the answer adds up to, measured without the profiler, which itself takes time.

    Returns:
        Seconds of every operator (0 for a folded one, whose producer carries its time), and the scale
        `whole_s` / sum of all kernel times.

    Raises:
        ProfileError: a time that is no time, or no kernel that bears the name of an operator.
    """
    _check_times(kernel_s, whole_s)
    found = _by_unit(graph, kernel_s)
    total = sum(found.values())
    if total <= 0:
        raise ProfileError(
            f"kernels bear the names of operators, and none of {len(kernel_s)} belongs to {graph.name!r};"
            " measure the model that hocket wrote"
        )
    shared = _shared(graph, found)
    seconds = {operator.name: 0.0 for operator in graph.operators}
    for position, value in shared.items():
        seconds[graph.operators[position].name] = value * whole_s / total
    return seconds, whole_s / sum(kernel_s.values())


def _check_times(kernel_s: Mapping[str, float], whole_s: float) -> None:
    for name, seconds in [*kernel_s.items(), ("the whole model", whole_s)]:
        if not (math.isfinite(seconds) and seconds >= 0):
            raise ProfileError(f"a time is a finite number >= 0 s, and that of {name!r} is {seconds!r}; measure again")
    if whole_s == 0:
        raise ProfileError("a model takes more than 0 s, and the whole model took none; measure with more repeats")


def owner(graph: Graph, kernel: str) -> str | None:
    """The operator that a kernel's name begins with; None if it bears no operator's name."""
    if kernel in graph.operator:
        return kernel
    name = _ENGINE_PARTS.sub("", kernel)
    while name and name not in graph.operator:
        name = name.rpartition("/")[0]
    return name or None


def _by_unit(graph: Graph, kernel_s: Mapping[str, float]) -> dict[int, float]:
    """Seconds by the first position of a unit, for those units that have a kernel."""
    homes = {position: unit.operators[0] for unit in units(graph) for position in unit.operators}
    found: dict[int, float] = {}
    loose: dict[str, float] = {}
    for kernel, seconds in kernel_s.items():
        name = owner(graph, kernel)
        if name is None:
            loose[kernel] = seconds
        else:
            home = homes[graph.index[name]]
            found[home] = found.get(home, 0.0) + seconds
    return found | _by_kind(graph, loose, set(homes.values()) - found.keys())


def _by_kind(graph: Graph, loose: Mapping[str, float], vanished: set[int]) -> dict[int, float]:
    """Give kernels with made-up names (`SkipLayerNormalization_7`) to the vanished operators of that kind, by work.

    What fits no operator (a change of memory layout) is left out here, and spread over all by the scale.
    """
    kinds: dict[str, list[int]] = {}
    for position in sorted(vanished):
        kinds.setdefault(graph.operators[position].kind, []).append(position)
    found: dict[int, float] = {}
    for kernel, seconds in loose.items():
        fitting = [position for kind, positions in kinds.items() if kind in kernel for position in positions]
        total = sum(_work(graph, position) for position in fitting)
        for position in fitting if total else []:
            found[position] = found.get(position, 0.0) + seconds * _work(graph, position) / total
    return found


def _shared(graph: Graph, found: Mapping[int, float]) -> dict[int, float]:
    """Let every vanished unit share the time of the nearest unit with a kernel, by work."""
    groups: dict[int, list[int]] = {position: [position] for position in found}
    for position, carrier in _carriers(graph, found).items():
        groups[carrier].append(position)
    shared: dict[int, float] = {}
    for carrier, members in groups.items():
        work = {position: _work(graph, position) for position in members}
        total = sum(work.values())
        for position in members:
            part = work[position] / total if total else float(position == carrier)
            shared[position] = found[carrier] * part
    return shared


def _carriers(graph: Graph, found: Mapping[int, float]) -> dict[int, int]:
    """Vanished unit -> the unit with a kernel that it was fused into: the nearest, a reader rather than a producer,
    because the engine names a fused kernel by its last output."""
    near = _neighbours(graph)
    carriers: dict[int, int] = {}
    for start in near:
        if start in found:
            continue
        queue, seen = deque([start]), {start}
        while queue:
            here = queue.popleft()
            if here in found:
                carriers[start] = here
                break
            fresh = [position for position in near[here] if position not in seen]
            seen.update(fresh)
            queue.extend(fresh)
    return carriers


def _neighbours(graph: Graph) -> dict[int, list[int]]:
    """Unit -> units that read what it makes, then units whose results it reads."""
    members = {unit.operators[0]: unit.operators for unit in units(graph)}
    homes = {position: home for home, positions in members.items() for position in positions}
    readers: dict[int, dict[int, None]] = {home: {} for home in members}
    producers: dict[int, dict[int, None]] = {home: {} for home in members}
    for position, operator in enumerate(graph.operators):
        for name in operator.inputs:
            if name in graph.producer and homes[graph.producer[name]] != homes[position]:
                readers[homes[graph.producer[name]]][homes[position]] = None
                producers[homes[position]][homes[graph.producer[name]]] = None
    return {home: [*readers[home], *producers[home]] for home in members}


def _work(graph: Graph, position: int) -> float:
    """How much there is to do, roughly: operations and bytes; views do nothing."""
    operator = graph.operators[position]
    return 0.0 if operator.kind in VIEWS else operator.flops + operator.moved_bytes
