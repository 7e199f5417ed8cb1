"""An MLP whose weights are divided on both axes, over a grid of nodes."""

from collections.abc import Sequence

from hocket.graph.regions import slicer_of
from hocket.plan import Run, Split
from hocket.plan.cuts import shared
from hocket.solvers.layout import Floats
from hocket.solvers.tensor.layers import Half
from hocket.solvers.tensor.team import Team, cuts, run


def two_products(team: Team, half: Half) -> tuple[int, int] | None:
    """Places in the head of its two products with weights; None if there are more (a gate), or none before the last."""
    operators = [team.graph.operator[name] for name in half.head]
    found = [place for place, operator in enumerate(operators) if operator.macs and operator.weights]
    if len(found) != 2 or len(slicer_of(team.graph).contraction(half.head[found[0]])) != 1:
        return None
    return found[0], found[1]


def by_grid(team: Team, half: Half, weights: Sequence[float] | Floats, along: int) -> list[Run | None]:
    """A head as two runs, each divided on both axes of its weights.

    Node (x, y) contracts part x of the width for its part of the hidden units in the first product, and contracts part
    y of the hidden units for its part of the width in the second.

    Args:
        team: K hosts, the first `along` of them with y = 0, and so on.
        half: an MLP with two products.
        weights: of the hosts.
        along: parts of the width, a divisor of K.
    """
    places = two_products(team, half)
    if places is None or along < 2:
        return [team.by_units(half, weights)]
    first, second = half.head[: places[0] + 1], half.head[places[0] + 1 :]
    hosts = range(len(team.hosts))
    rows = [[host for host in hosts if host % along == x] for x in range(along)]
    columns = [[host for host in hosts if host // along == y] for y in range(len(hosts) // along)]
    width = slicer_of(team.graph).contraction(first[-1])[0].size
    shares = [float(weight) for weight in weights]
    return [
        run(first, _nested(team, rows, shares, width, team.graph.tensor[first[-1]].shape)),
        run(second, _nested(team, columns, shares, half.size, team.graph.tensor[second[-1]].shape)),
    ]


def _nested(
    team: Team, groups: Sequence[Sequence[int]], shares: Sequence[float], size: int, shape: Sequence[int]
) -> Split:
    """Contracted among groups of hosts, and by columns of the result within each."""
    parts = []
    for group in groups:
        given = [shares[host] for host in group]
        sizes = shared(given if sum(given) else [1.0] * len(group), shape[-1])
        parts.append(Split(axis=len(shape) - 1, parts=tuple(team.hosts[host] for host in group), cuts=cuts(sizes)))
    totals = [sum(shares[host] for host in group) for group in groups]
    return Split(axis="contract", parts=tuple(parts), cuts=cuts(shared(totals, size)))
