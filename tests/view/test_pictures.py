"""Every picture in both formats."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hocket.cluster import Cluster, many_to_many, one_to_one, peer_to_peer
from hocket.cost import Problem, evaluate
from hocket.errors import FormatError, MissingError
from hocket.graph import Graph
from hocket.plan import Plan
from hocket.plan.placement import plan_for
from hocket.plan.plan import Entry, Run, Split
from hocket.program import Span, Trace
from hocket.solvers import Solution
from hocket.view import Point, Scatter, draw
from hocket.view.canvas import Canvas, shortened, text_width
from hocket.view.cluster_picture import draw_cluster
from hocket.view.graph_picture import draw_graph
from hocket.view.lanes import bars_of, from_zero, lane_of, lanes_of, typical_request
from hocket.view.palette import colours
from hocket.view.timeline_picture import draw_timeline

pytest.importorskip("matplotlib")


GraphOf = Callable[[str, list[list[int]]], Graph]


def check(path: Path) -> None:
    """A picture that a program can open, with something in it."""
    data = path.read_bytes()
    if path.suffix == ".png":
        assert data.startswith(b"\x89PNG\r\n")
    else:
        assert ElementTree.fromstring(data).tag.endswith("svg")
    assert len(data) > 5000


@pytest.fixture
def solution(problem: Problem) -> Solution:
    task = problem.task
    plan = plan_for(task.name, task.graph, ["phone", "edge", "edge", "phone", "cloud", "cloud"])
    return Solution(problem=problem, plan=plan, cost=evaluate(problem, plan), solver="by hand")


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_graph_a_cluster_a_timeline_and_a_solution_have_pictures(
    suffix: str, diamond: Graph, home: Cluster, busy: Trace, solution: Solution, tmp_path: Path
) -> None:
    nouns = {"graph": diamond, "cluster": home, "timeline": busy, "solution": solution}
    for name, noun in nouns.items():
        path = draw(noun, tmp_path / f"{name}{suffix}")
        check(path)
    for kind in ("graph", "cluster", "timeline"):
        check(draw(solution, tmp_path / f"{kind}{suffix}", kind=kind))  # type: ignore[arg-type]


def test_the_same_picture_is_the_same_file(diamond: Graph, tmp_path: Path) -> None:
    assert draw(diamond, tmp_path / "a.png").read_bytes() == draw(diamond, tmp_path / "b.png").read_bytes()


def test_a_split_colours_a_box_for_every_part(diamond: Graph, tmp_path: Path) -> None:
    split = Split(axis=2, parts=("phone", "edge"), weights=(1.0, 2.0))
    plan = Plan(
        entries=(Entry(task="t", where=(Run(operators="t0..t3", on=split), Run(operators="t4..t5", on="edge"))),)
    )
    check(draw(diamond, tmp_path / "split.svg", plan=plan))


def test_predicted_is_drawn_above_measured(busy: Trace, problem: Problem, solution: Solution, tmp_path: Path) -> None:
    predicted = evaluate(problem, solution.plan, trace=True).trace
    assert predicted is not None
    late = [span.replace(start_s=span.start_s + 7, stop_s=span.stop_s + 7.001) for span in predicted.spans]
    measured = Trace(name="live", judge="measured", spans=tuple(late))
    check(draw(predicted, tmp_path / "both.png", other=measured))
    check(draw(solution, tmp_path / "turned.png", kind="timeline", other=measured))


def test_figures_of_many_nodes_links_and_labels_fit(tmp_path: Path) -> None:
    for cluster in (one_to_one(), peer_to_peer(8), many_to_many(5, 3), peer_to_peer(1)):
        check(draw_cluster(cluster).save(tmp_path / f"{cluster.name}.svg"))


def test_a_scatter_names_the_best(tmp_path: Path) -> None:
    points = tuple(Point(name=f"plan {n}", x=n * 0.1, y=(n * 7 % 5) * 0.2) for n in range(12))
    check(draw(Scatter(title="plans", x="latency", y="energy", points=points), tmp_path / "scatter.png"))
    with pytest.raises(
        FormatError, match=r"^a scatter needs plans with finite figures, and 'none' has none; add some$"
    ):
        draw(Scatter(title="none", x="latency", y="energy", points=()), tmp_path / "none.png")


def test_a_scatter_of_costs(problem: Problem, solution: Solution) -> None:
    scatter = Scatter.of({"by hand": solution.cost}, x="period", y="latency")
    assert scatter.points == (Point(name="by hand", x=solution.cost.period_s, y=solution.cost.latency_s),)


def test_another_suffix_is_refused_and_nothing_is_written(diamond: Graph, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"^a picture is a \.png or \.svg file, got 'x\.gif'; change the suffix$"):
        draw(diamond, tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())


def test_what_has_no_picture_is_refused(solution: Solution, tmp_path: Path) -> None:
    message = r"^a plan has no timeline and no picture of its own; give a graph, a cluster, a trace or a solution$"
    with pytest.raises(FormatError, match=message):
        draw(solution.plan, tmp_path / "x.png")
    with pytest.raises(FormatError, match="has no timeline"):
        draw(solution.problem.task.graph, tmp_path / "x.json")


def test_a_trace_in_which_nothing_ends_is_refused(tmp_path: Path) -> None:
    never = Span(kind="transfer", id="t", request=0, node="a", target="b", start_s=0.0, stop_s=float("inf"))
    with pytest.raises(
        FormatError, match=r"^a timeline needs spans that end, and the trace 'x' has none; record one first$"
    ):
        draw(Trace(name="x", judge="simulated", spans=(never,)), tmp_path / "x.png")


def test_without_matplotlib_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(
        MissingError, match=r"^pictures need matplotlib, which is not installed; install hocket\[view\]$"
    ):
        Canvas(1, 1)


def test_importing_the_part_loads_no_matplotlib() -> None:
    code = "import sys, hocket.view; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0


def test_text_is_shortened_from_its_beginning() -> None:
    name = "features.denseblock3.denselayer17.conv2"
    short = shortened(name, 1.0)
    assert short.startswith("…")
    assert name.endswith(short[1:])
    assert text_width(short) <= 1.0 < text_width("…" + name[-len(short) :])
    assert shortened("conv", 1.0) == "conv"
    assert text_width(" ") == 0.0


def test_names_with_signs_of_mathematics_are_drawn_as_they_are(tmp_path: Path) -> None:
    canvas = Canvas(2, 1)
    canvas.text((0.1, 0.5), "$x^2$ %s {} \\alpha", size=8)
    canvas.save(tmp_path / "signs.png")


def test_a_node_has_one_colour_in_every_picture_and_no_two_of_sixteen_share_one() -> None:
    names = [f"node{number}" for number in range(16)]
    assert len(set(colours(names).values())) == 16
    assert colours(names[:3]) == {name: colours(names)[name] for name in names[:3]}


def test_lanes_are_requests_then_each_node_with_its_links(busy: Trace) -> None:
    names = [lane.name for lane in lanes_of(busy.spans, ["edge", "phone"])]
    assert names == ["requests", "edge", "phone", "phone → edge"]


def test_bars_that_overlap_are_on_different_levels(busy: Trace) -> None:
    bars = bars_of(busy.spans)
    link = next(lane for lane in bars if lane.is_link)
    assert {bar.level for bar in bars[link]} == {0, 1}
    for lane, found in bars.items():
        for one in found:
            for other in found:
                if one is not other and one.level == other.level:
                    apart = one.span.stop_s <= other.span.start_s + 1e-9 or other.span.stop_s <= one.span.start_s + 1e-9
                    assert apart, lane


def test_the_typical_request_has_the_median_latency() -> None:
    spans = tuple(
        Span(kind="request", id="t", request=number, node="a", start_s=1.0, stop_s=1.0 + taken)
        for number, taken in enumerate((0.3, 0.1, 0.2))
    )
    chosen = typical_request(Trace(name="t", judge="measured", spans=spans))
    assert [span.request for span in chosen] == [2]
    assert from_zero(chosen)[0].start_s == 0.0
    assert lane_of(chosen[0]).name == "requests"


def test_two_hundred_spans_have_a_timeline_of_a_readable_size(busy: Trace) -> None:
    assert len(busy.spans) == 200
    canvas = draw_timeline(busy, nodes=["phone", "edge"])
    assert canvas.width <= 16
    assert canvas.height <= 8


def test_a_graph_of_two_hundred_operators_is_no_wider_than_a_poster(
    graph_of: GraphOf,
) -> None:

    canvas = draw_graph(graph_of("chain", [[position - 1] for position in range(200)]))
    assert canvas.width < 24
    assert canvas.height < 16
