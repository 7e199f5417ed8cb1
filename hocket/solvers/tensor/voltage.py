"""Division by positions: each node computes some positions of every layer from all of its input.

Solves    every metric of one task that is a Transformer loaded from ONNX, on two or more nodes
Answer    one plan, that of the rule; it minimises nothing. Notes: the order of multiplication that the rule chooses for
          each node, and the seconds of all layers with it
Time      O(D V), and one judgement; V = operators, D = nodes
Source    Hu, Li: When the Edge Meets Transformers, ICDCS 2024, pp. 82-92, section IV
Departs   plans run the exported order of multiplication, (x Wq)(X Wk)^T; the other order is another graph, so the rule
          and its price are computed and noted, and not run. [standard] shares in proportion to speed. The main node
          computes the embedding and what follows the layers
Cards     voltage
"""

from dataclasses import dataclass
from typing import ClassVar

from hocket.cost import Problem
from hocket.plan import Run
from hocket.plan.cuts import shared
from hocket.solvers.checks import require
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop
from hocket.solvers.tensor.collectives import position_bytes
from hocket.solvers.tensor.layers import Half
from hocket.solvers.tensor.team import Team, refuses_team, rows_axis, some


@dataclass(frozen=True, slots=True, kw_only=True)
class Voltage:
    """See the module."""

    name: ClassVar[str] = "voltage"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, no Transformer, or fewer than two nodes."""
        return refuses_team(problem)

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The plan of the rule."""
        require(self, problem)
        team = Team(problem)
        runs: list[Run | None] = [some(team.layers.prologue, team.main)]
        for layer in team.layers.groups():
            names = tuple(name for half in layer for name in half.names)
            runs.append(team.by_rows(names, team.speeds(names)))
        runs.append(some(team.layers.epilogue, team.main))
        return team.planned(self.name, runs, **_notes(team))


def reassociates(part: int, positions: int, width: int, head_width: int) -> bool:
    """Whether (x Wq Wk^T) X^T takes fewer multiplications than (x Wq)(X Wk)^T, and (A X) Wv than A (X Wv).

    1 / P - 1 / N > (F - F_H) / (F F_H): for few positions it is cheaper not to project all of the others.

    Args:
        part: P, positions that the node computes, at least 1.
        positions: N, of the whole input.
        width: F, of a position's vector.
        head_width: F_H.

    >>> reassociates(1, 128, 768, 64), reassociates(32, 128, 768, 64), reassociates(128, 128, 768, 64)
    (True, True, False)
    """
    return 1 / part - 1 / positions > (width - head_width) / (width * head_width)


def attention_macs(part: int, positions: int, width: int, head_width: int, *, reassociated: bool) -> int:
    """Multiplications of one head for some positions, from the input to the mixed values.

    >>> attention_macs(1, 2, 4, 2, reassociated=False), attention_macs(1, 2, 4, 2, reassociated=True)
    (48, 40)
    """
    query = part * width * head_width
    if reassociated:
        scores = query + part * head_width * width + part * positions * width
        return scores + part * positions * width + part * width * head_width
    scores = query + positions * width * head_width + part * positions * head_width
    return scores + positions * width * head_width + part * positions * head_width


def _notes(team: Team) -> dict[str, str]:
    """Order of each node in the first attention, and seconds of all layers with the cheaper order."""
    first = next(half for half in team.layers.halves if half.kind == "attention")
    seconds, orders = 0.0, []
    for layer in team.layers.groups():
        names = tuple(name for half in layer for name in half.names)
        shape = team.graph.tensor[names[-1]].shape
        axis = rows_axis(team.graph, names[-1])
        if axis is None:
            continue
        parts = shared([float(speed) for speed in team.speeds(names)], shape[axis])
        slowest = 0.0
        for host, part in enumerate(parts):
            slowest = max(slowest, sum(_half_s(team, half, host, part, shape[axis]) for half in layer))
        seconds += slowest + _gather_s(team, team.graph.tensor[names[-1]].nbytes)
        if first in layer:
            width = team.graph.tensor[first.entry].shape[-1]
            folded = [part and reassociates(part, shape[axis], width, first.granule) for part in parts]
            orders = [
                f"{host} {'(x Wq Wk^T) X^T' if fold else '(x Wq)(X Wk)^T'}"
                for host, fold in zip(team.hosts, folded, strict=True)
            ]
    return {"order": ", ".join(orders), "layers_s": f"{seconds:.6g}"}


def _half_s(team: Team, half: Half, host: int, part: int, positions: int) -> float:
    """Seconds of some positions, with the cheaper order."""
    whole = float(team.seconds(half.names)[host])
    if not part or half.kind == "mlp":
        return whole * part / positions
    width, head_width = team.graph.tensor[half.entry].shape[-1], half.granule
    fold = reassociates(part, positions, width, head_width)
    done = attention_macs(part, positions, width, head_width, reassociated=fold) + part * width * head_width
    all_of_it = (
        attention_macs(positions, positions, width, head_width, reassociated=False) + positions * width * head_width
    )
    return whole * done / all_of_it


def _gather_s(team: Team, nbytes: int) -> float:
    """An all-gather over the slowest pair of nodes."""
    return max(
        team.problem.cluster.transfer_s(team.main, host, position_bytes(nbytes, len(team.hosts)))
        for host in team.hosts[1:]
    )
