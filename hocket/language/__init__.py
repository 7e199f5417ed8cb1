"""Language models: decoders as graphs that can be planned and cut, their files, their tokens, and continuing texts."""

from hocket.language.config import PRESETS, Config, Rope
from hocket.language.decoder import decoder
from hocket.language.generate import generate
from hocket.language.language_model import Cache, LanguageModel
from hocket.language.sampling import GREEDY, Sampler, Sampling
from hocket.language.session import DecoderSession
from hocket.language.tokenizer import Tokenizer

__all__ = [
    "GREEDY",
    "PRESETS",
    "Cache",
    "Config",
    "DecoderSession",
    "LanguageModel",
    "Rope",
    "Sampler",
    "Sampling",
    "Tokenizer",
    "decoder",
    "generate",
]
