"""JALAD and the pipeline of co-inference: cuts with codecs."""

import random

import pytest
from chain_problems import two
from problems import chain, problem_of, profile_of

from hocket.cost import Problem, evaluate
from hocket.errors import InfeasibleError
from hocket.profile import CodecCost
from hocket.solvers.chains.jalad import Jalad
from hocket.solvers.chains.pipeline_coinfer import PipelineCoinfer


def coded_problem(seed: int, *, rate_per_s: float = 0.0) -> Problem:
    """A chain between a device and a server with codecs in the profile."""
    rng = random.Random(seed)
    graph = chain([rng.choice([10, 1000, 4000]) for _ in range(5)], first=rng.choice([100, 4000]))
    codecs = {
        "bits4+zlib": CodecCost(ratio=0.1, encode_s_per_byte=1e-5, decode_s_per_byte=1e-5),
        "raw+zlib": CodecCost(ratio=rng.choice([0.4, 0.9]), encode_s_per_byte=rng.choice([1e-8, 1e-4])),
        "int8": CodecCost(ratio=0.25, encode_s_per_byte=2e-8),
    }
    seconds = {"d": [rng.uniform(0.01, 0.3) for _ in range(5)], "s": [rng.uniform(0.001, 0.1) for _ in range(5)]}
    cluster = two(up=rng.choice([1e4, 1e5, 1e6]))
    profile = profile_of(graph, seconds, codecs=codecs)
    return problem_of(graph, cluster, profile, "latency", task={"rate_per_s": rate_per_s})


def each_choice(problem: Problem, *, lossy: bool) -> list[tuple[float, float, float, float]]:
    """(device, uplink, server and back, coding) seconds of each cut with each codec, worked out by hand."""
    task = problem.task
    device, server = task.profile.at("d"), task.profile.at("s")
    link = problem.cluster.links[0]
    sizes = [task.graph.inputs[0].nbytes, *(task.graph.tensor[f"t{i}"].nbytes for i in range(5))]
    codecs = {"raw": CodecCost(ratio=1.0), **device.codecs}
    found = []
    for cut in range(6):
        away = cut < 5
        for name, codec in codecs.items() if away else [("raw", codecs["raw"])]:
            if not lossy and not name.startswith("raw"):
                continue
            sent = sizes[cut] if away else 0
            back = sizes[5] / (link.down.bytes_per_s or 1) if away else 0.0
            computing = sum(device.seconds[f"t{i}"] for i in range(cut))
            serving = sum(server.seconds[f"t{i}"] for i in range(cut, 5)) + back
            coding = sent * (codec.encode_s_per_byte + codec.decode_s_per_byte)
            found.append((computing, sent * codec.ratio / (link.up.bytes_per_s or 1), serving, coding))
    return found


@pytest.mark.parametrize("lossy", [False, True])
def test_jalad_takes_the_best_pair_of_cut_and_codec(lossy: bool) -> None:
    lossless_only = 0
    for seed in range(40):
        problem = coded_problem(seed)
        proposal = Jalad(lossy=lossy)(problem)
        down = problem.task.graph.tensor["t4"].nbytes / (problem.cluster.links[0].down.bytes_per_s or 1)
        choices = each_choice(problem, lossy=lossy)
        # The way back is left out, as published.
        best = min(
            d + u + s - (down if number < len(choices) - 1 else 0) for number, (d, u, s, _) in enumerate(choices)
        )
        assert float(proposal.notes["own_value"]) == pytest.approx(best)
        codecs = {crossing.codec for crossing in proposal.plan.entries[0].codecs}
        lossless_only += codecs <= {"raw+zlib"}
        assert (proposal.bound is None) == bool(codecs)
    assert lossless_only == 40 if not lossy else lossless_only < 40


def test_pipeline_coinfer_filters_by_the_longest_stage_and_judges_as_the_judge() -> None:
    kept = 0
    for seed in range(40):
        problem = coded_problem(seed, rate_per_s=4.0)
        try:
            proposal = PipelineCoinfer(lossy=True)(problem)
        except InfeasibleError as error:
            assert "keeps up with 4 requests per second" in str(error) or "keeps the constraints" in str(error)
            continue
        kept += 1
        cost = evaluate(problem, proposal.plan)  # on a chain the judge has the figure of the method
        assert cost.latency_s == pytest.approx(float(proposal.notes["own_value"]))
        assert cost.latency_s >= min(sum(choice) for choice in each_choice(problem, lossy=True)) * (1 - 1e-9)
        assert cost.period_s <= 0.25
    assert kept >= 10


def test_a_lossless_codec_is_used_only_where_it_pays() -> None:
    graph = chain([1000, 1], first=1000)
    codecs = {"raw+zlib": CodecCost(ratio=0.5, encode_s_per_byte=1e-3)}
    profile = profile_of(graph, {"d": [1.0, 9.0], "s": [9.0, 1.0]}, codecs=codecs)
    problem = problem_of(graph, two(up=4e3), profile, "latency", task={"rate_per_s": 0.0})
    assert Jalad()(problem).plan.entries[0].codecs[0].codec == "raw+zlib"  # coding is not counted, as published
    assert PipelineCoinfer()(problem).plan.entries[0].codecs == ()  # 4 s of coding save 0.5 s
