"""The report: one HTML page that needs nothing else, readable in light and dark."""

from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path

from hocket.comparison.heat import heat_table
from hocket.comparison.marks import Cells, count, factor, figure, percent, seconds, table
from hocket.comparison.rows import Status
from hocket.comparison.scores import Cell, Scored, Scores, Summary, share_within
from hocket.comparison.suite import Suite
from hocket.comparison.svg import STROKES, profile_plot, scatter_plot
from hocket.nouns import write_whole
from hocket.solvers.solver import SPACES
from hocket.version import __version__
from hocket.view.reports import valued

_STYLE = Path(__file__).with_name("report.css")
_FAILED: tuple[Status, ...] = ("refused", "infeasible", "late", "error")
_MOST_FACTOR = 10.0
_SHORT = 8
Section = tuple[str, str, str]
"""Anchor, title, content; without content it is left out."""


def write_report(suite: Suite, scores: Scores, path: Path) -> Path:
    """Write the page."""
    return write_whole(path, report(suite, scores).encode())


def report(suite: Suite, scores: Scores) -> str:
    """The text of the page."""
    sections: list[Section] = [
        ("broken", "Bounds that a plan contradicts", _broken(scores)),
        ("solvers", "Solvers", _solvers(scores)),
        ("profile", "How often, how near the best", _profiles(scores)),
        ("heat", "Every solver on every problem", heat_table(scores)),
        ("problems", "Problems", _problems(scores)),
        ("families", "Families", _families(scores)),
        ("sample", "Predicted and measured", _sample(scores)),
        ("refusals", "Refusals", _reasons(scores, "refused")),
        ("infeasible", "No plan within the constraints", _reasons(scores, "infeasible")),
        ("late", "Late", _reasons(scores, "late")),
        ("errors", "Errors", _reasons(scores, "error")),
        ("reading", "How to read this", _READING),
    ]
    shown = [section for section in sections if section[2]]
    links = "".join(f'<a href="#{anchor}">{escape(title)}</a>' for anchor, title, _ in shown)
    body = "".join(f'<h2 id="{anchor}">{escape(title)}</h2>{content}' for anchor, title, content in shown)
    title = suite.title or suite.name
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE.read_text(encoding='utf-8')}</style></head><body>"
        f"<h1>{escape(title)}</h1><p class=note>{escape(_about(suite))}</p>{_totals(scores)}"
        f"<nav>{links}</nav>{body}</body></html>\n"
    )


def _about(suite: Suite) -> str:
    told = f"told to stop after {suite.time_limit}" if suite.time_limit else "stopping by its own rule"
    seeds = f"{len(suite.seeds)} seed" + ("s" if len(suite.seeds) > 1 else "")
    return f"Suite {suite.name}, hocket {__version__}, {seeds}; each solver {told}, and ended after {suite.kill_after}."


def _totals(scores: Scores) -> str:
    counts = Counter(cell.status for problem in scores.problems.values() for cell in problem.cells.values())
    names = {"solved": "solved", "refused": "refused", "infeasible": "infeasible", "late": "late", "error": "errors"}
    figures = {"problems": len(scores.problems), "solvers": len(scores.family)}
    figures |= {text: counts[status] for status, text in names.items()}  # type: ignore[index]
    boxes = "".join(f"<div><b>{number}</b><span>{name}</span></div>" for name, number in figures.items())
    return f'<div class="figures">{boxes}</div>'


def _broken(scores: Scores) -> str:
    if not scores.broken:
        return ""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in scores.broken)
    return f"<p>A solver or the general bound promises what is not so; these bounds are not used.</p><ul>{items}</ul>"


def _solvers(scores: Scores) -> str:
    head = ("solver", "solved", "refused", "infeasible", "late", "errors", "best", "within 1 %", "mean rank",
            "factor", "gap", "time", "longest")  # fmt: skip
    ranked = sorted(scores.solvers, key=_order)
    body: list[Cells | str] = [_solver_cells(summary) for summary in ranked]
    text = "Most often within 1 % of the best first. Rank, factor of the best, gap and time are over solved problems."
    return f"<p class=note>{text}</p>{table(head, body)}"


def _order(summary: Summary) -> tuple[float, ...]:
    return (-summary.near, -summary.counts["solved"], summary.factor or float("inf"), summary.solve_s or 0.0)


