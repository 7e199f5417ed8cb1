"""Layers over many nodes by dynamic programming, shortest paths and integer programs; pipelines."""

from hocket.solvers.chains.adamec import AdaMec
from hocket.solvers.chains.edgeshard_latency import EdgeShardLatency
from hocket.solvers.chains.edgeshard_throughput import EdgeShardThroughput
from hocket.solvers.chains.hpipe import HPipe
from hocket.solvers.chains.jalad import Jalad
from hocket.solvers.chains.job_schedule import JobSchedule
from hocket.solvers.chains.jointdnn import JointDnn
from hocket.solvers.chains.linear_pipeline import LinearPipeline
from hocket.solvers.chains.mdpo import Mdpo
from hocket.solvers.chains.ocdst import Ocdst
from hocket.solvers.chains.pdd import Pdd
from hocket.solvers.chains.pipeedge import PipeEdge
from hocket.solvers.chains.pipeline_coinfer import PipelineCoinfer
from hocket.solvers.solver import Solver

SOLVERS: tuple[type[Solver], ...] = (
    Mdpo,
    Ocdst,
    Pdd,
    PipeEdge,
    HPipe,
    EdgeShardLatency,
    EdgeShardThroughput,
    JointDnn,
    AdaMec,
    PipelineCoinfer,
    Jalad,
    JobSchedule,
    LinearPipeline,
)
"""In the order of the list."""
