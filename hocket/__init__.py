"""Plan, run and measure one neural network divided over unequal devices.

    model = hocket.load_model("model.onnx")
    problem = hocket.problem_for(model.graph, hocket.load_cluster("home.toml"))
    solution = hocket.solve(problem)
    report = hocket.run(solution)

Names are looked up when they are first used, so that a node, which needs only the runtime, loads nothing else.
"""

from importlib import import_module
from typing import Any

from hocket.version import __version__

_VERBS = {
    "calibrated": "hocket.plan.calibrate",
    "capture": "hocket.graph.torch",
    "check_solver": "hocket.solvers",
    "compare": "hocket.comparison",
    "demo": "hocket.control.demo",
    "deploy": "hocket.control.live.deploy",
    "draw": "hocket.view",
    "evaluate": "hocket.cost",
    "explain": "hocket.view",
    "formula_profile": "hocket.profile",
    "load": "hocket.reading",
    "load_cluster": "hocket.cluster",
    "load_model": "hocket.graph.onnx",
    "measure": "hocket.control.measure",
    "predict": "hocket.control.predict",
    "probe": "hocket.control.probe",
    "problem_for": "hocket.cost",
    "read_problem": "hocket.cost",
    "run": "hocket.control.together",
    "simulate": "hocket.cost",
    "solve": "hocket.solvers",
}
_NOUNS = {
    "Cluster": "hocket.cluster",
    "Cost": "hocket.cost",
    "Graph": "hocket.graph",
    "HocketError": "hocket.errors",
    "Model": "hocket.graph.model",
    "Objective": "hocket.cost",
    "Plan": "hocket.plan",
    "Problem": "hocket.cost",
    "Profile": "hocket.profile",
    "Program": "hocket.program",
    "Session": "hocket.runtime.session",
    "Solution": "hocket.solvers",
    "Task": "hocket.cost",
    "Trace": "hocket.program",
}
__all__ = ["__version__", *_VERBS, *_NOUNS]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    place = _VERBS.get(name) or _NOUNS.get(name)
    if place is None:
        raise AttributeError(f"module 'hocket' has no attribute {name!r}")
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    return sorted([*__all__, *globals()])
