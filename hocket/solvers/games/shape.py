"""Where one model can be cut between a device and a server, and what crosses there."""

from collections.abc import Iterable

import numpy as np

from hocket.graph import Graph
from hocket.graph.topology import units


class Shape:
    """Cuts and crossings of one model whose inputs and answers are on the device."""

    def __init__(self, graph: Graph, outputs: Iterable[str]) -> None:
        self.graph = graph
        found = units(graph)
        self.size = len(found)
        """Number of units; cut c leaves the units before c where the inputs are, c = 0, ..., size."""
        home = {position: number for number, unit in enumerate(found) for position in unit.operators}
        self.unit_of: list[int] = [home[position] for position in range(len(graph.operators))]
        wanted, cuts = set(outputs), np.arange(self.size + 1)
        sizes, up, down = [], [], []
        for tensor in graph.tensors:
            maker = self.unit_of[graph.producer[tensor.name]] if tensor.name in graph.producer else -1
            last = max((self.unit_of[reader] for reader in graph.readers[tensor.name]), default=-1)
            sizes.append(float(tensor.nbytes))
            up.append((cuts > maker) & (cuts <= last))
            down.append((cuts <= maker) & (tensor.name in wanted))
        kept = [number for number in range(len(sizes)) if up[number].any() or down[number].any()]
        self.nbytes = np.array([sizes[number] for number in kept])
        """(M,) of the tensors that may cross."""
        self.up = np.array([up[number] for number in kept], dtype=np.float64).reshape(len(kept), self.size + 1)
        """(M, C) 1 where a cut sends a tensor to the server."""
        self.down = np.array([down[number] for number in kept], dtype=np.float64).reshape(len(kept), self.size + 1)
        """(M, C) 1 where a cut sends a tensor back."""
