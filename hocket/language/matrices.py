"""The products with weights and the look-up of tokens, in every precision in which weights are stored.

A matrix of n outputs and k inputs is named after its operator:

    float32, float16   name.weight [k, n]; float16 is widened when the model is loaded
    int8, int4         name.packed uint8 [n, blocks, block bytes], name.scales float32 [n, blocks],
                       name.zeros uint8 [n, ceil(blocks * bits / 8)]: weight = scale * (packed - zero)

The table of tokens and the last product have rows for tokens, [vocabulary, width]; tied ones share them as long as
both are stored as floats.
"""

import onnx

from hocket.language.config import Config
from hocket.language.writer import Writer

BITS = {"int8": 8, "int4": 4}


def linear(write: Writer, config: Config, name: str, x: str, inputs: int, outputs: int, *, bias: bool = False) -> str:
    """x times a weight matrix, plus a bias if there is one."""
    product = f"{name}.product" if bias else name
    if config.precision in BITS:
        made = _blocks(write, config, name, product, x, inputs, outputs)
    else:
        made = write.add(product, "MatMul", x, _floats(write, config, name, (inputs, outputs)))
    return write.add(name, "Add", made, write.weight(f"{name}.bias", (outputs,))) if bias else made


def lookup(write: Writer, config: Config, name: str, rows: int, indices: str) -> str:
    """Rows of a table; stored as float16 where matrices are stored as integers."""
    shape = rows, config.width
    if config.precision == "float32":
        return write.add(name, "Gather", write.weight(f"{name}.weight", shape), indices)
    narrow = write.add(f"{name}.narrow", "Gather", write.weight(f"{name}.weight", shape, "float16"), indices)
    return write.add(name, "Cast", narrow, to=onnx.TensorProto.FLOAT)


def scores(write: Writer, config: Config, x: str, *, last: bool) -> str:
    """The logits: the last product, with the table of tokens if that is tied.

    Args:
        write: what is written so far.
        config: its numbers.
        x: [batch, sequence, width].
        last: whether the sequence is one token long. Then no size has to be asked for, and a model whose sizes are
            bound computes other batches too.
    """
    if config.precision in BITS:
        return _blocks(write, config, "head", "logits", x, config.width, config.vocabulary)
    name = "token_embedding" if config.tied else "head"
    table = _floats(write, config, name, (config.vocabulary, config.width))
    rows = write.add("logits.rows", "Reshape", x, write.integers(-1, config.width))
    made = write.add("logits.flat", "Gemm", rows, table, transB=1)
    if last:
        return write.add("logits", "Reshape", made, write.integers(-1, 1, config.vocabulary))
    batch = write.add("logits.batch", "Shape", "tokens", start=0, end=1)
    shape = write.add("logits.shape", "Concat", batch, write.integers(-1, config.vocabulary), axis=0)
    return write.add("logits", "Reshape", made, shape)


def block_shapes(config: Config, inputs: int, outputs: int) -> dict[str, tuple[tuple[int, ...], str]]:
    """Suffix -> shape and type of what stands for a matrix of integers.

    >>> from hocket.language.config import PRESETS
    >>> config = PRESETS["smollm2_135m"].replace(precision="int4")
    >>> block_shapes(config, 576, 192)["packed"]
    ((192, 18, 16), 'uint8')
    """
    bits, blocks = BITS[config.precision], -(-inputs // config.block_size)
    return {
        "packed": ((outputs, blocks, config.block_size * bits // 8), "uint8"),
        "scales": ((outputs, blocks), "float32"),
        "zeros": ((outputs, -(-blocks * bits // 8)), "uint8"),
    }


def _floats(write: Writer, config: Config, name: str, shape: tuple[int, ...]) -> str:
    if config.precision == "float32":
        return write.weight(f"{name}.weight", shape)
    narrow = write.weight(f"{name}.weight", shape, "float16")
    return write.add(f"{name}.wide", "Cast", narrow, to=onnx.TensorProto.FLOAT)


def _blocks(write: Writer, config: Config, name: str, product: str, x: str, inputs: int, outputs: int) -> str:
    parts = [
        write.weight(f"{name}.{suffix}", shape, dtype)
        for suffix, (shape, dtype) in block_shapes(config, inputs, outputs).items()
    ]
    return write.add(
        product,
        "com.microsoft.MatMulNBits",
        *(x, *parts),
        K=inputs,
        N=outputs,
        bits=BITS[config.precision],
        block_size=config.block_size,
        # Activations are rounded to 8 bits by blocks, which is much faster than widening the weights.
        accuracy_level=4,
    )
