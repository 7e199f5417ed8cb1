"""The plans of a live session by number, and what each needs to be run: programs and the models of their segments."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from hocket.control.live.facts import Facts, World
from hocket.control.live.thinking import changed, programs_of
from hocket.cost import Problem
from hocket.cost.evaluate import durations, entries_of
from hocket.graph.model import Model
from hocket.plan import Plan
from hocket.plan.build import Artifacts, build
from hocket.program import Artifact, Program


class Made(NamedTuple):
    """One line of a plan, ready to be brought to its nodes."""

    program: Program
    artifacts: Mapping[str, Sequence[Artifact]]
    """By node."""
    weights: Artifacts
    expected_s: Mapping[str, float]
    """Segment -> seconds that the profile promises."""


class Shelf:
    """Numbers plans, and makes what they need once; `made` may be called from another thread.

    Args:
        problem: of one task, with the cluster as it is described.
        model: the weights.
        others: name -> the problem with another model, and that model.
    """

    def __init__(
        self, problem: Problem, model: Model, others: Mapping[str, tuple[Problem, Model]] | None = None
    ) -> None:
        self._models = {"": (problem, model), **(others or {})}
        self._numbers: dict[tuple[str, frozenset[tuple[str, str]], str], int] = {}
        self._plans: list[tuple[Plan, World, str]] = []
        self._made: dict[int, list[Made]] = {}
        self._lock = threading.Lock()

    def number(self, plan: Plan, facts: Facts, world: World) -> Facts:
        """The facts of a plan with its number; a plan that takes other ways around what is missing is another one."""
        key = (plan.to_json(), facts.hops, facts.variant)
        if key not in self._numbers:
            self._numbers[key] = len(self._plans)
            self._plans.append((plan, World(missing=world.missing, cut=world.cut), facts.variant))
        return replace(facts, plan=self._numbers[key])

    def plan(self, number: int) -> Plan:
        """The plan of a number."""
        return self._plans[number][0]

    def made(self, number: int) -> list[Made]:
        """What the lines of a plan need.

        Raises:
            HocketError: the plan does not fit the cluster or the model.
        """
        with self._lock:
            if number not in self._made:
                self._made[number] = self._make(*self._plans[number])
            return self._made[number]

    def _make(self, plan: Plan, world: World, variant: str) -> list[Made]:
        # Routes lead around what is missing, and rates are those of the cluster: the nodes imitate them.
        original, model = self._models[variant]
        problem = changed(original, world)
        made = []
        for program, (_, entry) in zip(programs_of(problem, plan), entries_of(plan, problem.task), strict=True):
            built = build(model, program)
            artifacts: dict[str, list[Artifact]] = {}
            by_segment = {artifact.segment: artifact for artifact in built.artifacts}
            for segment in program.segments:
                artifacts.setdefault(segment.node, []).append(by_segment[segment.id])
            expected = durations(original, original.task, program, entry).segments
            made.append(Made(program, artifacts, built, dict(expected)))
        return made
