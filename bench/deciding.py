"""Is it right to divide? Asked at six rates for three models, and then tried."""

import numpy as np

from bench.setup import port_nodes
from bench.splitting import best_alone, measured_problem, read_model, run_measured
from bench.table import Row
from hocket.cost import problem_for
from hocket.solvers import solve

GRID = ("10 Mbit/s", "30 Mbit/s", "100 Mbit/s", "300 Mbit/s", "1 Gbit/s", "3 Gbit/s")


def rows() -> list[Row]:
    """Is it right to divide? Asked at six rates for three models; only clear cases count."""
    right = clear = 0
    regrets, notes = [], []
    for name in ("resnet18", "googlenet", "mobilenet_v2"):
        model = read_model(name)
        profile = measured_problem(model, (4.0, 4.0), GRID[0]).task.profile
        for rate in GRID:
            problem = problem_for(model.graph, port_nodes((4.0, 4.0), rate), profile=profile)
            solution, alone = solve(problem, "joint_split"), best_alone(problem)
            predicted = alone.cost.value / solution.cost.value
            if predicted < 1.001:
                regrets.append(1.0)
                continue
            (split_s, _), (one_s, _) = run_measured(solution, model), run_measured(alone, model)
            regrets.append(split_s / min(split_s, one_s))
            if predicted > 1.1:
                clear += 1
                right += split_s < one_s
            notes.append(f"{name} {rate}: {one_s / split_s:.2f} (predicted {predicted:.2f})")
    share = right / clear if clear else 1.0
    regret = float(np.median(regrets)) - 1
    return [
        Row("decision to divide is right, where more than 10 % are predicted", 100 * share, "%", ">= 95 %",
            share >= 0.95, f"{right} of {clear}; " + "; ".join(notes)),
        Row("regret of that decision, median over 18 points", 100 * regret, "%", "<= 5 %", regret <= 0.05, ""),
    ]  # fmt: skip
