"""Every failure as a list of events, and random mixtures of them: nothing is lost, answered twice, or left hanging."""

import random
from dataclasses import replace

import pytest
from stage import PLANS, Stage, facts

from hocket.control.live import events
from hocket.control.live.state import Recovery, Rules


def busy(stage: Stage, count: int, until_s: float) -> None:
    """Requests at even distances."""
    for number in range(count):
        stage.at(0.01 + until_s * number / count, stage.submit)


def all_answered(stage: Stage) -> bool:
    return len(stage.answered) == stage.sent and not stage.failed and not stage.state.requests


def test_a_plan_is_prepared_and_requests_wait_for_it() -> None:
    stage = Stage()
    assert [type(command) for _, command in stage.commands] == [events.Prepare]
    request = stage.submit()
    assert stage.of(events.Send) == []
    stage.run(2)
    assert request in stage.answered
    assert stage.plan == 0


def test_no_more_requests_are_under_way_than_the_window() -> None:
    stage = Stage()
    stage.run(1)
    for _ in range(10):
        stage.submit()
    assert len(stage.of(events.Send)) == 3
    assert len(stage.state.queue) == 7
    stage.run(5)
    assert all_answered(stage)


@pytest.mark.parametrize("standby", ["none", "plan", "weights", "ready"])
@pytest.mark.parametrize("seen", [True, False], ids=["seen", "silent"])
def test_a_dead_node_costs_time_and_no_request(standby: str, seen: bool) -> None:
    stage = Stage(rules=Rules(standby=standby))  # type: ignore[arg-type]
    busy(stage, 40, 10)
    stage.at(5, lambda: stage.kill("b", seen=seen))
    stage.run(15)
    assert all_answered(stage)
    assert stage.plan == 1
    assert stage.state.counts["losses"] == 1


def test_with_a_spare_run_the_next_request_goes_there_at_once() -> None:
    stage = Stage(rules=Rules(standby="ready"))
    stage.run(5)
    assert {run.plan for run in stage.state.runs.values()} == {0, 1}
    stage.kill("b")
    assert stage.plan == 1
    before = len(stage.of(events.Send))
    stage.submit()
    assert len(stage.of(events.Send)) == before + 1


def test_weights_of_the_spare_plan_are_stored_and_nothing_is_loaded() -> None:
    stage = Stage(rules=Rules(standby="weights"))
    stage.run(5)
    assert [command.plan for command in stage.of(events.Store)] == [1]
    assert {run.plan for run in stage.state.runs.values()} == {0}


def test_a_spare_run_that_has_no_room_is_not_loaded() -> None:
    stage = Stage(rules=Rules(standby="ready", memory_bytes={"a": 1}))
    stage.run(5)
    assert {run.plan for run in stage.state.runs.values()} == {0}
    assert any("has no room" in command.sentence for command in stage.of(events.Tell))


def test_a_hanging_node_that_goes_on_still_has_its_run() -> None:
    stage = Stage(rules=Rules(standby="ready"))
    busy(stage, 60, 15)
    stage.at(4, lambda: stage.hang("b"))
    stage.at(8, lambda: stage.go_on("b"))
    stage.run(20)
    assert all_answered(stage)
    assert stage.plan == 0
    assert len([command for command in stage.of(events.Prepare) if command.plan == 0]) == 1


def test_a_restarted_node_gets_its_run_again_and_the_plan_comes_back() -> None:
    stage = Stage()
    busy(stage, 60, 15)
    stage.at(4, lambda: stage.kill("b"))
    stage.at(6, lambda: stage.restart("b"))
    stage.run(20)
    assert all_answered(stage)
    assert stage.plan == 0
    assert len([command for command in stage.of(events.Prepare) if command.plan == 0]) == 2


def test_a_restart_that_nobody_saw_is_noticed() -> None:
    stage = Stage()
    busy(stage, 40, 10)
    stage.at(5, lambda: stage.restart("b"))
    stage.run(15)
    assert all_answered(stage)
    assert any("restarted" in command.sentence for command in stage.of(events.Tell))


def test_a_slow_answer_of_a_doubted_node_is_waited_for_elsewhere_too() -> None:
    stage = Stage(rules=Rules(standby="ready", suspect=1.0, dead=200.0))
    stage.run(5)
    stage.hang("b")
    request = stage.submit()
    stage.run(7)
    assert request in stage.answered
    tried = {stage.state.runs[command.run].plan for command in stage.of(events.Send) if command.request == request}
    assert tried == {0, 1}


