"""What solving a problem gives: the plan, its cost, how far it is from the best, and how it was found."""

from typing import Any, Literal

from hocket.cost import Cost, Problem
from hocket.nouns import Noun
from hocket.plan import Plan
from hocket.plan.lower import lower
from hocket.program import Program

Option = str | int | float | bool | None | tuple[str | int | float, ...]


class Solution(Noun, frozen=True, tag="hocket.solution/1"):
    """A plan with everything that is needed to run it, judge it again or find it again."""

    problem: Problem
    plan: Plan
    cost: Cost
    """As the judge predicts it."""
    bound: float | None = None
    """No plan that computes each operator on one node has a lower value, and no plan at all if this one divides
    operators; None = not known."""
    gap: float | None = None
    """(value - bound) / value, 0 = nothing is better; None = not known."""
    optimal_over: Literal["units", "blocks", "stages", ""] = ""
    """Of which plans the solver proves that none is better: all placements of units, all placements of blocks of the
    chain, one run of blocks per node; "" = not proven."""
    solver: str = ""
    options: dict[str, Option] = {}
    seed: int = 0
    solve_s: float = 0.0
    """How long the solver took, without the judging of candidates."""
    candidates: dict[str, float | None] = {}
    """Value of the obvious plans: `local`, `remote:NODE`, and `remote:NODE+packed` where the input can be sent
    packed without loss; None = it breaks a constraint or has no way."""
    notes: dict[str, str] = {}

    def programs(self) -> tuple[Program, ...]:
        """The program of each entry."""
        tasks = {task.name: task for task in self.problem.tasks}
        return tuple(
            lower(tasks[e.task].graph, e, self.problem.cluster, tasks[e.task].inputs, tasks[e.task].outputs)
            for e in self.plan.entries
        )

    def stages(self) -> list[dict[str, Any]]:
        """What runs where, in topological order: task, node, operators."""
        return [
            {"task": program.name, "node": segment.node, "operators": list(segment.operators)}
            for program in self.programs()
            for segment in program.segments
        ]

    def crossings(self) -> list[dict[str, Any]]:
        """What travels, in topological order: task, tensor, source, target, nbytes (before its codec), codec."""
        return [
            {
                "task": program.name,
                "tensor": transfer.tensor,
                "source": transfer.path[0],
                "target": transfer.path[-1],
                "nbytes": transfer.nbytes,
                "codec": transfer.codec,
            }
            for program in self.programs()
            for transfer in program.transfers
        ]
