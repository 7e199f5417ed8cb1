"""The survey's worked example (MobileNetV2 on a phone and a server), digit for digit, slips included.

The phone computes 120 M of 300 M operations at 50 GFLOP/s and sends 2.5 MB over 20 Mbit/s; the server computes the
rest at 500 GFLOP/s. The answer counts as nothing, and only the phone's energy is paid for, at 0.1 USD/kWh.
"""

import itertools

import pytest
from graphs import link, node, operator, problem_of

from hocket.cluster import Cluster
from hocket.cost import Cost, Problem, evaluate
from hocket.cost.queueing import sojourn_s, wait_s
from hocket.graph import Graph, Tensor
from hocket.plan.placement import plan_for
from hocket.profile import formula_profile
from hocket.units import parse


def example(**task: object) -> Problem:
    price = parse("0.1 USD/kWh", "usd_per_j")
    phone = node("phone", 50e9, compute_w=2.0, transmit_w=1.5, energy_price_per_j=price)
    cluster = Cluster(
        name="survey",
        nodes=(phone, node("server", 500e9)),
        links=(link("phone", "server", parse("20 Mbit/s", "bytes_per_s")),),
    )
    image = Tensor(name="image", dtype="float32", shape=(1, 3, 224, 224))
    graph = Graph(
        name="mobilenet",
        inputs=(image,),
        outputs=("back",),
        operators=(operator("front", "image", flops=120e6), operator("back", "front", flops=180e6)),
        tensors=(
            image,
            Tensor(name="front", dtype="int8", shape=(2_500_000,)),
            Tensor(name="back", dtype="float32", shape=(0,)),
        ),
    )
    return problem_of(graph, cluster, formula_profile(graph, cluster), task=task)


def cost_of(problem: Problem, *places: str) -> Cost:
    return evaluate(problem, plan_for("task", problem.task.graph, places), trace=True)


def test_the_parts_of_the_latency() -> None:
    cost = cost_of(example(), "phone", "server")
    assert cost.trace is not None
    spans = {(span.kind, span.node): span.stop_s - span.start_s for span in cost.trace.spans}
    assert spans["compute", "phone"] == pytest.approx(0.0024, rel=1e-12)
    assert spans["transfer", "phone"] == pytest.approx(1.0, rel=1e-12)
    assert spans["compute", "server"] == pytest.approx(0.00036, rel=1e-9)
    assert cost.latency_s == pytest.approx(1.00276, rel=1e-12)
    assert cost.sequential_s == pytest.approx(1.00276, rel=1e-12)


def test_the_total_as_printed_counts_the_service_twice() -> None:
    latency_s = cost_of(example(), "phone", "server").latency_s
    assert sojourn_s("mm1", 5.0, 1 / 10) == pytest.approx(0.2)
    assert latency_s + sojourn_s("mm1", 5.0, 1 / 10) == pytest.approx(1.20276, rel=1e-12)


def test_the_total_with_waiting_only() -> None:
    latency_s = cost_of(example(), "phone", "server").latency_s
    assert latency_s + wait_s("mm1", 5.0, 1 / 10) == pytest.approx(1.10276, rel=1e-12)
    assert latency_s + wait_s("md1", 5.0, 1 / 10) == pytest.approx(1.05276, rel=1e-12)


def test_the_wait_at_the_server_that_the_example_describes_is_under_a_microsecond() -> None:
    assert wait_s("mm1", 5.0, 180e6 / 500e9) == pytest.approx(0.65e-6, rel=0.01)


def test_at_five_requests_per_second_the_link_of_the_example_is_overloaded() -> None:
    cost = cost_of(example(rate_per_s=5.0), "phone", "server")
    assert [violation.sentence for violation in cost.violations] == [
        "C4: a station works less than all the time, and 'link:phone>server' would be busy 5 seconds per second;"
        " lower the rate or move work elsewhere"
    ]


def test_energy() -> None:
    assert cost_of(example(), "phone", "server").energy_j == pytest.approx(1.5048, rel=1e-12)


def test_price() -> None:
    cost = cost_of(example(), "phone", "server")
    assert cost.price_usd == pytest.approx(4.18e-8, rel=1e-12)
    assert 0.0048 * parse("0.1 USD/kWh", "usd_per_j") == pytest.approx(1.3333e-10, rel=1e-4)
    assert 1.5 * parse("0.1 USD/kWh", "usd_per_j") == pytest.approx(4.1667e-8, rel=1e-4)


def test_sending_the_picture_instead() -> None:
    assert cost_of(example(), "server", "server").latency_s == pytest.approx(0.2414, abs=5e-5)


@pytest.mark.parametrize("figure", ["latency_s", "sequential_s", "energy_j", "price_usd"])
def test_the_best_plan_stays_on_the_phone(figure: str) -> None:
    problem = example()
    plans = itertools.product(["phone", "server"], repeat=2)
    best = min(plans, key=lambda places: getattr(cost_of(problem, *places), figure))
    assert best == ("phone", "phone")
    cost = cost_of(problem, *best)
    assert cost.latency_s == pytest.approx(0.006, rel=1e-12)
    assert cost.energy_j == pytest.approx(0.012, rel=1e-12)
