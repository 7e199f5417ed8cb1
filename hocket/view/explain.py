"""What limits a plan, what faster nodes and links would buy, how far it is from the best, and why not the others."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hocket.cluster import Cluster, Direction, Link, Medium, RateTrace
from hocket.cost import Cost, Problem, evaluate
from hocket.errors import HocketError
from hocket.plan import Plan
from hocket.plan.placement import plan_for
from hocket.profile import NodeProfile, Profile
from hocket.units import show

_UNITS = {"latency": "s", "sequential": "s", "period": "s", "energy": "J", "price": "USD"}
_LEAST_GAIN = 0.005  # gains below half a per cent are not worth a sentence


def explain(
    problem: Problem,
    plan: Plan,
    cost: Cost,
    *,
    bound: float | None = None,
    candidates: Mapping[str, float | None] | None = None,
) -> list[str]:
    """Say in sentences what there is to know about a plan.

    Args:
        problem: what the plan is for.
        plan: what is explained.
        cost: the plan's, as `evaluate` gave it.
        bound: no plan has a lower value; None = not known.
        candidates: value of other plans by name, None = not allowed, as a solution has them; running everything on
            one node is always compared.
    """
    sentences = [_bottleneck(problem, cost)]
    sentences += [violation.sentence for violation in cost.violations]
    sentences += _what_if(problem, plan, cost)
    sentences.append(_distance(problem, cost, bound))
    sentences += _alternatives(problem, cost, candidates or {})
    return sentences


def _shown(problem: Problem, value: float) -> str:
    unit = _UNITS.get(problem.objective.metric)
    return show(value, unit) if unit else f"{value:.3g}"


def _bottleneck(problem: Problem, cost: Cost) -> str:
    if not cost.busy_s:
        return "Nothing is computed or sent, so nothing limits this plan."
    name, seconds = max(cost.busy_s.items(), key=lambda item: (item[1], item[0]))
    share = f", {100 * seconds / cost.latency_s:.0f} % of its latency of {show(cost.latency_s, 's')}"
    rate = f"; more than {1 / seconds:.3g} requests per second are not possible" if seconds else ""
    return (
        f"The bottleneck is {_resource(problem.cluster, name)}: busy for {show(seconds, 's')} of each request"
        f"{share if 0 < cost.latency_s < math.inf else ''}{rate}."
    )


def _resource(cluster: Cluster, name: str) -> str:
    """A resource in words; nodes are called by their names, the rest `kind:what`."""
    kind, _, what = name.partition(":")
    if name in cluster.node:
        return f"the node {name!r}"
    if kind == "link":
        source, _, target = what.partition(">")
        return f"the link from {source!r} to {target!r}"
    return {"medium": f"the medium {what!r}", "up": f"the uplink of {what!r}", "down": f"the downlink of {what!r}"}.get(
        kind, repr(name)
    )


def _what_if(problem: Problem, plan: Plan, cost: Cost) -> list[str]:
    """The same plan where one thing at a time is twice as fast, the largest gain first."""
    found: list[tuple[float, str]] = []
    useless: list[str] = []
    for what, changed in _changes(problem, cost):
        value = evaluate(changed, plan).value
        gain = 1 - value / cost.value if 0 < cost.value < math.inf else 0.0
        if gain < _LEAST_GAIN:
            useless.append(what)
            continue
        metric = problem.objective.metric
        found.append(
            (
                gain,
                f"With {what} twice as fast the {metric} of this plan would be {_shown(problem, value)} instead of"
                f" {_shown(problem, cost.value)} ({100 * gain:.0f} % less).",
            )
        )
    sentences = [sentence for _, sentence in sorted(found, key=lambda each: -each[0])]
    if useless:
        sentences.append(f"Twice as fast would buy next to nothing for {_listed(useless)}.")
    return sentences


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"


def _changes(problem: Problem, cost: Cost) -> list[tuple[str, Problem]]:
    """Everything that the plan uses, and the problem in which it is twice as fast."""
    changes: list[tuple[str, Problem]] = []
    for node in problem.cluster.nodes:
        if cost.busy_s.get(node.name):
            tasks = tuple(task.replace(profile=_faster_profile(task.profile, node.name)) for task in problem.tasks)
            changes.append((f"the node {node.name!r}", problem.replace(tasks=tasks)))
    for link in problem.cluster.links:
        first, second = link.between
        used = {f"link:{first}>{second}", f"link:{second}>{first}"} & cost.busy_s.keys()
        if used and not link.media:
            cluster = _faster_links(problem.cluster, [link])
            changes.append((f"the link {first!r} - {second!r}", problem.replace(cluster=cluster)))
    for medium in problem.cluster.media:
        if f"medium:{medium.name}" in cost.busy_s:
            # Whichever of the two is slower sets the pace, so a link is only as fast as its medium.
            cluster = _faster_medium(problem.cluster, medium)
            changes.append((f"the medium {medium.name!r} with its links", problem.replace(cluster=cluster)))
    return changes


def _faster_profile(profile: Profile, node: str) -> Profile:
    def halved(entry: NodeProfile) -> NodeProfile:
        seconds = {name: value / 2 for name, value in entry.seconds.items()}
        return entry.replace(seconds=seconds, call_s=entry.call_s / 2)

    return profile.replace(entries=tuple(halved(e) if e.node == node else e for e in profile.entries))


def _faster_links(cluster: Cluster, links: Sequence[Link]) -> Cluster:
    """Twice the rate both ways; the latency stays."""
    return cluster.replace(
        links=tuple(
            each.replace(up=_faster(each.up), down=_faster(each.down)) if each in links else each
            for each in cluster.links
        )
    )


def _faster_medium(cluster: Cluster, medium: Medium) -> Cluster:
    rate = None if medium.bytes_per_s is None else 2 * medium.bytes_per_s
    faster = medium.replace(bytes_per_s=rate, trace=_faster_trace(medium.trace))
    media = tuple(faster if each is medium else each for each in cluster.media)
    links = [link for link in cluster.links if medium.name in link.media]
    return _faster_links(cluster.replace(media=media), links)


def _faster(direction: Direction) -> Direction:
    rate = None if direction.bytes_per_s is None else 2 * direction.bytes_per_s
    return Direction(bytes_per_s=rate, trace=_faster_trace(direction.trace))


def _faster_trace(trace: RateTrace | None) -> RateTrace | None:
    if trace is None:
        return None
    return RateTrace(steps=tuple((at_s, 2 * rate) for at_s, rate in trace.steps), length_s=trace.length_s)


def _distance(problem: Problem, cost: Cost, bound: float | None) -> str:
    metric = problem.objective.metric
    if bound is None:
        return f"How far the {metric} of {_shown(problem, cost.value)} is from the best possible is not known."
    if cost.value <= bound * (1 + 1e-9):
        return f"No plan has a lower {metric} than these {_shown(problem, cost.value)}: the plan is optimal."
    gap = (
        f"at most {100 * (cost.value / bound - 1):.1f} % above the best" if bound > 0 else "how far above is not known"
    )
    this = _shown(problem, cost.value)
    return f"No plan has a lower {metric} than {_shown(problem, bound)}; this one has {this}, {gap}."


def _alternatives(problem: Problem, cost: Cost, candidates: Mapping[str, float | None]) -> list[str]:
    """One sentence for each obvious other plan, the best first."""
    found = _one_node_plans(problem)
    for name, value in candidates.items():
        words = _words(problem, name)
        if words not in found:
            found[words] = (math.inf, "") if value is None else (value, "")
    return [_compared(problem, cost, name, *judged) for name, judged in sorted(found.items(), key=lambda e: e[1][0])]


def _words(problem: Problem, name: str) -> str:
    """A candidate's name, `local` or `remote:NODE` or `remote:NODE+packed`, in words."""
    kind, _, where = name.partition(":")
    node, plus, how = where.partition("+")
    if name == "local" and len(problem.tasks) == 1:
        return f"Everything at the source {problem.task.source!r}"
    if kind == "remote" and node:
        return f"Everything on {node!r}" + (f" with the input {how}" if plus else "")
    return f"The plan {name!r}"


