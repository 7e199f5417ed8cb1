"""What collectives move: bytes of each node, and seconds of a ring; what a layer of each division moves.

A ring all-reduce of V bytes on K nodes sends 2 (K - 1) / K V from each node in 2 (K - 1) messages; an all-gather or a
reduce-scatter is half of it.
"""

import math


def all_gather_bytes(nbytes: float, nodes: int) -> float:
    """Sent by each node until all have the whole tensor; a reduce-scatter sends as much.

    >>> all_gather_bytes(400, 4)
    300.0
    """
    return nbytes * (nodes - 1) / nodes


def all_reduce_bytes(nbytes: float, nodes: int) -> float:
    """Sent by each node until all have the sum.

    >>> all_reduce_bytes(400, 4)
    600.0
    """
    return 2 * all_gather_bytes(nbytes, nodes)


def all_reduce_s(nbytes: float, nodes: int, bytes_per_s: float, latency_s: float = 0.0) -> float:
    """Seconds of a ring on equal links.

    >>> all_reduce_s(400, 4, 100.0, 0.5)
    9.0
    """
    return all_reduce_bytes(nbytes, nodes) / bytes_per_s + 2 * (nodes - 1) * latency_s


def tensor_parallel_bytes(nbytes: float, nodes: int) -> float:
    """Of a layer divided by heads and hidden units (Megatron): two all-reduces of the layer's result.

    Args:
        nbytes: of the layer's result.
        nodes: that share it.
    """
    return 2 * all_reduce_bytes(nbytes, nodes)


def position_bytes(nbytes: float, nodes: int) -> float:
    """Of a layer divided by positions (Voltage): one all-gather of its result, a quarter of tensor parallelism.

    >>> tensor_parallel_bytes(400, 4) / position_bytes(400, 4)
    4.0
    """
    return all_gather_bytes(nbytes, nodes)


def weight_stationary_bytes(rows_bytes: float, width: int, hidden: int, along: int, nodes: int) -> float:
    """Of an MLP whose weights are divided into `along` parts of the width and nodes / along parts of the hidden units.

    Each node gathers its part of the input and scatters its part of the output, and the same with the hidden units:
    2 (E / X + F / YZ) bytes for each byte of a column (Pope and others, section 3.2.2, who count (K - 1) / K as 1).

    Args:
        rows_bytes: of one column: positions times bytes of an element.
        width: E, length of a position's vector.
        hidden: F, hidden units.
        along: X; 1 = one-dimensional, where the hidden units are with one node and do not travel.
        nodes: X times YZ.

    >>> weight_stationary_bytes(1, 768, 3072, 1, 16), weight_stationary_bytes(1, 768, 3072, 2, 16)
    (1536.0, 1536.0)
    """
    hidden_part = hidden / (nodes / along) if along > 1 else 0.0
    return 2 * rows_bytes * (width / along + hidden_part)


def best_grid(width: int, hidden: int, nodes: int, *, least: int = 1) -> int:
    """Parts of the width X, a divisor of the number of nodes, with which an MLP moves fewest bytes; of equal ones the
    least.

    Args:
        width: E.
        hidden: F.
        nodes: X times YZ.
        least: of the parts.

    >>> [best_grid(768, 3072, nodes) for nodes in (4, 16, 36, 64)]
    [1, 1, 3, 4]
    """
    divisors = [along for along in range(1, nodes + 1) if nodes % along == 0 and along >= min(least, nodes)]
    return min(divisors, key=lambda along: (weight_stationary_bytes(1.0, width, hidden, along, nodes), along))


def two_dimensional_factor(nodes: int) -> float:
    """Bytes of two dimensions over those of a column times the width, F = 4 E and the best grid: 8 / sqrt(n).

    One dimension has 2, whatever n is.

    >>> two_dimensional_factor(16), two_dimensional_factor(64)
    (2.0, 1.0)
    """
    return 8 / math.sqrt(nodes)
