"""Makes tests/language/exports: small random decoders as three exporters write them.

    python tools/make_decoder_exports.py optimum   # torch 2.13, transformers 4.57, optimum-onnx 0.1
    python tools/make_decoder_exports.py dynamo    # torch 2.13, transformers 5.24, onnxscript 0.7
    python tools/make_decoder_exports.py genai     # the same, onnxruntime-genai 0.18

Optimum wants an older transformers than the others, so each is run where its packages are installed. Beside each
export lies `expected.json`: a prompt and the greedy tokens that transformers finds for it. Where the export rounds the
weights, the exported graph in ONNX Runtime finds them, for transformers has no such weights.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tokenizers
import torch
import transformers

EXPORTS = Path(__file__).resolve().parent.parent / "tests" / "language" / "exports"
VOCABULARY = 88
# The builder of onnxruntime-genai takes any product with as many outputs as there are tokens for the last one: no
# other may be so wide.
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 24,
    "max_position_embeddings": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2_SIZES = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "n_inner": 40,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
PROMPT = [5, 80, 33]
TOKENS = 12
KEPT_NOTE = "pkg.torch.onnx.name_scopes"


def model_of(kind: str) -> Any:
    """A decoder with seeded weights; biases and scales, which begin as 0 and 1, are moved too."""
    configs = {
        "llama": lambda: transformers.LlamaConfig(**SIZES, tie_word_embeddings=False),
        "qwen2": lambda: transformers.Qwen2Config(**SIZES, tie_word_embeddings=True),
        "gpt2": lambda: transformers.GPT2Config(**GPT2_SIZES),
    }
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(configs[kind]()).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def save(model: Any, folder: Path) -> None:
    """The model with a tokenizer whose words are w0, w1 and so on."""
    model.save_pretrained(folder)
    words = tokenizers.models.WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w0")
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(folder)


def greedy(model: Any) -> list[int]:
    """The tokens that follow the prompt, each the likeliest."""
    tokens = list(PROMPT)
    with torch.no_grad():
        for _ in range(TOKENS):
            tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


def greedy_of_export(folder: Path) -> list[int]:
    """The same by the exported graph itself, its activations not rounded; it reads everything anew for each token."""
    import onnxruntime

    proto = onnx.load(str(folder / "model.onnx"))
    for node in proto.graph.node:
        kept = [attribute for attribute in node.attribute if attribute.name != "accuracy_level"]
        del node.attribute[:]
        node.attribute.extend(kept)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    caches = [value.name for value in session.get_inputs() if value.name.startswith("past")]
    empty = np.zeros((1, SIZES["num_key_value_heads"], 0, SIZES["head_dim"]), np.float32)
    tokens = list(PROMPT)
    for _ in range(TOKENS):
        given = {"input_ids": np.array([tokens]), "attention_mask": np.ones((1, len(tokens)), np.int64)}
        logits = session.run(["logits"], {**given, **dict.fromkeys(caches, empty)})[0]
        tokens.append(int(logits[0, -1].argmax()))
    return tokens[len(PROMPT) :]


def with_optimum(kind: str, source: Path, folder: Path, model: Any) -> None:
    """TorchScript, caches as inputs and outputs."""
    del kind, model
    from optimum.exporters.onnx import main_export

    main_export(str(source), str(folder), task="text-generation-with-past", device="cpu")


def with_dynamo(kind: str, source: Path, folder: Path, model: Any) -> None:
    """torch.onnx.export(dynamo=True), without caches; of its notes, only the modules' names are kept."""
    del kind
    folder.mkdir(parents=True)
    model.config.use_cache = False
    length = torch.export.Dim("sequence", min=2, max=64)
    torch.onnx.export(
        model,
        (),
        str(folder / "model.onnx"),
        kwargs={"input_ids": torch.tensor([PROMPT])},
        dynamic_shapes={"input_ids": {1: length}},
        dynamo=True,
        external_data=False,
    )
    proto = onnx.load(str(folder / "model.onnx"))
    for part in (proto.graph, *proto.graph.node, *proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        notes = [note for note in part.metadata_props if note.key == KEPT_NOTE]
        del part.metadata_props[:]
        part.metadata_props.extend(notes)
    onnx.save(proto, str(folder / "model.onnx"))
    shutil.copy(source / "config.json", folder)


def with_genai(kind: str, source: Path, folder: Path, model: Any) -> None:
    """The builder of onnxruntime-genai; the data lie in a file of their own."""
    del model
    precision = "int4" if kind == "qwen2" else "fp32"
    builder = [sys.executable, "-m", "onnxruntime_genai.models.builder"]
    subprocess.run([*builder, "-i", source, "-o", folder, "-p", precision, "-e", "cpu"], check=True)
    shutil.copy(source / "config.json", folder)


MAKERS = {
    "optimum": (with_optimum, ("qwen2", "gpt2")),
    "dynamo": (with_dynamo, ("llama", "gpt2")),
    "genai": (with_genai, ("llama", "qwen2")),
}


def main(exporter: str) -> None:
    """Make the folders of one exporter."""
    make, kinds = MAKERS[exporter]
    for kind in kinds:
        model, folder = model_of(kind), EXPORTS / f"{exporter}_{kind}"
        shutil.rmtree(folder, ignore_errors=True)
        with tempfile.TemporaryDirectory() as made:
            save(model, Path(made))
            tokens = greedy(model)
            make(kind, Path(made), folder, model)
            if exporter == "optimum":  # as some publish it: the graph in a folder of its own
                (folder / "onnx").mkdir()
                (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
            if exporter != "dynamo":  # a folder without a tokenizer is read too
                shutil.copy(Path(made) / "tokenizer.json", folder)
            for more in ("tokenizer_config.json", "special_tokens_map.json"):
                (folder / more).unlink(missing_ok=True)
        by = f"transformers {transformers.__version__}"
        if (exporter, kind) == ("genai", "qwen2"):
            tokens, by = greedy_of_export(folder), f"onnxruntime {version('onnxruntime')}"
        expected = {"prompt": PROMPT, "tokens": tokens, "by": by}
        (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
