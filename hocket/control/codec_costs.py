"""What codecs cost: measured on this computer, and scaled to a node that is slowed down."""

import time
from collections.abc import Mapping

import numpy as np

from hocket.cluster import Node
from hocket.profile import CodecCost
from hocket.runtime.codecs import decode, encode


def codec_cost(name: str, feeds: Mapping[str, np.ndarray], repeats: int) -> CodecCost:
    """What a codec does to the inputs, on this computer."""
    before = after = 0
    encoding = decoding = 0.0
    for array in feeds.values():
        begin = time.perf_counter()
        for _ in range(repeats):
            buffers, meta = encode(name, array)
        middle = time.perf_counter()
        for _ in range(repeats):
            decode(name, array.dtype.name, array.shape, buffers, meta)
        encoding += (middle - begin) / repeats
        decoding += (time.perf_counter() - middle) / repeats
        before += array.nbytes
        after += sum(memoryview(buffer).nbytes for buffer in buffers)
    return CodecCost(ratio=after / before, encode_s_per_byte=encoding / before, decode_s_per_byte=decoding / before)


def slower(costs: Mapping[str, CodecCost], node: Node) -> dict[str, CodecCost]:
    """The same on a node that is slowed down."""
    factor = slowdown_of(node)
    return {
        name: cost.replace(
            encode_s_per_byte=cost.encode_s_per_byte * factor, decode_s_per_byte=cost.decode_s_per_byte * factor
        )
        for name, cost in costs.items()
    }


def slowdown_of(node: Node) -> float:
    """How many times slower a node is; `paced` has made a number of it."""
    return 1.0 if node.slowdown == "auto" else node.slowdown