def _one_node_plans(problem: Problem) -> dict[str, tuple[float, str]]:
    """Everything on one node, for each that can compute: its value, and which constraint it breaks."""
    found: dict[str, tuple[float, str]] = {}
    if len(problem.tasks) > 1:
        return found
    task = problem.task
    for node in task.profile.nodes:
        where = "Everything at the source" if node == task.source else "Everything on"
        try:
            other = evaluate(problem, plan_for(task.name, task.graph, [node] * len(task.graph.operators)))
        except HocketError:  # out of reach from the source: no alternative
            continue
        broken = other.violations[0].sentence if other.violations else ""
        found[f"{where} {node!r}"] = (other.value, broken)
    return found


def _compared(problem: Problem, cost: Cost, name: str, value: float, broken: str) -> str:
    if value == math.inf:
        return f"{name} is not possible: it breaks a constraint or has no way."
    figures = f"{_shown(problem, value)} against {_shown(problem, cost.value)}"
    if broken:
        return f"{name} is not allowed ({figures}): {broken}."
    ratio: Any = value / cost.value if 0 < cost.value < math.inf else math.nan
    if ratio > 1 + _LEAST_GAIN:
        return f"{name} loses: {figures}, {100 * (ratio - 1):.0f} % more."
    if ratio < 1 - _LEAST_GAIN:
        return f"{name} would be better: {figures}, {100 * (1 - ratio):.0f} % less."
    return f"{name} is as good: {figures}."
