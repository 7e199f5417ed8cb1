"""Letting faults happen in a lab at their times."""

import time
from collections.abc import Callable, Sequence
from itertools import product

from hocket.lab.faults import Fault, timeline
from hocket.lab.lab import Lab


def play(
    lab: Lab,
    faults: Sequence[Fault],
    *,
    tell: Callable[[Fault], None] = lambda _: None,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Let faults happen, and mend those that have an end; returns after the last.

    Args:
        lab: where.
        faults: their times count from now.
        tell: called with each when it has happened, and with what mended it.
        sleep: for tests.
    """
    begin_s = time.monotonic()
    for fault in timeline(faults):
        sleep(max(begin_s + fault.at_s - time.monotonic(), 0.0))
        happen(lab, fault)
        tell(fault)


def happen(lab: Lab, fault: Fault) -> None:
    """Let one fault happen now.

    Raises:
        NodeError: it cannot, as to stop a node that does not run.
    """
    actions: dict[str, Callable[[], None]] = {
        "kill": lambda: lab.kill(fault.node),
        "restart": lambda: lab.restart(fault.node),
        "stop": lambda: lab.stop(fault.node),
        "continue": lambda: lab.resume(fault.node),
        "partition": lambda: lab.partition(fault.source, fault.target),
        "oneway": lambda: lab.oneway(fault.source, fault.target),
        "heal": lambda: lab.heal(fault.source or None, fault.target or None),
        "load_cpu": lambda: lab.load_cpu(fault.node, fault.for_s or 0.0, fault.share),
        "load_memory": lambda: lab.load_memory(fault.node, fault.for_s or 0.0, fault.nbytes),
    }
    if fault.do in actions:
        actions[fault.do]()
        return
    for source, target in product(fault.source, fault.target):
        if fault.do == "rate":
            lab.set_rate(source, target, fault.bytes_per_s)
        elif fault.do == "delay":
            lab.set_latency(source, target, fault.latency_s)
        else:
            lab.set_loss(source, target, fault.loss or 0.0)
