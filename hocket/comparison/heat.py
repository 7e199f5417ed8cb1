"""The table of every solver on every problem: the darker, the nearer to the best."""

from collections.abc import Mapping
from html import escape
from itertools import groupby

from hocket.comparison.marks import factor, percent, seconds
from hocket.comparison.rows import Status
from hocket.comparison.scores import SAME, Cell, Scored, Scores
from hocket.view.reports import valued

_STEPS = (1 + SAME, 1.01, 1.05, 1.2, 1.5, 2.0, 5.0)
_WORDS = ("best", "within 1 %", "5 %", "20 %", "50 %", "factor 2", "factor 5", "more")
_MARKS: Mapping[Status, tuple[str, str]] = {
    "refused": ("none", "·"),
    "infeasible": ("none", "×"),
    "late": ("bad", "late"),
    "error": ("bad", "error"),
}


def heat_table(scores: Scores) -> str:
    """The table with its key; columns are problems by number, rows are solvers by family."""
    problems = list(scores.problems.values())
    if not problems:
        return ""
    keys = "".join(f'<span><i class="f{step}"></i>{word}</span>' for step, word in enumerate(_WORDS))
    keys += "<span>· refused</span><span>× no plan within the constraints</span>"
    groups = {name: list(its) for name, its in groupby(problems, key=lambda problem: problem.group)}
    first = {its[0].name for its in groups.values()}
    tops = "".join(
        f'<th class="group edge" colspan="{len(its)}" title="{escape(name)}">{escape(name)}</th>'
        for name, its in groups.items()
    )
    numbers = "".join(
        f'<th{_edge(problem, first)} title="{escape(problem.name)}">{number}</th>'
        for number, problem in enumerate(problems, 1)
    )
    rows = []
    for family in dict.fromkeys(scores.family.values()):
        names = [name for name, its in scores.family.items() if its == family]
        rows.append(f'<tr class="family"><th class="who">{escape(family)}</th></tr>')
        for name in names:
            cells = "".join(_cell(problem, problem.cells.get(name), first) for problem in problems)
            rows.append(f'<tr><th class="who">{escape(name)}</th>{cells}</tr>')
    return (
        "<p class=note>Numbers are factors of the best value; point at a cell for more.</p>"
        f'<div class="key">{keys}</div>'
        f'<div class="wide"><table class="heat"><thead><tr><th></th>{tops}</tr><tr><th></th>{numbers}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _edge(problem: Scored, first: set[str]) -> str:
    return ' class="edge"' if problem.name in first else ""


def _cell(problem: Scored, cell: Cell | None, first: set[str]) -> str:
    edge = " edge" if problem.name in first else ""
    if cell is None:
        return f'<td class="{edge.strip()}"></td>'
    if cell.value is None or cell.factor is None:
        kind, mark = _MARKS.get(cell.status, ("bad", "?"))
        return f'<td class="{kind}{edge}" title="{escape(_title(problem, cell, cell.sentence))}">{mark}</td>'
    step = sum(cell.factor > most for most in _STEPS)
    gap = percent(cell.gap) or "unknown"
    known = f"{valued(problem.metric, cell.value)}, rank {cell.rank}, factor {factor(cell.factor)}, gap {gap},"
    title = _title(problem, cell, f"{known} {seconds(cell.solve_s)}")
    shown = "1" if cell.factor <= _STEPS[0] else f"{cell.factor:.2f}" if cell.factor < 10 else f"{cell.factor:.0f}"
    return f'<td class="f{step}{edge}" title="{escape(title)}">{"&gt;999" if cell.factor > 999 else shown}</td>'


def _title(problem: Scored, cell: Cell, text: str) -> str:
    return f"{cell.solver} on {problem.name}: {text}"
