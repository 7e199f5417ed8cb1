"""Models behind public interfaces: OpenAI's for text, the Open Inference Protocol for tensors. See docs/serving.md."""

from hocket.serve.backend import Answered, Answerer, Message, Options, TensorSpec, Writer

__all__ = ["Answered", "Answerer", "Message", "Options", "TensorSpec", "Writer"]
