"""Element types by the protocol's names and by numpy's."""

import numpy as np

from hocket.errors import FormatError
from hocket.units import shown

# Protocol's name -> numpy's, and the field of a gRPC message that may hold such values one by one.
_TYPES = {
    "BOOL": ("bool", "bool_contents"),
    "UINT8": ("uint8", "uint_contents"),
    "UINT16": ("uint16", "uint_contents"),
    "UINT32": ("uint32", "uint_contents"),
    "UINT64": ("uint64", "uint64_contents"),
    "INT8": ("int8", "int_contents"),
    "INT16": ("int16", "int_contents"),
    "INT32": ("int32", "int_contents"),
    "INT64": ("int64", "int64_contents"),
    "FP16": ("float16", ""),
    "FP32": ("float32", "fp32_contents"),
    "FP64": ("float64", "fp64_contents"),
}
_NAMES = {dtype: name for name, (dtype, _) in _TYPES.items()}


def dtype_of(name: str, datatype: str) -> np.dtype:
    """The numpy type of a tensor, little-endian as on the wire.

    Args:
        name: of the tensor.
        datatype: the protocol's name.

    Raises:
        FormatError: the type is not served.
    """
    return np.dtype(_known(name, datatype)[0]).newbyteorder("<")


def field_of(name: str, datatype: str) -> str:
    """The field of gRPC's `InferTensorContents` for a type; errors as for `dtype_of`, and for FP16, which has none."""
    field = _known(name, datatype)[1]
    if not field:
        raise FormatError(f"tensor {name!r} is {datatype}, which has no typed contents; send it in raw_input_contents")
    return field


def datatype_of(dtype: str) -> str:
    """The protocol's name of a numpy type.

    >>> datatype_of("float32"), datatype_of("bool")
    ('FP32', 'BOOL')
    """
    if dtype not in _NAMES:
        raise FormatError(f"the protocol has no name for {dtype}; convert the model's inputs and outputs")
    return _NAMES[dtype]


def _known(name: str, datatype: str) -> tuple[str, str]:
    if datatype not in _TYPES:
        raise FormatError(
            f"tensor {shown(name)} is {shown(datatype)}, which is not served here; send one of {', '.join(_TYPES)}"
        )
    return _TYPES[datatype]
