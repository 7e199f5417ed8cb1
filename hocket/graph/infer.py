"""Shape inference that tells why it failed instead of printing a traceback."""

import logging

import onnx_ir as ir
from onnx_ir.passes.common import ShapeInferencePass

from hocket.graph import contrib

_LOGGERS = ("onnx_ir.passes.common.shape_inference", "onnx_ir.passes.common._c_api_utils")


class _Heard(logging.Filter):
    """Keeps the reason of a logged failure and lets nothing through."""

    def __init__(self) -> None:
        super().__init__()
        self.reason = ""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        self.reason = " ".join(str(error or record.getMessage()).split())
        return False


def infer_shapes(model: ir.Model) -> str:
    """Infer what can be inferred; returns why inference failed, or an empty string."""
    contrib.register()
    heard = _Heard()
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(heard)
    try:
        ShapeInferencePass()(model)
    finally:
        for logger in loggers:
            logger.removeFilter(heard)
    return heard.reason
