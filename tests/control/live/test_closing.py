"""The end of a live session, and what its plans are compared by."""

import threading

from live_sessions import CLUSTER, Expected, cut, solution_of, until

import hocket
from hocket.cluster import read_toml
from hocket.control.live.deploy import deploy
from hocket.control.live.facts import World
from hocket.control.live.thinking import Manner, think
from hocket.cost import Objective, evaluate, problem_for
from hocket.errors import NodeError
from hocket.runtime.inproc import Network
from hocket.zoo.listing import model_path


def test_a_request_that_comes_while_the_session_ends_gets_an_error() -> None:
    """It comes when the loop has looked into its inbox for the last time."""
    model = hocket.load_model(model_path("toy_dag"))
    problem = problem_for(model.graph, read_toml(CLUSTER))
    live = deploy(solution_of(problem, cut(problem, "a", "b")), models=model, policy="static", network=Network())
    keeper = live.session._keeper
    entered, go_on, ping = threading.Event(), threading.Event(), keeper._crew.ping

    def held() -> None:
        entered.set()
        go_on.wait(10)
        ping()

    keeper._crew.ping = held
    assert entered.wait(5)
    future = live.submit(Expected(model).inputs[0])
    closing = threading.Thread(target=live.close)
    closing.start()
    until(lambda: keeper._closing)
    go_on.set()
    closing.join(20)
    assert isinstance(future.exception(2), NodeError)


def test_a_better_plan_by_the_problem_s_objective_is_found_better() -> None:
    model = hocket.load_model(model_path("mobilenet_v2"))
    problem = problem_for(model.graph, hocket.load_cluster("examples/home.toml"))
    fast = hocket.solve(problem).plan
    problem = problem.replace(objective=Objective(metric="period"))
    best = hocket.solve(problem).plan
    assert evaluate(problem, best).period_s < evaluate(problem, fast).period_s * 0.9
    thoughts = think(problem, Manner("auto"), "best", World(), fast)
    assert thoughts.found[0][0] == best
