"""What a plan costs: the problem, the timeline, and the one evaluator."""

from hocket.cost.cost import Cost, Violation
from hocket.cost.engine import Durations, Job, timeline
from hocket.cost.evaluate import durations, evaluate
from hocket.cost.make import problem_for, read_problem
from hocket.cost.many import Evaluator
from hocket.cost.problem import Objective, Problem, Task
from hocket.cost.simulate import simulate
from hocket.cost.table import Table

__all__ = [
    "Cost",
    "Durations",
    "Evaluator",
    "Job",
    "Objective",
    "Problem",
    "Table",
    "Task",
    "Violation",
    "durations",
    "evaluate",
    "problem_for",
    "read_problem",
    "simulate",
    "timeline",
]
