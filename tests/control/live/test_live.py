"""Live sessions on nodes that are threads of this process."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping

import numpy as np
import pytest
from live_sessions import CLUSTER, Expected, cut, solution_of, until

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import Live, deploy
from hocket.control.live.state import Recovery, Rules
from hocket.cost import Problem, problem_for
from hocket.errors import FormatError, LateError, NodeError, PlanError
from hocket.graph.execute import Runner
from hocket.graph.model import Model
from hocket.plan.build import whole
from hocket.plan.placement import plan_for
from hocket.runtime.inproc import Network
from hocket.zoo.listing import model_path


@pytest.fixture(scope="module")
def model() -> Model:
    return hocket.load_model(model_path("toy_dag"))


@pytest.fixture(scope="module")
def problem(model: Model) -> Problem:
    return problem_for(model.graph, read_toml(CLUSTER))


@pytest.fixture
def live(problem: Problem, model: Model) -> Iterator[Live]:
    before = threading.active_count()
    plan = cut(problem, "a", "b")
    rules = Rules(standby="ready")
    with deploy(solution_of(problem, plan), models=model, policy="static", rules=rules, network=Network()) as session:
        yield session
    until(lambda: threading.active_count() <= before)


@pytest.fixture(scope="module")
def expected(model: Model) -> Expected:
    return Expected(model)


def test_requests_are_answered_as_the_whole_model_would(live: Live, expected: Expected) -> None:
    answers = [live.run(expected.inputs[number]) for number in range(3)]
    for number, answer in enumerate(answers):
        expected.check(number, answer.outputs)
        assert answer.request == number
        assert 0 < answer.latency_s < 5


def test_streams_batches_and_futures_keep_their_order(live: Live, expected: Expected) -> None:
    requests = [expected.inputs[number % 3] for number in range(30)]
    for found in (list(live.stream(requests)), live.batch(requests), [f.result() for f in map(live.submit, requests)]):
        for number, answer in enumerate(found):
            expected.check(number, answer.outputs)


def test_asyncio_streams(live: Live, expected: Expected) -> None:
    async def source() -> AsyncIterator[Mapping[str, np.ndarray]]:
        for number in range(10):
            yield expected.inputs[number % 3]

    async def main() -> int:
        count = 0
        async for answer in live.astream(source()):
            expected.check(count, answer.outputs)
            count += 1
        return count

    assert asyncio.run(main()) == 10


def test_a_stream_that_is_left_takes_its_requests_back(live: Live, expected: Expected) -> None:
    for answer in live.stream(expected.inputs[number % 3] for number in range(1000)):
        assert answer.request == 0
        break
    until(lambda: live.status().waiting == live.status().under_way == 0)
    expected.check(0, live.run(expected.inputs[0]).outputs)


def test_wrong_inputs_and_deadlines_are_refused_at_once(live: Live, expected: Expected) -> None:
    with pytest.raises(FormatError, match=r"the inputs are \['nonsense'\] and the program takes"):
        live.submit({"nonsense": np.zeros(1)})
    with pytest.raises(PlanError, match=r"a deadline is more than 0 s from now, got -1"):
        live.submit(expected.inputs[0], deadline_s=-1)


def test_a_deadline_that_cannot_be_kept_is_a_late_error(live: Live, expected: Expected) -> None:
    futures = [live.submit(expected.inputs[0], deadline_s=1e-6) for _ in range(3)]
    for future in futures:
        with pytest.raises(LateError, match=r"had no answer within .* allow it more time, or send fewer at once"):
            future.result(5)


def test_a_node_that_ends_costs_no_request(live: Live, problem: Problem, expected: Expected) -> None:
    until(lambda: live.status().calm)
    futures = [live.submit(expected.inputs[number % 3]) for number in range(20)]
    live.fleet.launcher.node("b").stop()
    futures += [live.submit(expected.inputs[number % 3]) for number in range(20, 40)]
    for number, future in enumerate(futures):
        expected.check(number, future.result(20).outputs)
    until(lambda: live.status().nodes["b"] == "down")
    assert live.status().used <= {"a", "c"}
    assert any("node 'b' is down" in sentence for _, sentence in live.log())
    live.fleet.start_again("b")
    until(lambda: live.status().used == {"a", "b"})
    expected.check(0, live.run(expected.inputs[0]).outputs)


def test_switching_moves_requests_to_the_new_plan_and_nothing_else(
    live: Live, problem: Problem, expected: Expected
) -> None:
    other = cut(problem, "a", "c", "b")
    futures = [live.submit(expected.inputs[number % 3]) for number in range(20)]
    live.switch(other).result(20)
    assert live.plan == other
    futures += [live.submit(expected.inputs[number % 3]) for number in range(20, 40)]
    for number, future in enumerate(futures):
        expected.check(number, future.result(20).outputs)
    answered = live.status().counts
    assert answered["answered"] == 40
    assert answered.get("resent", 0) == 0


def test_a_plan_that_does_not_fit_is_refused_and_the_old_one_goes_on(live: Live, expected: Expected) -> None:
    plan = live.plan
    assert plan is not None
    entry = plan.entries[0]
    broken = plan.replace(entries=(entry.replace(where=entry.where[:1]),))
    with pytest.raises(PlanError):
        live.switch(broken)
    expected.check(0, live.run(expected.inputs[0]).outputs)


def test_the_trace_tells_what_happened_to_each_request(live: Live, expected: Expected) -> None:
    for number in range(5):
        live.run(expected.inputs[number % 3])
    computed = {"a", "b"}
    until(lambda: {span.node for span in live.trace().spans if span.kind == "compute"} == computed)
    spans = live.trace().spans
    assert {span.request for span in spans if span.kind == "request"} == set(range(5))
    assert {span.kind for span in spans} >= {"request", "compute", "transfer"}


def test_a_closed_session_says_so(problem: Problem, model: Model, expected: Expected) -> None:
    session = deploy(solution_of(problem, cut(problem, "a", "b")), models=model, policy="static", network=Network())
    waiting = session.submit(expected.inputs[0])
    session.close()
    session.close()
    assert waiting.exception(5) is None or isinstance(waiting.exception(), NodeError)
    with pytest.raises(NodeError, match=r"the session has ended; open a new one"):
        session.submit(expected.inputs[0])


def test_policies_are_chosen_by_name(problem: Problem, model: Model) -> None:
    with pytest.raises(PlanError, match=r"there is no policy 'best'; choose one of static, table, threshold, replan"):
        deploy(solution_of(problem, cut(problem, "a", "b")), models=model, policy="best", network=Network())


def test_several_tasks_have_a_session_each(model: Model, problem: Problem, expected: Expected) -> None:
    task = problem.task
    both = problem.replace(tasks=(task, task.replace(name="other", inputs={next(iter(task.inputs)): "c"},
                                                     outputs={next(iter(task.outputs)): "c"})))  # fmt: skip
    graph, count = task.graph, len(task.graph.operators)
    entries = [plan_for(name, graph, [place] * count).entries[0] for name, place in ((task.name, "b"), ("other", "a"))]
    plan = plan_for(task.name, graph, ["b"] * count).replace(entries=tuple(entries))
    models = {each.name: model for each in both.tasks}
    with deploy(solution_of(both, plan), models=models, policy="static", network=Network()) as live:
        with pytest.raises(PlanError, match=r"there are 2 tasks \(toy_dag, other\); take one of `tasks`"):
            _ = live.session
        futures = [live.tasks[name].submit(expected.inputs[number % 3]) for number in range(20) for name in models]
        for number, future in enumerate(futures):
            expected.check(number // 2, future.result(20).outputs)


def test_after_a_loss_another_model_may_answer(problem: Problem, model: Model, expected: Expected) -> None:
    """The other model has the same structure and other weights, so its answers tell which one ran."""
    names = [name for name in model.initializers if model.weight(name).dtype == np.float32]
    other = model.with_weights({name: model.weight(name) * 0.5 for name in names})
    runner = Runner(other, whole(other))
    # The less accurate the better, so that the choice is known.
    rules = Rules(standby="ready", recovery=Recovery(0.0, 0.0, accuracy_weight=-1.0))
    plan = cut(problem, "a", "b")
    with deploy(
        solution_of(problem, plan), models=model, others={"half": (other, 0.9)}, policy="static", rules=rules,
        network=Network(),
    ) as live:  # fmt: skip
        until(lambda: live.status().calm)
        expected.check(0, live.run(expected.inputs[0]).outputs)
        live.fleet.launcher.node("b").stop()
        until(lambda: live.status().nodes["b"] == "down")
        until(lambda: live.status().plan > 0)
        answer = live.run(expected.inputs[0]).outputs
        for name, array in runner.run(expected.inputs[0]).items():
            np.testing.assert_allclose(answer[name], array, rtol=1e-4, atol=1e-5)
        live.fleet.start_again("b")
        until(lambda: live.status().plan == 0)
        expected.check(0, live.run(expected.inputs[0]).outputs)
