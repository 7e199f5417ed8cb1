"""Spot checks: what a tampering node does is found, blamed on it and on nobody else."""

import random

import pytest
from stage import Stage, facts

from hocket.control.live import events
from hocket.control.live.audits import chance_of_catching, share_for, suspects
from hocket.control.live.state import Rules, Trial

PLANS = (facts(0, "ab", 0.1), facts(1, "ac", 0.2), facts(2, "a", 0.5))


class Tampered(Stage):
    """A stage on which some nodes change their results."""

    def __init__(self, liars: str, rate: float = 1.0, plans: object = PLANS, **options: object) -> None:
        self.liars, self.rate, self.shaken = set(liars), rate, random.Random(1)
        self.answers: dict[int, list[tuple[int, bool]]] = {}
        super().__init__(plans, **options)  # type: ignore[arg-type]

    def check(self, request: int) -> None:
        """Ask for a spot check of an answered request."""
        finish = next(command for command in self.of(events.Finish) if command.request == request)
        plan = self.state.runs[finish.run].plan
        self.answers[request] = [(plan, self._lies(plan))]
        self.feed(events.Check(self.now_s, request, finish.run))

    def _carry_out(self, commands: object) -> None:
        super()._carry_out(commands)  # type: ignore[arg-type]
        for command in commands:  # type: ignore[attr-defined]
            if isinstance(command, events.Again):
                key = (command.run, command.line, command.number)
                self.at(self.now_s + 0.1, lambda key=key: self._answer(*key))  # type: ignore[misc]
            elif isinstance(command, events.Compare):
                self._compare(command.check, self.state.runs[command.run].plan)

    def _compare(self, check: int, plan: int) -> None:
        answers = self.answers[check]
        answers.append((plan, self._lies(plan)))
        event: events.Event
        if len(answers) == 2:
            (first, one), (second, other) = answers
            event = events.Compared(self.now_s, check, (first, second), not (one or other))
        else:
            (first, one), (second, other), (judge, _) = answers
            event = events.Judged(self.now_s, (first, second), judge, (not one, not other))
        self.at(self.now_s, lambda: self.feed(event))

    def _lies(self, plan: int) -> bool:
        return bool(self.plans[plan].nodes & self.liars) and self.shaken.random() < self.rate


def checked(stage: Tampered, times: int) -> None:
    for _ in range(times):
        request = stage.submit()
        stage.run(stage.now_s + 1)
        stage.check(request)
        stage.run(stage.now_s + 1)


def test_honest_nodes_agree_and_stay() -> None:
    stage = Tampered("", rules=Rules(audit=0.5))
    stage.run(5)
    checked(stage, 5)
    assert stage.state.counts["checked"] == 5
    assert not stage.state.banned
    assert stage.plan == 0


def test_a_node_that_lies_is_excluded_and_stays_so_though_it_lives() -> None:
    stage = Tampered("b", rules=Rules(audit=0.5))
    stage.run(5)
    checked(stage, 4)
    assert stage.state.banned == {"b"}
    assert stage.plan == 1
    stage.run(stage.now_s + 20)
    assert stage.state.nodes["b"].status == "down"
    stage.feed(events.Pardoned(stage.now_s, "b"))
    stage.run(stage.now_s + 40)
    assert stage.plan == 0


@pytest.mark.parametrize("liar", ["b", "c"])
@pytest.mark.parametrize("rate", [1.0, 0.3])
def test_of_two_suspects_a_judge_tells_which_lies(liar: str, rate: float) -> None:
    stage = Tampered(liar, rate, rules=Rules(audit=0.5))
    stage.run(5)
    checked(stage, 20)
    assert stage.state.banned == {liar}
    assert stage.plan == (1 if liar == "b" else 0)


def test_without_a_judge_both_stay_in_doubt_and_in_use() -> None:
    stage = Tampered("b", plans=PLANS[:2], rules=Rules(audit=0.5))
    stage.run(5)
    checked(stage, 5)
    assert stage.state.doubted == {"b", "c"}
    assert not stage.state.banned


def test_a_check_without_another_run_is_counted_as_not_done() -> None:
    stage = Tampered("", rules=Rules(standby="none"))
    stage.run(3)
    checked(stage, 1)
    assert stage.state.counts["unchecked"] == 1


def test_a_check_whose_answer_never_comes_frees_its_place() -> None:
    stage = Tampered("", rules=Rules(audit=0.5))
    stage.run(5)
    request = stage.submit()
    stage.run(6)
    stage.loss = 1.0
    stage.check(request)
    stage.run(20)
    assert not stage.state.checks
    assert all(run.idle for run in stage.state.runs.values())


def test_the_chance_of_catching_is_that_of_independent_checks() -> None:
    chance = random.Random(5)
    share, tampering, requests = 0.05, 0.3, 100
    caught = sum(
        any(chance.random() < share and chance.random() < tampering for _ in range(requests)) for _ in range(4000)
    )
    assert caught / 4000 == pytest.approx(chance_of_catching(share, tampering, requests), abs=0.03)
    assert chance_of_catching(share_for(0.9, tampering, requests), tampering, requests) == pytest.approx(0.9)


def test_suspects_are_what_all_disagreements_have_in_common() -> None:
    trials = (Trial(0.0, frozenset("bcd")), Trial(1.0, frozenset("bd")), Trial(2.0, frozenset("de")))
    assert suspects(trials) == {"d"}
    assert suspects(()) == frozenset()