def _solver_cells(summary: Summary) -> Cells:
    name = f'{escape(summary.name)} <span class="note">{escape(summary.family)}</span>'
    failed = [count(summary.counts[status], bad=status in ("late", "error")) for status in _FAILED]
    return (
        ("", name),
        ("n", f"{summary.counts['solved']} of {summary.asked}"),
        *failed,
        count(summary.best),
        _bar(summary.near, summary.asked),
        figure(summary.rank, ".1f"),
        ("n", factor(summary.factor)),
        ("n", percent(summary.gap)),
        ("n", seconds(summary.solve_s)),
        ("n", seconds(summary.worst_s)),
    )


def _bar(part: int, of: int) -> tuple[str, str]:
    share = part / of if of else 0.0
    return "n", f'<span class="bar"><i style="width:{100 * share:.0f}%"></i></span>{part}'


def _profiles(scores: Scores) -> str:
    solved = [summary for summary in scores.solvers if summary.factors]
    if not solved:
        return ""
    solvable = [problem for problem in scores.problems.values() if problem.best is not None]
    all_of = {summary.name: len(solvable) for summary in solved}
    own = {summary.name: sum(_accepted(problem.cells.get(summary.name)) for problem in solvable) for summary in solved}
    best_of_family: dict[str, Summary] = {}
    for summary in sorted(solved, key=_order):
        best_of_family.setdefault(summary.family, summary)
    strong = list(best_of_family.values())[: len(STROKES)]
    colours = {summary.name: colour for summary, colour in zip(strong, STROKES, strict=False)}
    keys = "".join(f'<span><i style="background:{c}"></i>{escape(name)}</span>' for name, c in colours.items())
    figures = "".join(
        f"<figure><figcaption>{title}</figcaption>{_profile(solved, colours, of)}</figure>"
        for title, of in (
            (f"Of all {len(solvable)} problems that a solver solves", all_of),
            ("Of those that the solver does not refuse", own),
        )
    )
    text = (
        "A curve says on which share of the problems a solver is within a factor of the best value that any solver"
        " found: high at the left is often the best, high at the right rarely fails. Of each family the solver that is"
        " most often within 1 % has a colour; point at any curve for its name."
    )
    return f'<p class=note>{text}</p><div class="key">{keys}</div><div class="plots">{figures}</div>'


def _accepted(cell: Cell | None) -> bool:
    return cell is not None and cell.status != "refused"


def _profile(solved: Sequence[Summary], colours: dict[str, str], of: dict[str, int]) -> str:
    curves = {}
    for summary in solved:
        steps = sorted({1.0, *(known for known in summary.factors if known <= _MOST_FACTOR)})
        curves[summary.name] = [(step, share_within(summary, step, of=of[summary.name])) for step in steps]
    return profile_plot(curves, colours, _MOST_FACTOR)


def _problems(scores: Scores) -> str:
    parts = [_problem(number, problem) for number, problem in enumerate(scores.problems.values(), 1)]
    text = "Best value of all solvers, the highest bound that is proven, and the gap between them; open one for all."
    return f"<p class=note>{text}</p>{''.join(parts)}"


def _problem(number: int, problem: Scored) -> str:
    if problem.best is None:
        line = "no solver has a plan"
    else:
        winners = problem.winners
        others = f" and {len(winners) - 3} more" if len(winners) > 3 else ""
        bound = "no bound" if problem.bound is None else f"bound {valued(problem.metric, problem.bound)}"
        line = f"{valued(problem.metric, problem.best)}, {bound}, gap {percent(problem.gap) or 'unknown'}; best:"
        line += f" {', '.join(winners[:3])}{others}"
    cells = sorted(problem.cells.values(), key=lambda cell: (cell.rank is None, cell.rank or 0, cell.status))
    rows: list[Cells | str] = [_cells_of(problem, cell) for cell in cells if cell.status != "refused"]
    refused = sum(cell.status == "refused" for cell in cells)
    left_out = f"<p class=note>{refused} solvers refuse; see below.</p>" if refused else ""
    head = ("rank", "solver", problem.objective, "factor", "gap", "time", "")
    return (
        f"<details><summary><b>{number}</b> {escape(problem.name)} <span class=note>{escape(line)}</span></summary>"
        f"{table(head, rows)}{left_out}</details>"
    )


def _cells_of(problem: Scored, cell: Cell) -> Cells:
    note = cell.sentence
    if cell.value is not None:
        spread = (
            "" if cell.covered else "divides or changes operators or deals requests out, which the bound does not allow"
        )
        note = f"none of {SPACES[cell.over]} is better" if cell.over in SPACES else spread
    return (
        ("n", str(cell.rank or "")),
        ("", escape(cell.solver)),
        ("n", cell.status if cell.value is None else valued(problem.metric, cell.value)),
        ("n", factor(cell.factor)),
        ("n", percent(cell.gap)),
        ("n", seconds(cell.solve_s)),
        ("note", escape(note)),
    )


