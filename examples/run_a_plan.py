"""Run a small model over three emulated devices and compare predicted with measured."""

from pathlib import Path

import hocket
from hocket.zoo import model_path

model = hocket.load_model(model_path("toy_dag"))
cluster = hocket.load_cluster(Path(__file__).parent / "home.toml")
profile = hocket.measure(model, cluster, repeats=5)
solution = hocket.solve(hocket.problem_for(model.graph, cluster, profile=profile))
report = hocket.run(solution, requests=5)

print(f"predicted {1e3 * report.figures.predicted_s:.2f} ms, measured {1e3 * report.figures.measured_s.p50:.2f} ms")
print(f"largest difference from the whole model {report.figures.max_rel_error:.1e}")