@pytest.mark.parametrize("both", [True, False], ids=["both directions", "one direction"])
def test_a_way_that_leads_nowhere_is_found_and_avoided(both: bool) -> None:
    stage = Stage()
    busy(stage, 60, 20)
    ways = {("a", "b"), ("b", "a")} if both else {("a", "b")}
    stage.at(4, lambda: stage.cut.update(ways))
    stage.run(9)
    assert stage.plan == 1
    assert set(stage.state.cut) >= ways
    assert stage.state.nodes["b"].status == "up"
    stage.cut.clear()
    stage.run(30)
    assert stage.plan == 0
    assert not stage.state.cut
    assert all_answered(stage)


def test_lost_answers_are_asked_for_again_though_nothing_seems_wrong() -> None:
    stage = Stage(loss=0.1, seed=3)
    busy(stage, 100, 30)
    stage.run(60)
    assert all_answered(stage)
    assert stage.state.counts["resent"] > 0
    assert stage.plan == 0


def test_a_node_that_comes_and_goes_is_left_alone_until_it_behaves() -> None:
    stage = Stage()
    for at_s in (3, 5, 7, 9):
        stage.at(at_s, lambda: stage.kill("b"))
        stage.at(at_s + 1, lambda: stage.restart("b"))
    stage.run(11)
    assert stage.plan == 1
    assert stage.state.nodes["b"].status == "up"
    stage.run(60)
    assert stage.plan == 0


def test_without_its_source_a_task_says_so_and_recovers() -> None:
    stage = Stage()
    stage.run(2)
    waiting = stage.submit()
    stage.kill("a")
    late = stage.submit()
    expected = "node 'a' brings the inputs or needs the outputs, and is down (it was killed); start it again"
    assert stage.failed[waiting].sentence == expected
    assert stage.failed[late].sentence == expected
    stage.restart("a")
    stage.run(6)
    request = stage.submit()
    stage.run(8)
    assert request in stage.answered


def test_a_cluster_that_cannot_carry_the_model_says_what_is_missing_until_it_can() -> None:
    stage = Stage(PLANS[:2])
    stage.run(3)
    stage.kill("b")
    stage.kill("c")
    stage.run(5)
    request = stage.submit()
    assert stage.failed[request].sentence == "no plan is whole"
    stage.restart("c")
    stage.run(8)
    again = stage.submit()
    stage.run(9)
    assert again in stage.answered
    assert stage.plan == 1


def test_what_a_node_refuses_once_is_tried_again_and_twice_is_an_error() -> None:
    stage = Stage()
    stage.run(2)
    request = stage.submit()
    first = stage.of(events.Send)[-1]
    stage.feed(events.Refused(2.0, first.run, first.line, first.number, "b", "node 'b': it has no room"))
    second = stage.of(events.Send)[-1]
    assert (second.request, second.number) == (request, first.number + 1)
    stage.feed(events.Refused(2.1, second.run, second.line, second.number, "b", "node 'b': it has no room"))
    assert stage.failed[request].sentence == "node 'b': it has no room"


def test_a_deadline_that_passes_is_an_error_that_says_what_to_do() -> None:
    stage = Stage()
    request = stage.submit(deadline_s=0.005)
    stage.run(3)
    assert stage.failed[request].late
    assert "allow it more time, or send fewer at once" in stage.failed[request].sentence


def test_a_cancelled_request_frees_its_place() -> None:
    stage = Stage()
    stage.run(1)
    requests = [stage.submit() for _ in range(4)]
    assert len(stage.of(events.Send)) == 3
    stage.feed(events.Cancelled(stage.now_s, requests[0]))
    assert stage.of(events.Drop)[-1].numbers == (0,)
    assert stage.of(events.Send)[-1].request == requests[3]
    stage.run(3)
    assert sorted(stage.answered) == requests[1:]


def test_a_wanted_plan_takes_over_when_it_is_ready_and_the_old_one_ends() -> None:
    stage = Stage(rules=Rules(standby="none"))
    busy(stage, 100, 10)
    stage.at(5, lambda: stage.feed(events.Wanted(5.0, PLANS[1])))
    stage.run(12)
    assert all_answered(stage)
    assert stage.plan == 1
    ready_s = min(
        at_s for at_s, command in stage.commands if isinstance(command, events.Tell) and "plan 1" in command.sentence
    )
    sends = [(at_s, command.run) for at_s, command in stage.commands if isinstance(command, events.Send)]
    assert {run for at_s, run in sends if at_s < ready_s} == {1}
    assert {run for at_s, run in sends if at_s > ready_s} == {2}
    assert [command.run for command in stage.of(events.Forget)] == [1]


