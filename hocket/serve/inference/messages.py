"""The bodies of the protocol over HTTP: JSON, and tensors in bytes behind it."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from hocket.errors import FormatError
from hocket.nouns import complaint
from hocket.serve.inference.dtypes import datatype_of
from hocket.serve.inference.tensors import from_bytes, from_list, to_bytes, to_list
from hocket.units import shown

LENGTH_HEADER = "Inference-Header-Content-Length"
"""Header that says how many bytes of a body are JSON; the rest are tensors."""
_MOST_TENSORS = 1000

Name = Annotated[str, Meta(max_length=1000)]
Length = Annotated[int, Meta(ge=0, le=1 << 40)]
Parameters = dict[str, Any]


class InputTensor(msgspec.Struct, frozen=True):
    """A tensor that is sent."""

    name: Name
    datatype: Name
    shape: list[Length]
    parameters: Parameters = {}
    data: Any = msgspec.UNSET


class RequestedOutput(msgspec.Struct, frozen=True):
    """A tensor that is wanted."""

    name: Name
    parameters: Parameters = {}


class InferRequest(msgspec.Struct, frozen=True):
    """The JSON of a request."""

    inputs: Annotated[list[InputTensor], Meta(max_length=_MOST_TENSORS)]
    id: Name | None = None
    parameters: Parameters = {}
    outputs: Annotated[list[RequestedOutput], Meta(max_length=_MOST_TENSORS)] | None = None

    def binary(self, output: RequestedOutput | None) -> bool:
        """Whether an output is wanted in bytes."""
        wish = None if output is None else output.parameters.get("binary_data")
        return bool(self.parameters.get("binary_data_output", False) if wish is None else wish)


_REQUEST = msgspec.json.Decoder(InferRequest)


def read_request(body: bytes, header_length: str | None) -> tuple[InferRequest, dict[str, np.ndarray]]:
    """Read the body of a request for inference.

    Args:
        body: all of it.
        header_length: the header that says how much of it is JSON; None = all.

    Returns:
        The request, and its inputs by name.

    Raises:
        FormatError: it is not one.
    """
    length = _json_length(len(body), header_length)
    view = memoryview(body)
    try:
        request = _REQUEST.decode(view[:length])
    except msgspec.ValidationError as error:
        raise FormatError(f"the request has a wrong field: {complaint(error)}; correct it") from None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the body is not JSON: {complaint(error)}; send a JSON object") from None
    rest = view[length:]
    arrays: dict[str, np.ndarray] = {}
    for tensor in request.inputs:
        if tensor.name in arrays:
            raise FormatError(f"input {shown(tensor.name)} comes twice; send it once")
        size = _binary_size(tensor, len(rest))
        if size is None:
            arrays[tensor.name] = from_list(tensor.name, tensor.datatype, tensor.shape, tensor.data)
        else:
            arrays[tensor.name] = from_bytes(tensor.name, tensor.datatype, tensor.shape, rest[:size])
            rest = rest[size:]
    if rest:
        raise FormatError(f"{len(rest)} bytes follow the last tensor; send as many as binary_data_size says")
    return request, arrays


def write_response(
    model: str, request: InferRequest, outputs: Mapping[str, np.ndarray]
) -> tuple[bytes, dict[str, str]]:
    """The body of an answer, and the headers that say how to read it.

    Raises:
        FormatError: a wanted output does not exist, or cannot be said in JSON.
    """
    wanted = dict.fromkeys(outputs) if not request.outputs else {o.name: o for o in request.outputs}
    described: list[dict[str, Any]] = []
    parts: list[bytes] = []
    for name, wish in wanted.items():
        array = output_of(outputs, name)
        tensor = {"name": name, "datatype": datatype_of(array.dtype.name), "shape": list(array.shape)}
        if request.binary(wish):
            parts.append(to_bytes(array))
            described.append({**tensor, "parameters": {"binary_data_size": len(parts[-1])}})
        else:
            described.append({**tensor, "data": to_list(name, array)})
    answer = {"model_name": model, "model_version": "1", "outputs": described}
    head = msgspec.json.encode(answer if request.id is None else {**answer, "id": request.id})
    return b"".join((head, *parts)), {LENGTH_HEADER: str(len(head))} if parts else {}


def output_of(outputs: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """An output by its name.

    Raises:
        FormatError: there is none.
    """
    if name not in outputs:
        raise FormatError(f"the model has no output {shown(name)}; ask for one of {', '.join(outputs)}")
    return np.asarray(outputs[name])


def timeout_s(parameters: Mapping[str, object]) -> float | None:
    """The parameter `timeout` of a request, which is in microseconds; 0 and None = none."""
    value = parameters.get("timeout")
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1 << 62:
        raise FormatError(f"the timeout is a whole number of microseconds, got {shown(value)}; correct it")
    return value / 1e6


def _json_length(body: int, header: str | None) -> int:
    if header is None:
        return body
    text = header.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 16 and int(text) <= body):
        raise FormatError(
            f"{LENGTH_HEADER} is the number of bytes of JSON, at most {body} here, got {shown(header)}; correct it"
        )
    return int(text)


def _binary_size(tensor: InputTensor, left: int) -> int | None:
    """How many bytes of a tensor follow the JSON; None = its data are in the JSON."""
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is msgspec.UNSET:
            raise FormatError(f"input {shown(tensor.name)} has neither data nor binary_data_size; send one of them")
        return None
    if tensor.data is not msgspec.UNSET:
        raise FormatError(f"input {shown(tensor.name)} has both data and binary_data_size; send one of them")
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= left:
        raise FormatError(
            f"binary_data_size of input {shown(tensor.name)} is {shown(size)}, and {left} bytes are left; send them all"
        )
    return size