def _families(scores: Scores) -> str:
    sizes = Counter(scores.family.values())
    best: dict[str, Counter[str]] = {}
    for problem in scores.problems.values():
        for name in problem.winners:
            best.setdefault(scores.family[name], Counter())[name] += 1
    head = ("family", "solvers", "solved", "best", "within 1 %", "factor", "gap", "time", "most often the best")
    rows: list[Cells | str] = []
    for summary in sorted(scores.families, key=_order):
        winners = best.get(summary.name, Counter()).most_common(3)
        rows.append(
            (
                ("", escape(summary.name)),
                ("n", str(sizes[summary.name])),
                ("n", f"{summary.counts['solved']} of {summary.asked}"),
                count(summary.best),
                _bar(summary.near, summary.asked),
                ("n", factor(summary.factor)),
                ("n", percent(summary.gap)),
                ("n", seconds(summary.solve_s)),
                ("note", escape(", ".join(f"{name} ({number})" for name, number in winners))),
            )
        )
    text = "Each family as if one took the best of its solvers on every problem."
    return f"<p class=note>{text}</p>{table(head, rows)}"


def _sample(scores: Scores) -> str:
    if not scores.runs:
        return ""
    ran = [run for run in scores.runs if run.predicted_s and run.measured_s]
    colours = dict(zip(dict.fromkeys(run.problem for run in ran), STROKES * len(ran), strict=False))
    points = [
        (run.predicted_s or 0.0, run.measured_s or 0.0, colours[run.problem], f"{run.problem}: {run.solver}")
        for run in ran
    ]
    rows: list[Cells | str] = [
        (
            ("", escape(run.problem)),
            ("", escape(run.solver)),
            ("n", seconds(run.predicted_s)),
            ("n", seconds(run.measured_s)),
            (
                "n",
                f"{100 * (run.measured_s / run.predicted_s - 1):+.1f} %" if run.predicted_s and run.measured_s else "",
            ),
            ("n", "" if run.max_rel_error is None else f"{run.max_rel_error:.1g}"),
            ("note", escape("" if run.status == "solved" else f"{run.status}: {run.sentence}")),
        )
        for run in scores.runs
    ]
    head = ("problem", "solver", "predicted", "measured", "error", "output differs by", "")
    text = (
        "These plans were really run on this computer, with profiles measured first: median latency of requests sent"
        " one at a time. Solvers that found the same plan share one run."
    )
    plot = scatter_plot(points, ("predicted latency", "measured latency")) if points else ""
    return f'<p class=note>{text}</p><div class="plots">{plot}<div>{table(head, rows)}</div></div>'


def _reasons(scores: Scores, status: Status) -> str:
    """By solver, each reason once with the problems that it is about."""
    numbers = {name: number for number, name in enumerate(scores.problems, 1)}
    reasons: dict[str, dict[str, list[int]]] = {}
    for problem in scores.problems.values():
        for cell in problem.cells.values():
            if cell.status == status:
                found = reasons.setdefault(cell.solver, {})
                found.setdefault(cell.sentence, []).append(numbers[problem.name])
    # A list that is short enough to be read at once is open.
    opened = " open" if sum(map(len, reasons.values())) <= _SHORT else ""
    parts = []
    for solver in scores.family:
        if solver not in reasons:
            continue
        rows: list[Cells | str] = [
            (("", escape(sentence)), ("note", ", ".join(map(str, its)))) for sentence, its in reasons[solver].items()
        ]
        total = sum(len(its) for its in reasons[solver].values())
        parts.append(
            f'<details{opened}><summary>{escape(solver)} <span class="note">{total} of {len(numbers)}</span></summary>'
            f"{table(('reason', 'problems'), rows)}</details>"
        )
    return "".join(parts)


_READING = """\
<p>A <b>value</b> is what the one judge says of a plan, in the objective's unit; the solver's own sum does not
count. The <b>bound</b> holds for every plan that computes each operator whole on one node and sends
activations as they are; a <b>gap</b> of 4 % means that no such plan is more than 4 % better. Plans that
divide operators or change what is sent may lie below the bound, and their gap is below 0. A <b>factor</b> is
the value divided by the best that any solver found for the problem, and the <b>rank</b> is one more than the
number of solvers with a better value. Values that differ by less than one part in a thousand million are
equal. Where several seeds were tried, their median counts.</p>
<p>A solver <b>refuses</b> a problem that its method is not for, and says why; that is no failure. It is
<b>late</b> if it was ended by the time limit, and an <b>error</b> is a defect. <b>Time</b> is that of the
solver alone, in one process with one thread.</p>"""
