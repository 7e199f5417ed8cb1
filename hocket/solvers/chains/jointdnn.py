"""JointDNN: every layer on the mobile or in the cloud, with as many changes between them as are worth it.

Solves    latency or energy of the mobile, under limits on latency, energy and price, of one task whose source can
          compute, and a cloud
Answer    the shortest path through the graph of (layer, mobile or cloud) that keeps the limits: the method's own sums,
          not the judge's; of several clouds the one with the best path
Time      O(D L) without limits; with limits as many labels as no other label dominates, at most `most_labels` per
          vertex; L = blocks, D = clouds
Source    Eshratifar, Abrishami, Pedram: JointDNN, IEEE TMC 20(2) 2021, pp. 565-576
Departs   the integer program of the constrained case is solved exactly by labels that no other label dominates; layers
          are blocks between single tensors; inference only
Cards     jointdnn
"""

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from hocket.cost import Problem
from hocket.solvers.additive import SUMS, Additive
from hocket.solvers.chain import Chain
from hocket.solvers.chains.rows import placed, refuses_source, settled
from hocket.solvers.checks import require
from hocket.solvers.layout import Floats, Layout
from hocket.solvers.solver import Proposal
from hocket.solvers.stop import Stop

_EQUAL = 1 + 1e-12


class Label(NamedTuple):
    """A path to a vertex: what it has taken of everything that counts, the objective first."""

    taken: tuple[float, ...]
    hosts: tuple[int, ...]
    """0 = mobile, 1 = cloud, of each block so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JointDnn:
    """See the module."""

    name: ClassVar[str] = "jointdnn"
    exact_for: ClassVar[frozenset[str]] = frozenset()

    mode: Literal["auto", "latency", "energy"] = "auto"
    """Seconds or joules of the mobile are minimised; auto = energy where the objective is energy, else latency."""
    most_labels: int = 2000
    """Most labels that are kept at a vertex, those of least objective; with fewer than all the path may not be best."""

    def refuses(self, problem: Problem) -> str | None:
        """Several tasks, a mobile that cannot compute, or no cloud."""
        reason = refuses_source(problem)
        if reason:
            return reason
        if len(_hosts(problem)) < 2:
            return f"there is no cloud: only {problem.task.source!r}, where the inputs are, can compute"
        return None

    def __call__(self, problem: Problem, *, seed: int = 0, stop: Stop | None = None) -> Proposal:  # noqa: ARG002
        """The shortest path that keeps the limits."""
        require(self, problem)
        chains, limits = self._chains(problem)
        layout = chains[0].layout
        mobile = layout.hosts.index(problem.cluster.index[problem.task.source])
        best: tuple[Label, int] | None = None
        for cloud in range(len(layout.hosts)):
            if cloud == mobile:
                continue
            blocks = [chain.of_blocks[:, [mobile, cloud]] for chain in chains]
            steps = [chain.of_steps[:, [mobile, cloud]][:, :, [mobile, cloud]] for chain in chains]
            found = best_path(blocks, steps, limits, self.most_labels)
            if found is not None and (best is None or found.taken[0] < best[0].taken[0] * (1 - 1e-12)):
                best = (found, cloud)
        searched = "all paths over layers on the mobile and one cloud"
        if best is None:
            return settled(problem, None, searched, {})
        label, cloud = best
        places = chains[0].places([cloud if side else mobile for side in label.hosts])
        notes = {"cloud": layout.nodes[layout.hosts[cloud]], "own_value": f"{label.taken[0]:.9g}",
                 "changes": str(int(np.abs(np.diff(label.hosts)).sum()))}  # fmt: skip
        return settled(problem, placed(chains[0], places), searched, notes)

    def _chains(self, problem: Problem) -> tuple[list[Chain], list[float]]:
        """The objective and each limit, priced per block; and how much each may be (infinity for the objective)."""
        energy = self.mode == "energy" or (self.mode == "auto" and problem.objective.metric == "energy")
        first = _mobile_only(problem) if energy else problem
        chains, limits = [_priced(first, "energy" if energy else "sequential")], [np.inf]
        bounds = dict(problem.objective.limits)
        if problem.task.deadline_s is not None:
            bounds["latency"] = min(problem.task.deadline_s, bounds.get("latency", np.inf))
        for metric, limit in sorted(bounds.items()):
            known = "sequential" if metric == "latency" else metric
            if known in SUMS:
                chains.append(_priced(problem, known))
                limits.append(limit)
        return chains, limits


def _hosts(problem: Problem) -> list[str]:
    return [node.name for node in problem.cluster.nodes if node.name in problem.task.profile.nodes]


def _priced(problem: Problem, metric: str) -> Chain:
    return Chain(Additive(Layout(problem, problem.task), {metric: 1.0}))


def _mobile_only(problem: Problem) -> Problem:
    """The same problem where only the mobile takes power."""
    free = {"compute_w": 0.0, "idle_w": 0.0, "transmit_w": 0.0, "receive_w": 0.0, "kappa": None}
    nodes = tuple(node if node.name == problem.task.source else node.replace(**free) for node in problem.cluster.nodes)
    return problem.replace(cluster=problem.cluster.replace(nodes=nodes))


def best_path(
    of_blocks: list[Floats], of_steps: list[Floats], limits: list[float], most_labels: int = 2000
) -> Label | None:
    """The path of least objective whose other sums keep their limits; None if there is none.

    Args:
        of_blocks: for the objective and each limited sum, (L, 2) what each block takes on the mobile and in the cloud.
        of_steps: the same for the step before each block, (L, 2, 2).
        limits: the most of each.
        most_labels: how many labels are kept at a vertex.
    """
    labels: list[list[Label]] = [[Label(tuple(0.0 for _ in limits), ())]]
    for block in range(len(of_blocks[0])):
        following = []
        for side in (0, 1):
            options = []
            for label in (label for some in labels for label in some):
                former = label.hosts[-1] if label.hosts else side
                taken = tuple(
                    total + float(blocks[block, side] + (steps[block, former, side] if block else 0.0))
                    for total, blocks, steps in zip(label.taken, of_blocks, of_steps, strict=True)
                )
                if np.isfinite(taken[0]) and all(t <= most * _EQUAL for t, most in zip(taken, limits, strict=True)):
                    options.append(Label(taken, (*label.hosts, side)))
            following.append(undominated(options)[:most_labels])
        labels = following
    ends = [label for some in labels for label in some]
    return min(ends, default=None)


def undominated(labels: list[Label]) -> list[Label]:
    """The labels that no other label is at least as good as in everything, least objective first.

    >>> [label.taken for label in undominated([Label((2.0, 1.0), ()), Label((1.0, 3.0), ()), Label((2.0, 4.0), ())])]
    [(1.0, 3.0), (2.0, 1.0)]
    """
    kept: list[Label] = []
    for label in sorted(labels):
        if not any(all(a <= b for a, b in zip(other.taken, label.taken, strict=True)) for other in kept):
            kept.append(label)
    return kept
