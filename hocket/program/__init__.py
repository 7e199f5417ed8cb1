"""The program: what a plan becomes, and all that a node must understand."""

from hocket.program.artifact import ABSENT, Artifact, WeightSource, tensor_hash
from hocket.program.parts import Combine, Contract, Part, Region, Work
from hocket.program.program import (
    INPUT,
    Binding,
    Port,
    Program,
    Resource,
    Segment,
    Site,
    Counter,
    State,
    TensorInfo,
    Transfer,
    Wire,
)
from hocket.program.trace import Span, Trace

__all__ = [
    "ABSENT",
    "INPUT",
    "Artifact",
    "Binding",
    "Combine",
    "Contract",
    "Part",
    "Port",
    "Program",
    "Region",
    "Resource",
    "Segment",
    "Site",
    "Span",
    "Counter",
    "State",
    "TensorInfo",
    "Trace",
    "Transfer",
    "WeightSource",
    "Wire",
    "Work",
    "tensor_hash",
]
