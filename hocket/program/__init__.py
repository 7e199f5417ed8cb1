"""The program: what a plan becomes, and all that a node must understand."""

from hocket.program.artifact import ABSENT, Artifact, WeightSource, tensor_hash
from hocket.program.parts import Combine, Contract, Part, Region, Work
from hocket.program.program import (
    INPUT,
    Binding,
    Counter,
    Port,
    Program,
    Resource,
    Segment,
    Site,
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
    "Counter",
    "Part",
    "Port",
    "Program",
    "Region",
    "Resource",
    "Segment",
    "Site",
    "Span",
    "State",
    "TensorInfo",
    "Trace",
    "Transfer",
    "WeightSource",
    "Wire",
    "Work",
    "tensor_hash",
]
