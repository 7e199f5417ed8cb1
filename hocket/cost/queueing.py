"""Waiting at a station with Poisson arrivals: M/M/1, M/D/1, and M/G/1 where several streams of requests meet.

Waiting (without service) and sojourn (with it) are kept apart; the survey's worked example adds a sojourn time
to a latency that already contains the service.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

from hocket.errors import InfeasibleError

Queue = Literal["none", "mm1", "md1"]


class Stream(NamedTuple):
    """Requests that come to a station, all with the same mean service."""

    rate_per_s: float
    service_s: float


def wait_s(queue: Queue, rate_per_s: float, service_s: float) -> float:
    """Mean seconds in the queue before service begins.

    M/M/1: rho s / (1 - rho); M/D/1: half of it (Pollaczek-Khinchine); rho = rate x service.

    Raises:
        InfeasibleError: the station is asked for as much as it can do, or more (C2).

    >>> round(wait_s("mm1", 5.0, 0.1), 9), round(wait_s("md1", 5.0, 0.1), 9)
    (0.1, 0.05)
    """
    return wait_of_streams_s(queue, [Stream(rate_per_s, service_s)])


def wait_of_streams_s(queue: Queue, streams: Iterable[Stream]) -> float:
    """Mean seconds in the queue of a station that serves several streams, first come, first served.

    "md1": each stream has one length of service, so the station is an M/G/1 with W = sum rate s^2 / (2 (1 - rho))
    (Pollaczek-Khinchine). "mm1": services are exponential with the mean of all, so W = rho s / (1 - rho).

    Raises:
        InfeasibleError: the station is asked for as much as it can do, or more (C2).

    >>> round(wait_of_streams_s("md1", [Stream(2.0, 0.1), Stream(1.0, 0.4)]), 9)
    0.225
    """
    arrivals = load = square = 0.0
    for rate_per_s, service_s in streams:
        arrivals += rate_per_s
        load += rate_per_s * service_s
        square += rate_per_s * service_s**2
    if queue == "none" or load == 0:
        return 0.0
    if load >= 1:
        raise InfeasibleError(
            f"C2: a queue is stable below full load, and {arrivals:g}/s of {load / arrivals:g} s are {load:.3g};"
            " lower the rate or use a faster node"
        )
    if queue == "md1":
        return square / (2 * (1 - load))
    return load * (load / arrivals) / (1 - load)


def sojourn_s(queue: Queue, rate_per_s: float, service_s: float) -> float:
    """Mean seconds from arrival to the end of service: `wait_s` + service.

    >>> round(sojourn_s("mm1", 5.0, 0.1), 9)
    0.2
    """
    return wait_s(queue, rate_per_s, service_s) + service_s
