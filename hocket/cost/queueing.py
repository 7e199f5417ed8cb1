"""Waiting at a station with Poisson arrivals: M/M/1 and M/D/1.

Waiting (without service) and sojourn (with it) are kept apart; the survey's worked example adds a sojourn time
to a latency that already contains the service.
"""

from typing import Literal

from hocket.errors import InfeasibleError

Queue = Literal["none", "mm1", "md1"]


def wait_s(queue: Queue, rate_per_s: float, service_s: float) -> float:
    """Mean seconds in the queue before service begins.

    M/M/1: rho s / (1 - rho); M/D/1: half of it (Pollaczek-Khinchine); rho = rate x service.

    Raises:
        InfeasibleError: the station is asked for as much as it can do, or more (C2).

    >>> round(wait_s("mm1", 5.0, 0.1), 9), round(wait_s("md1", 5.0, 0.1), 9)
    (0.1, 0.05)
    """
    load = rate_per_s * service_s
    if queue == "none" or load == 0:
        return 0.0
    if load >= 1:
        raise InfeasibleError(
            f"C2: a queue is stable below full load, and {rate_per_s:g}/s of {service_s:g} s are {load:.3g};"
            " lower the rate or use a faster node"
        )
    mean = load * service_s / (1 - load)
    return mean if queue == "mm1" else mean / 2


def sojourn_s(queue: Queue, rate_per_s: float, service_s: float) -> float:
    """Mean seconds from arrival to the end of service: `wait_s` + service.

    >>> round(sojourn_s("mm1", 5.0, 0.1), 9)
    0.2
    """
    return wait_s(queue, rate_per_s, service_s) + service_s
