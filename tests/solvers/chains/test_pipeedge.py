"""PipeEdge: what it proves, and what it refuses."""

import pytest
from chain_problems import straight

from hocket.cost import evaluate
from hocket.errors import InfeasibleError, RefusedError
from hocket.solvers import ChainDp
from hocket.solvers.chains.edgeshard_throughput import EdgeShardThroughput
from hocket.solvers.chains.pipeedge import PipeEdge


def test_pipeedge_says_what_it_proves_and_chain_dp_agrees() -> None:
    proven = 0
    for seed in range(25):
        problem = straight(seed, limited=seed % 2 == 0)
        try:
            expected = evaluate(problem, ChainDp()(problem).plan).value
        except InfeasibleError:
            with pytest.raises(InfeasibleError, match="no plan of 'chain' keeps the constraints, searched over all"):
                PipeEdge()(problem)
        except RefusedError:
            continue
        else:
            proposal = PipeEdge()(problem)
            if proposal.over:
                proven += 1
                assert evaluate(problem, proposal.plan).value == pytest.approx(expected, rel=1e-9)
    assert proven >= 10


def test_pipeedge_refuses_too_many_kinds() -> None:
    reason = PipeEdge(most_states=10).refuses(straight(1))
    assert reason == "3 kinds of devices make a table of 144 entries, more than 10"
    reason = EdgeShardThroughput(most_states=10).refuses(straight(1))
    assert reason == "the sets of 3 devices make a table of 144 entries, more than 10"
