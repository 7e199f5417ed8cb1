"""`python -m hocket.lab.replay FOLDER`: gives each link and medium with a trace the rate that it had, as time goes."""

import math
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from hocket.lab.commands import change_rate
from hocket.lab.host import run
from hocket.lab.layout import trace_of
from hocket.lab.state import Made
from hocket.program import Resource

_LEAST_STEP_S = 0.01  # a command takes some milliseconds; of steps that follow faster only the last is taken


def next_rates(resources: Iterable[Resource], at_s: float) -> tuple[float, dict[str, float]]:
    """When a rate changes next after a moment, and what the rates are then.

    >>> link = Resource(name="link:a>b", trace=((0.0, 5.0), (2.0, 7.0)), trace_s=4.0)
    >>> next_rates([link], 2.0), next_rates([link], 4.5)
    ((4.0, {'link:a>b': 5.0}), (6.0, {'link:a>b': 7.0}))
    """
    traces = {resource.name: trace_of(resource) for resource in resources if resource.trace}
    changes_s = {name: trace.next_change_s(at_s) for name, trace in traces.items()}
    next_s = min(changes_s.values(), default=math.inf)
    return next_s, {name: traces[name].rate_at(next_s) for name, when_s in changes_s.items() if when_s == next_s}


def main(arguments: Sequence[str]) -> None:
    """Replay until the last trace has ended, or it is killed."""
    layout = Made(Path(arguments[0])).layout
    origin_s, at_s = time.monotonic(), 0.0
    while True:
        at_s, rates = next_rates(layout.cluster.resource.values(), at_s)
        if not rates:
            return
        early_s = origin_s + at_s - time.monotonic()
        if early_s > -_LEAST_STEP_S:
            time.sleep(max(early_s, 0.0))
        else:  # late: the rates of now, and on from there
            at_s = time.monotonic() - origin_s
            traced = [resource for resource in layout.cluster.resource.values() if resource.trace]
            rates = {resource.name: trace_of(resource).rate_at(at_s) for resource in traced}
        for name, bytes_per_s in rates.items():
            for argv in change_rate(layout.classes[name], bytes_per_s):
                run(argv)


if __name__ == "__main__":
    main(sys.argv[1:])
