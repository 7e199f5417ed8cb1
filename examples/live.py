"""Keep a model alive on three emulated devices: kill one in the middle of a stream, and lose nothing."""

import os
import signal
import time

import numpy as np

import hocket
from hocket.cluster import read_toml
from hocket.control.live.state import Rules
from hocket.graph.execute import Runner, random_inputs
from hocket.plan.build import whole
from hocket.zoo import model_path

REQUESTS, KILLED_AT, MOST_S = 40, 10, 15.0
CLUSTER = """
format = "hocket.cluster/1"
[[node]]
name = "camera"
speed = "200 MFLOP/s"
[[node]]
name = "edge"
speed = "5 GFLOP/s"
[[node]]
name = "laptop"
speed = "4 GFLOP/s"
[[link]]
between = ["camera", "edge"]
rate = "100 Mbit/s"
[[link]]
between = ["camera", "laptop"]
rate = "100 Mbit/s"
[[link]]
between = ["edge", "laptop"]
rate = "100 Mbit/s"
"""

model = hocket.calibrated(hocket.load_model(model_path("toy_dag")))
solution = hocket.solve(hocket.problem_for(model.graph, read_toml(CLUSTER)))
inputs = random_inputs(model.graph)
(expected,) = Runner(model, whole(model)).run(inputs).values()

with hocket.deploy(solution, models=model, policy="static", rules=Rules(standby="ready")) as live:
    limit_s = time.monotonic() + MOST_S
    while not live.status().calm and time.monotonic() < limit_s:  # until a plan is ready for the loss of each node
        time.sleep(0.1)
    helper = min(live.status().used - {solution.problem.task.source})
    print(f"the plan uses {', '.join(sorted(live.status().used))}; {helper} will be killed")
    latencies_s = []
    for number, answer in enumerate(live.stream([inputs] * REQUESTS)):
        (found,) = answer.outputs.values()
        if not np.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise SystemExit(f"the answer to request {number} is not that of the whole model")
        latencies_s.append(answer.latency_s)
        if number == KILLED_AT:
            os.kill(live.fleet.process_id(helper), signal.SIGKILL)
    while live.status().nodes[helper] != "down":  # a fast computer may have answered all before it is seen
        time.sleep(0.01)
    began_s = live.log()[0][0]
    for at_s, sentence in live.log():
        print(f"{at_s - began_s:6.2f} s  {sentence}")
    counts = live.status().counts

print(f"{counts['answered']} of {REQUESTS} requests answered, all right, {counts.get('resent', 0)} of them sent again")
print(f"median {1e3 * np.median(latencies_s):.1f} ms, at most {1e3 * max(latencies_s):.0f} ms")
