"""Make what docs/findings.md shows from the results of comparisons: compact tables in docs/data, and two pictures.

    python tools/make_findings.py FOLDER...

Each folder is one that `hocket compare SUITE -o FOLDER` wrote. The tables of the text are printed.
"""

import csv
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median, quantiles

import msgspec

from hocket.comparison.rows import Record
from hocket.comparison.scores import Cell, Scored, Scores, Summary, share_within
from hocket.comparison.svg import STROKES, profile_plot

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS = ("problem", "solver", "status", "value", "bound", "gap", "covered", "seconds")
STYLE = (
    "<style>text{font:12px sans-serif;fill:#222}.muted{fill:#666}.grid{stroke:#ddd}.axis{stroke:#666}"
    ".other{stroke:#bbb}</style>"
)
MOST = 10.0
GENERAL = "general"


def read(folder: Path) -> Scores:
    """The rows of a comparison."""
    lines = (folder / "rows.jsonl").read_bytes().splitlines()
    return Scores([msgspec.json.decode(line, type=Record) for line in lines])


def write_table(scores: Scores, path: Path) -> None:
    """A row per solver and problem: value, bound, gap, seconds."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for problem in scores.problems.values():
            for cell in problem.cells.values():
                figures = (cell.value, problem.bound if cell.value is not None else None, cell.gap)
                seconds = "" if cell.solve_s is None else f"{cell.solve_s:.3g}"
                row = (problem.name, cell.solver, cell.status, *map(_short, figures), cell.covered, seconds)
                writer.writerow(["" if each is None else each for each in row])


def _short(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def best_of(family: str, problem: Scored) -> float | None:
    """The least factor that a family reaches on a problem."""
    cells = problem.cells.values()
    return min((c.factor for c in cells if c.family == family and c.factor is not None), default=None)


def kind_of(problem: Scored) -> str:
    """What kind of model a problem is about."""
    return "text" if "bert" in problem.name or "gpt" in problem.name else "pictures"


def by(scores: Scores, key: Callable[[Scored], str]) -> str:
    """A Markdown table: median factor of the best solver of each family for each group of problems."""
    groups: dict[str, list[Scored]] = {}
    for problem in scores.problems.values():
        groups.setdefault(key(problem), []).append(problem)
    families = list(dict.fromkeys(scores.family.values()))
    lines = [f"| family | {' | '.join(f'{name} ({len(its)})' for name, its in groups.items())} |"]
    lines.append("|---" * (len(groups) + 1) + "|")
    for family in families:
        words = [_words([best_of(family, problem) for problem in its]) for its in groups.values()]
        lines.append(f"| {family} | {' | '.join(words)} |")
    return "\n".join(lines)


def _words(factors: Sequence[float | None]) -> str:
    known = [factor for factor in factors if factor is not None]
    if not known:
        return "-"
    part = f" ({len(known)})" if len(known) < len(factors) else ""
    return f"{median(known):.3g}{part}"


def far_from_best(scores: Scores, chosen: Callable[[Summary], bool]) -> str:
    """A Markdown table of solvers: how often they answer, and how far from the best and the bound they are."""
    lines = [
        "| solver | solves | within 1 % | median factor | worst factor | median gap |",
        "|---|---|---|---|---|---|",
    ]
    for each in sorted(filter(chosen, scores.solvers), key=lambda s: (s.factor or 1e9, -s.counts["solved"])):
        if each.factors:
            gap = "-" if each.gap is None else f"{100 * each.gap:.1f} %"
            lines.append(
                f"| {each.name} | {each.counts['solved']} of {each.asked} | {each.near} | {each.factor:.3g} |"
                f" {each.factors[-1]:.3g} | {gap} |"
            )
    return "\n".join(lines)


def auto_table(scores: Scores) -> str:
    """A Markdown table: `auto` on every problem beside the best of the others."""
    lines = ["| problem | auto | best of the others | by | factor | gap | seconds |", "|---|---|---|---|---|---|---|"]
    for problem in scores.problems.values():
        own = problem.cells.get("auto")
        others = [cell for cell in problem.cells.values() if cell.solver != "auto" and cell.value is not None]
        if own is None or own.value is None or not others:
            lines.append(f"| {problem.name} | - | | | | | |")
            continue
        best = min(others, key=_value)
        gap = f"{100 * own.gap:.1f} %" if own.gap is not None and problem.bound else "-"
        lines.append(
            f"| {problem.name} | {own.value:.5g} | {best.value:.5g} | {best.solver} | {own.factor or 0:.4g} |"
            f" {gap}{'' if own.covered else ' (not bounded)'} | {own.solve_s or 0:.2g} |"
        )
    return "\n".join(lines)


def _value(cell: Cell) -> float:
    return cell.value if cell.value is not None else float("inf")


def criterion(scores: Scores) -> str:
    """How often `auto` is within 1 % of the best, and its median gap where there is a bound that is about its plan."""
    owns = [(problem, problem.cells["auto"]) for problem in scores.problems.values() if "auto" in problem.cells]
    near = sum(own.factor is not None and own.factor <= 1.01 for _, own in owns)
    gaps = [own.gap for problem, own in owns if own.gap is not None and problem.bound]
    return f"auto: within 1 % on {near} of {len(owns)}; median gap {100 * median(gaps):.2f} % over {len(gaps)}"


def reasons(scores: Scores) -> Iterable[str]:
    """What did not end, and which solver never solves."""
    for problem in scores.problems.values():
        late = [cell.solver for cell in problem.cells.values() if cell.status == "late"]
        errors = [f"{cell.solver}: {cell.sentence}" for cell in problem.cells.values() if cell.status == "error"]
        if late or errors:
            yield f"{problem.name}: late {', '.join(late)}; errors {errors}"
    yield f"never solve: {', '.join(s.name for s in scores.solvers if not s.factors)}"


def alone(svg: str) -> str:
    """An SVG that needs no page around it."""
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" style="background:#fff" ', 1).replace(
        ">", f">{STYLE}", 1
    )


def profiles(scores: Scores) -> str:
    """Performance profiles of `auto` and of the best of each family, with names."""
    shown = [next(s for s in scores.solvers if s.name == "auto"), *(f for f in scores.families if f.name != GENERAL)]
    shown = sorted(shown, key=lambda s: -sum(f <= 1.1 for f in s.factors))[: len(STROKES)]
    of = len(scores.problems)
    curves, colours = {}, dict(zip((s.name for s in shown), STROKES, strict=False))
    for each in shown:
        steps = [1.0, *(factor for factor in each.factors if 1 < factor <= MOST)]
        curves[each.name] = [(step, share_within(each, step, of=of)) for step in steps]
    plot = profile_plot(curves, colours, MOST)
    words = "".join(
        f'<text x="560" y="{176 + 17 * place}" text-anchor="end" style="fill:{colour}">{name}</text>'
        for place, (name, colour) in enumerate(colours.items())
    )
    return alone(plot.replace("</svg>", f"{words}</svg>"))


def spans(summaries: Sequence[Summary]) -> str:
    """Median and quartiles of the factors of solvers, on a logarithmic axis."""
    import math

    left, width, row, top = 150, 420, 18, 16
    ticks = (1, 2, 5, 10, 20, 50)
    most = math.log(ticks[-1])
    at = lambda factor: left + width * min(math.log(max(factor, 1.0)) / most, 1.0)  # noqa: E731
    bottom = top + row * len(summaries)
    lines = [
        f'<line class="grid" x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{top - 8}" y2="{bottom}"/>'
        f'<text class="muted" x="{at(tick):.1f}" y="{bottom + 14}" text-anchor="middle">{tick}</text>'
        for tick in ticks
    ]
    for place, each in enumerate(summaries):
        y = top + row * place + 4
        low, _, high = quantiles(each.factors, n=4, method="inclusive") if len(each.factors) > 1 else each.factors * 3
        lines.append(
            f'<text x="{left - 10}" y="{y + 4}" text-anchor="end">{each.name} ({len(each.factors)})</text>'
            f'<line x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{y}" y2="{y}" stroke="{STROKES[0]}" stroke-width="3"/>'
            f'<circle cx="{at(each.factor or 1):.1f}" cy="{y}" r="4.5" fill="{STROKES[5]}"/>'
        )
    title = "value / best value: median and quartiles; in brackets, problems solved"
    lines.append(f'<text x="{left + width / 2}" y="{bottom + 32}" text-anchor="middle">{title}</text>')
    height = bottom + 42
    return alone(
        f'<svg viewBox="0 0 {left + width + 20} {height}" width="{left + width + 20}" height="{height}">'
        f"{''.join(lines)}</svg>"
    )


def main(folders: Sequence[str]) -> None:
    """Tables of every folder, pictures of the first two."""
    for name in folders:
        scores = read(Path(name))
        title = Path(name).name
        write_table(scores, DOCS / "data" / f"{title}.csv")
        print(f"\n# {title}: {len(scores.problems)} problems\n\n{criterion(scores)}\n\n{auto_table(scores)}")
        for key in (lambda p: p.architecture, lambda p: p.objective, kind_of):
            print(f"\n{by(scores, key)}")
        print(f"\n{far_from_best(scores, lambda _: True)}\n")
        print("\n".join(reasons(scores)))
        print("\n".join(scores.broken))
        if title == "survey":
            (DOCS / "findings-families.svg").write_text(profiles(scores))
        if title == "peers":
            ranked = sorted((s for s in scores.solvers if s.factors), key=lambda s: s.factor or 0)
            (DOCS / "findings-rules.svg").write_text(spans(ranked))


if __name__ == "__main__":
    main(sys.argv[1:])
