"""Constants of an exported graph: behind transpositions and casts, and matrices of small integers widened."""

import math
from typing import NamedTuple

import numpy as np
import onnx_ir as ir

from hocket.errors import FormatError
from hocket.graph.fold import read_data
from hocket.language.quantise import widen

_MOST_STEPS = 8
"""Operators between a constant and its use; more than an exporter writes, and an end if a graph has a circle."""
_KEEPING = ("Identity", "Cast")


class Rounding(NamedTuple):
    """How MatMulNBits of ONNX Runtime stores a matrix by blocks."""

    scales: ir.TensorProtocol
    zeros: ir.TensorProtocol | None
    """Absent: the middle of the range."""
    bits: int
    block_size: int


class Constant(NamedTuple):
    """A constant that is read when it is asked for."""

    name: str
    tensor: ir.TensorProtocol
    shape: tuple[int, ...]
    turned: bool = False
    """It is used transposed."""
    rounding: Rounding | None = None

    def transposed(self) -> "Constant":
        """Rows for columns."""
        return self._replace(shape=self.shape[::-1], turned=not self.turned)

    def read(self) -> np.ndarray:
        """The data as float32.

        Raises:
            FormatError: they are not whole, or lie outside of the model's folder.
        """
        try:
            value = self._widened() if self.rounding else read_data(self.name, self.tensor).astype(np.float32)
        except (ValueError, TypeError) as error:
            raise FormatError(f"the data of {self.name!r} cannot be read ({error}); export the model again") from None
        return value.T if self.turned else value

    def _widened(self) -> np.ndarray:
        """scale * (number - zero), block by block."""
        if self.rounding is None:
            raise TypeError("it is not rounded")
        scales, zeros, bits, block_size = self.rounding
        outputs, inputs = self.shape[::-1] if self.turned else self.shape
        blocks = -(-inputs // block_size)
        row = -(-blocks * bits // 8)  # bytes of the zeros of one output
        # First what the file has, so that sizes which it only claims take no memory.
        parts = {
            "packed": read_data(self.name, self.tensor).reshape(outputs, blocks, block_size * bits // 8),
            "scales": read_data(self.name, scales).astype(np.float32).reshape(outputs, blocks),
        }
        middle = 0x88 if bits == 4 else 0x80
        parts["zeros"] = np.full((outputs, row), middle, np.uint8) if zeros is None else read_data(self.name, zeros)
        parts["zeros"] = parts["zeros"].reshape(outputs, row)
        for name in ("packed", "zeros"):
            if parts[name].dtype != np.uint8:
                raise ValueError(f"its {name} numbers are {parts[name].dtype} instead of uint8")
        return widen(parts, bits, inputs)


def constant_of(value: ir.Value | None) -> Constant | None:
    """The constant that a value is, or None if it depends on an input."""
    turned = False
    for _ in range(_MOST_STEPS):
        if value is None:
            return None
        tensor = _tensor(value)
        if tensor is not None:
            shape = tuple(int(size) for size in tensor.shape)
            found = Constant(str(value.name), tensor, shape)
            return found.transposed() if turned else found
        node = value.producer()
        if node is None or not node.inputs:
            return None
        if node.op_type == "Transpose" and list(node.attributes.get_ints("perm", [1, 0])) == [1, 0]:
            turned = not turned
        elif node.op_type not in _KEEPING:
            return None
        value = node.inputs[0]
    return None


def rounded_of(node: ir.Node) -> Constant | None:
    """The matrix [outputs, inputs] of a MatMulNBits.

    Raises:
        FormatError: a way of rounding that is not read.
    """
    packed, scales, zeros, order = (constant_of(_at(node, place)) for place in (1, 2, 3, 4))
    if packed is None or scales is None:
        return None
    inputs, outputs = (node.attributes.get_int(key, 0) for key in ("K", "N"))
    bits, block_size = node.attributes.get_int("bits", 4), node.attributes.get_int("block_size", 0)
    if bits not in (4, 8) or block_size < 1 or inputs < 1 or outputs < 1 or order is not None:
        sorted_ = "" if order is None else ", sorted"
        raise FormatError(
            f"rounded matrices have 4 or 8 bits and blocks in the order of the inputs, and {packed.name!r} is"
            f" {outputs} x {inputs} with {bits} bits in blocks of {block_size}{sorted_}; export with another rounding"
        )
    rounding = Rounding(scales.tensor, zeros.tensor if zeros else None, bits, block_size)
    return Constant(packed.name, packed.tensor, (outputs, inputs), rounding=rounding)


def rounded_table_of(node: ir.Node) -> Constant | None:
    """The table [rows, width] of a GatherBlockQuantized, which may be a matrix of MatMulNBits in another shape."""
    given = _at(node, 0)
    maker = given.producer() if given is not None else None
    packed = constant_of(maker.inputs[0] if maker is not None and maker.op_type == "Reshape" else given)
    scales, zeros = constant_of(_at(node, 2)), constant_of(_at(node, 3))
    bits, block_size = node.attributes.get_int("bits", 4), node.attributes.get_int("block_size", 128)
    if packed is None or scales is None or len(scales.shape) != 2 or bits not in (4, 8) or block_size < 1:
        return None
    rows = max(scales.shape[0], 1)
    shape = rows, math.prod(packed.shape) * 8 // bits // rows
    rounding = Rounding(scales.tensor, zeros.tensor if zeros else None, bits, block_size)
    return Constant(packed.name, packed.tensor, shape, rounding=rounding)


def _at(node: ir.Node, place: int) -> ir.Value | None:
    return node.inputs[place] if place < len(node.inputs) else None


def _tensor(value: ir.Value) -> ir.TensorProtocol | None:
    if value.const_value is not None:
        return value.const_value
    node = value.producer()
    given = node.attributes.get("value") if node is not None and node.op_type == "Constant" else None
    return given.as_tensor() if given is not None else None