def test_the_baseline_stops_loads_and_goes_on() -> None:
    stage = Stage(rules=Rules(standby="none", pause=True))
    busy(stage, 100, 10)
    stage.at(5, lambda: stage.feed(events.Wanted(5.0, PLANS[1])))
    stage.run(12)
    assert all_answered(stage)
    kinds = [type(command) for _, command in stage.commands if isinstance(command, events.Forget | events.Prepare)]
    assert kinds == [events.Prepare, events.Forget, events.Prepare]


def test_the_observer_s_own_pause_is_no_silence() -> None:
    stage = Stage()
    stage.run(3)
    stage.feed(events.Tick(13.0, paused_s=10.0))
    assert all(health.status == "up" for health in stage.state.nodes.values())
    stage.feed(events.Tick(23.0))
    assert all(health.status == "down" for health in stage.state.nodes.values())


def test_requests_are_dealt_to_the_lines_of_a_plan_by_their_fractions() -> None:
    from hocket.control.live.facts import Facts, Line

    one = facts(0, "ab", 0.1)
    two = Facts(0, one.nodes, one.hops, one.sources, (Line(8, 0.75), Line(8, 0.25)), 0.1)
    stage = Stage([two])
    stage.run(1)
    for _ in range(8):
        stage.submit()
    assert [command.line for command in stage.of(events.Send)] == [0, 0, 1, 0, 0, 0, 1, 0]


def test_after_a_loss_a_less_accurate_model_is_taken_if_its_score_is_better() -> None:
    exit_plan = replace(facts(3, "a", 0.1), variant="exit", accuracy=0.9)
    far = replace(facts(1, "ac", 2.0), move_s=20.0)
    for weight, expected in ((0.1, "exit"), (10.0, "")):
        rules = Rules(standby="plan", recovery=Recovery(accuracy_weight=weight))
        stage = Stage([PLANS[0], far, exit_plan], rules=rules, whole=True)
        busy(stage, 20, 10)
        stage.at(5, lambda stage=stage: stage.kill("b"))
        stage.run(15)
        assert stage.state.plans[stage.plan].variant == expected
        assert all_answered(stage)


def test_recovery_keeps_thresholds_and_says_the_most_accurate_when_none_does() -> None:
    near, quick = facts(1, "ac", 0.5), replace(facts(2, "a", 0.1), variant="exit", accuracy=0.8)
    assert Recovery(least_accuracy=0.9).choose([near, quick]) == near
    assert Recovery(most_latency_s=0.2).choose([near, quick]) == quick
    assert Recovery(most_latency_s=0.01).choose([near, quick]) == near
    assert Recovery().choose([]) is None


FAULTS = ("kill", "silent kill", "hang", "cut", "one way", "want")


@pytest.mark.parametrize("seed", range(40))
def test_no_mixture_of_faults_and_switches_loses_or_repeats_a_request(seed: int) -> None:
    chance = random.Random(seed)
    rules = Rules(
        standby=chance.choice(["none", "plan", "weights", "ready"]),
        pause=chance.random() < 0.2,
        keep=chance.choice([0, 1]),
    )
    stage = Stage(rules=rules, seed=seed, loss=chance.choice([0.0, 0.02]))
    for _ in range(120):
        stage.at(chance.uniform(0, 20), lambda: stage.submit(deadline_s=40.0))
    for _ in range(chance.randrange(5)):
        at_s, end_s, node = chance.uniform(1, 15), chance.uniform(0.2, 4), chance.choice("bbc")
        kind = chance.choice(FAULTS)
        back = {("a", node)} | ({(node, "a")} if kind == "cut" else set())
        if kind in ("kill", "silent kill"):
            stage.at(at_s, lambda node=node, kind=kind: stage.kill(node, seen=kind == "kill"))
            stage.at(at_s + end_s, lambda node=node: stage.restart(node))
        elif kind == "hang":
            stage.at(at_s, lambda node=node: stage.hang(node))
            stage.at(at_s + end_s, lambda node=node: stage.go_on(node))
        elif kind == "want":
            plan = chance.choice(PLANS)
            stage.at(at_s, lambda plan=plan: stage.feed(events.Wanted(stage.now_s, plan)))
        else:
            stage.at(at_s, lambda back=back: stage.cut.update(back))
            stage.at(at_s + end_s, lambda back=back: stage.cut.difference_update(back))
    stage.run(60)
    assert len(stage.answered) == stage.sent == 120, stage.failed
    assert not stage.state.requests and not stage.state.queue
    assert all(run.idle for run in stage.state.runs.values())
