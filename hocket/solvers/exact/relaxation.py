"""Lower bounds from the linear relaxation of all placements of units."""

from hocket.solvers.additive import SUMS
from hocket.solvers.exact.figures import Figures
from hocket.solvers.layout import Layout

_MOST_PAIRS = 8_000  # pairs of hosts over all readers of tensors, which take about a second
_MOST_PAIRS_OF_TIMES = 2_500  # where times couple all units the program takes several times as long


def pairs_of(layout: Layout) -> int:
    """How many variables the crossings take: a pair of hosts for each reader of each tensor."""
    return sum(len(net.readers) for net in layout.nets) * len(layout.hosts) ** 2


def relaxed_bound(layout: Layout, metric: str, reference: float) -> float:
    """A value of a metric that no placement beats; 0 where the program would be too large.

    Args:
        layout: units and nets of one task; its constraints are left out.
        metric: any but `weighted`.
        reference: a typical value of it, above 0.
    """
    most = _MOST_PAIRS if metric in SUMS else _MOST_PAIRS_OF_TIMES
    if pairs_of(layout) > most or not layout.units:
        return 0.0
    figures = Figures(layout.problem, layout)
    cost, constant = figures.of(metric)
    return figures.linear.relaxed(cost, reference).bound + constant
