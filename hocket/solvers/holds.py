"""For how long a tensor at least holds the busiest link on its way."""

import numpy as np

from hocket.solvers.layout import Floats, Layout
from hocket.solvers.ways import Ways


def holds(layout: Layout, ways: Ways) -> Floats:
    """(M, N, N) least seconds for which each tensor holds a resource between two nodes; inf = there is no way.

    Between nodes where it is neither made, read nor needed it is 0 or inf, whatever links there are.
    """
    nets, size = layout.nets, len(layout.nodes)
    held = np.zeros((len(nets), size, size))
    order = np.argsort([net.nbytes for net in nets], kind="stable")
    sizes = np.array([nets[number].nbytes for number in order], dtype=np.float64)
    ratios = np.array([_least_ratio(layout, nets[number].home >= 0) for number in order])
    ends = sorted({*layout.hosts, *(node for net in nets for node in (net.home, *net.sinks) if node >= 0)})
    for source in ends if nets else ():
        for target in ends:
            names = (layout.nodes[source], layout.nodes[target])
            if source == target:
                continue
            held[:, source, target] = np.inf
            if layout.problem.cluster.reachable(*names):
                for piece, way in ways.pieces(*names, sizes):
                    most = max(way.holds.values(), default=0.0)
                    held[order[piece], source, target] = sizes[piece] * ratios[piece] * most
    held[layout.barred] = np.inf
    return held


def _least_ratio(layout: Layout, is_input: bool) -> float:
    """Least bytes after / before of a tensor that is sent raw, or of an input in the best of its lossless codecs."""
    task = layout.task
    entries = [entry.codecs["raw"].ratio for entry in task.profile.nodes.values() if "raw" in entry.codecs]
    return float(min([1.0, *entries, *(task.input_codecs.values() if is_input else ())]))
