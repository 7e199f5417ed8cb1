"""The protocol's gRPC messages to tensors and back."""

from collections.abc import Mapping

import numpy as np

from hocket.errors import FormatError
from hocket.serve.grpc_api.open_inference_pb2 import InferParameter, ModelInferRequest, ModelInferResponse
from hocket.serve.inference.dtypes import datatype_of, field_of
from hocket.serve.inference.messages import output_of
from hocket.serve.inference.models import VERSION
from hocket.serve.inference.tensors import from_bytes, from_list, to_bytes
from hocket.units import shown


def arrays_of(request: ModelInferRequest) -> dict[str, np.ndarray]:
    """The inputs of a request.

    Raises:
        FormatError: it is not one.
    """
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise FormatError(
            f"the request has {len(request.inputs)} inputs and {len(raw)} raw_input_contents; send one for each"
        )
    arrays: dict[str, np.ndarray] = {}
    for number, tensor in enumerate(request.inputs):
        name, shape = tensor.name, list(tensor.shape)
        if name in arrays:
            raise FormatError(f"input {shown(name)} comes twice; send it once")
        if raw:
            if tensor.HasField("contents"):
                raise FormatError(f"input {shown(name)} has both contents and raw_input_contents; send one of them")
            arrays[name] = from_bytes(name, tensor.datatype, shape, raw[number])
        else:
            values = list(getattr(tensor.contents, field_of(name, tensor.datatype)))
            arrays[name] = from_list(name, tensor.datatype, shape, values)
    return arrays


def parameters_of(parameters: Mapping[str, InferParameter]) -> dict[str, object]:
    """Parameters as Python's own values; those without one are left out."""
    kinds = {name: value.WhichOneof("parameter_choice") for name, value in parameters.items()}
    return {name: getattr(parameters[name], kind) for name, kind in kinds.items() if kind}


def response_of(model: str, request: ModelInferRequest, outputs: Mapping[str, np.ndarray]) -> ModelInferResponse:
    """The answer, with all tensors in bytes.

    Raises:
        FormatError: a wanted output does not exist.
    """
    response = ModelInferResponse(model_name=model, model_version=VERSION, id=request.id)
    for name in dict.fromkeys(output.name for output in request.outputs) or outputs:
        array = output_of(outputs, name)
        response.outputs.add(name=name, datatype=datatype_of(array.dtype.name), shape=array.shape)
        response.raw_output_contents.append(to_bytes(array))
    return response
