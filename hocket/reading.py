"""Reading any of hocket's files: which noun it holds is told by its `format` field."""

from pathlib import Path

from hocket.cluster import Cluster
from hocket.cost import Cost, Problem
from hocket.cost.leakage import LeakageTable
from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.nouns import Noun, decode_json, read_bytes
from hocket.plan import Plan
from hocket.profile import Predictor, Profile
from hocket.program import Program, Trace
from hocket.solvers import Solution

NOUNS: tuple[type[Noun], ...] = (
    Graph, Cluster, Profile, Predictor, Problem, Plan, Program, Cost, Trace, Solution, LeakageTable
)  # fmt: skip


def load(path: str | Path) -> Noun:
    """Read a file of any of hocket's JSON formats.

    Raises:
        FormatError: not one of them; the sentence lists those that are known.
    """
    data = read_bytes(path)
    found = decode_json(data, name=str(path)).get("format")
    for noun in NOUNS:
        if noun.__struct_config__.tag == found:
            return noun.from_json(data, name=str(path))
    known = ", ".join(str(noun.__struct_config__.tag) for noun in NOUNS)
    raise FormatError(f"{path} has format {found!r}, which is none of {known}; give a file that hocket wrote")
