"""From a solution to what a server serves."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hocket.control.live.deploy import deploy
from hocket.errors import PlanError
from hocket.serve.backend import Answerer
from hocket.serve.live import LiveAnswerer
from hocket.solvers import Solution


@contextmanager
def open_answerers(solution: Solution, name: str = "", **options: Any) -> Iterator[Sequence[Answerer]]:
    """Deploy a solution and keep it alive; what was started ends with the context.

    Args:
        solution: plan and problem.
        name: what clients call the only task; empty = the tasks' own names.
        options: as for `hocket.deploy`.

    Raises:
        PlanError: one name for several tasks, or the plan does not fit its problem.
        NodeError: a node cannot be started or reached.
    """
    if name and len(solution.problem.tasks) > 1:
        raise PlanError(f"{len(solution.problem.tasks)} tasks have their own names, and {name!r} is one; leave it out")
    with deploy(solution, **options) as live:
        yield [LiveAnswerer(name or task, session) for task, session in live.tasks.items()]
