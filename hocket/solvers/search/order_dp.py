"""Where to cut a chain whose devices and their order are given: dynamic programming over boundaries."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hocket.solvers.chain import Chain
from hocket.solvers.layout import Floats
from hocket.solvers.stages import Runs, Stage

Aim = Literal["sum", "period"]


def runs_for(chain: Chain, aim: Aim, calls: Floats, devices: int) -> Runs:
    """A chain as runs on so many devices; for sums its costs stand in place of seconds.

    Args:
        chain: the blocks.
        aim: whether costs of runs are added or the busiest counts.
        calls: (D,) what it costs to enter a device.
        devices: how many are used at once; memory holds mailboxes for one request more.
    """
    ends = chain.room(devices + 1)
    if aim == "period":
        enter, steps, leave = chain.holds
        return Runs(chain.seconds, calls, enter, steps, leave, ends)
    width = len(chain.hosts)
    return Runs(chain.before, calls, np.zeros(width), chain.of_steps, np.zeros(width), ends)


def best_split(runs: Runs, order: Sequence[int], aim: Aim) -> tuple[float, list[Stage]] | None:
    """The best division among devices in a given order, each with at least one block; None if none fits.

    h[r][j] = min_{i<j} agg(h[r-1][i], step i, work i..j), agg = + for sums and max for the period.

    Args:
        runs: the chain.
        order: hosts, each at most once.
        aim: how stages are put together.
    """
    put = np.add if aim == "sum" else np.maximum
    size = runs.length
    below = np.arange(size + 1)[None, :] > np.arange(size)[:, None]
    value = np.full(size + 1, np.inf)
    value[0] = runs.enter[order[0]]
    came = []
    for place, host in enumerate(order):
        begin = value[:-1] if place == 0 else put(value[:-1], runs.steps[:, order[place - 1], host])
        work = runs.call_s[host] + runs.before[None, :, host] - runs.before[:-1, host][:, None]
        fits = below & (np.arange(size + 1)[None, :] <= runs.ends[:, host][:, None])
        table = np.where(fits, put(begin[:, None], work), np.inf)
        came.append(table.argmin(axis=0))
        value = table.min(axis=0)
    total = float(put(value[size], runs.leave[order[-1]]))
    if not np.isfinite(total):
        return None
    stages, stop = [], size
    for host, starts in zip(reversed(order), reversed(came), strict=True):
        stages.append(Stage(int(starts[stop]), stop, host))
        stop = int(starts[stop])
    return total, stages[::-1]
