"""The published minimum cut between a device and a server, and what it lacks without each of its repairs.

The published network has an arc from the device to each unit with its time on the server, one from each unit to the
server with its time on the device, and one from unit to unit with the time of the tensor between them. Three repairs
make its cut the best division in which nothing that the server makes goes back, except answers:

- inputs are pinned to the device, so that sending them up is not free;
- a tensor with several readers is paid once, through a vertex of its own, and not once per reader;
- arcs against the direction of the data forbid the server to feed the device, which a directed cut does not charge.

Costs express all of it, and one maximum flow (`solvers.cut`) does the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hocket.solvers.additive import Costs
from hocket.solvers.cut import least_cut
from hocket.solvers.layout import Floats, Net


@dataclass(frozen=True, slots=True)
class Repairs:
    """Which repairs of the published network are made."""

    pinned_inputs: bool = True
    once: bool = True
    one_way: bool = True


ALL_REPAIRS = Repairs()


class Stages(NamedTuple):
    """Seconds of the three stages of a division."""

    device_s: float
    way_s: float
    server_s: float


def two_sided(costs: Costs, device: int, server: int, repairs: Repairs = ALL_REPAIRS) -> Costs:
    """The costs whose least cut between two nodes is that of the published network.

    Args:
        costs: of units and nets.
        device: the node of the first part.
        server: the node of the second part.
        repairs: with all of them, a placement in which the server feeds the device costs inf, any other as much as it
            does by `costs`.
    """
    nets: list[Net] = []
    of_nets: list[Floats] = []
    for number, net in enumerate(costs.nets):
        for some, answers in _parts(net, device, repairs):
            cost = costs.of_nets[number].copy()
            if some.maker >= 0 and not answers:
                cost[server, device] = np.inf if repairs.one_way else 0.0
            nets.append(some)
            of_nets.append(cost)
    size = costs.of_units.shape[1]
    return Costs(costs.of_units, np.array(of_nets).reshape(len(nets), size, size), tuple(nets))


def _parts(net: Net, device: int, repairs: Repairs) -> list[tuple[Net, bool]]:
    """A net as the network charges it, each part with whether it is an answer that goes to the device."""
    if net.maker < 0 and not repairs.pinned_inputs:
        return []
    if net.maker < 0:
        forth, answer = net, []
    else:
        # An answer may go back to the device though nothing else may, so it is a net of its own.
        forth = net._replace(sinks=tuple(sink for sink in net.sinks if sink != device))
        answer = [(net._replace(readers=(), sinks=(device,)), True)] if device in net.sinks else []
    if repairs.once or len(forth.readers) < 2:
        parts = [forth]
    else:
        parts = [forth._replace(readers=(reader,), sinks=()) for reader in forth.readers]
        parts += [forth._replace(readers=())] if forth.sinks else []
    return [*((part, False) for part in parts if part.readers or part.sinks), *answer]


def stages(costs: Costs, places: Sequence[int], device: int, server: int) -> Stages:
    """What a division takes on the device, on the way and on the server.

    Args:
        costs: sequential.
        places: node of each unit.
        device: one of the two nodes.
        server: the other.
    """
    here = np.array(places, dtype=np.int64) == device
    device_s = float(costs.of_units[here, device].sum())
    server_s = float(costs.of_units[~here, server].sum())
    return Stages(device_s, costs.value(places) - device_s - server_s, server_s)


def weighted_cut(
    costs: Costs,
    device: int,
    server: int,
    weights: Stages = Stages(1.0, 1.0, 1.0),  # noqa: B008
    payments: Floats | None = None,
) -> list[int]:
    """The division of least weighted sum of its stages, payments added.

    With a server of speed q and a price p per unit, `weights.server_s` is the profile's speed / q and `payments` are p.

    Args:
        costs: of units and nets, `two_sided` or not.
        device: the node of the first part.
        server: the node of the second part.
        weights: what a second of each stage counts.
        payments: (U,) what each unit costs besides if it is on the server; absent = nothing.

    Returns:
        Node of each unit.
    """
    return least_cut(weighted(costs, device, server, weights, payments), device, server)


def weighted(costs: Costs, device: int, server: int, weights: Stages, payments: Floats | None = None) -> Costs:
    """The costs that `weighted_cut` cuts; only those of the two nodes are meant."""
    of_units = costs.of_units.copy()
    of_units[:, device] = _times(weights.device_s, of_units[:, device])
    of_units[:, server] = _times(weights.server_s, of_units[:, server])
    if payments is not None:
        of_units[:, server] += payments
    return costs._replace(of_units=of_units, of_nets=_times(weights.way_s, costs.of_nets))


def _times(weight: float, costs: Floats) -> Floats:
    # What is forbidden stays so, however little it counts.
    finite = np.isfinite(costs)
    return np.where(finite, weight * np.where(finite, costs, 0.0), np.inf)
