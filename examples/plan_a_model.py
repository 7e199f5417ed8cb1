"""Plan a model of the zoo for three devices and compare the plan with the obvious ones."""

from pathlib import Path

import hocket
from hocket.zoo import model_path

model = hocket.load_model(model_path("resnet18"))
cluster = hocket.load_cluster(Path(__file__).parent / "home.toml")
problem = hocket.problem_for(model.graph, cluster)
solution = hocket.solve(problem)

for name, value in sorted(solution.candidates.items(), key=lambda item: item[1]):
    print(f"{name:16} {1e3 * value:8.1f} ms")
print(f"{solution.solver:16} {1e3 * solution.cost.latency_s:8.1f} ms, at least {1e3 * (solution.bound or 0):.1f} ms")
for stage in solution.stages():
    print(stage["node"], len(stage["operators"]), "operators")
