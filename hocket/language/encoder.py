"""Encoders as ONNX graphs: BERT (and MiniLM, which has its shape) for texts, ViT for pictures.

    BERT    input_ids, attention_mask, token_type_ids int64 [batch, sequence]
            -> last_hidden_state float32 [batch, sequence, width]
    ViT     image float32 [batch, 3, image, image]
            -> logits float32 [batch, classes]

Operators of the ONNX standard only (operator set 23), one for each attention. What every layer reads besides the
layer before it is an input of the graph, so that one tensor alone crosses between layers.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import onnx

from hocket.errors import FormatError
from hocket.language.safetensors_folder import Folder
from hocket.language.writer import Writer
from hocket.nouns import Noun, decode_json, read_bytes

Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]


class Encoder(Noun, frozen=True, tag="hocket.encoder/1"):
    """The numbers of an encoder.

    Raises:
        FormatError: sizes that contradict each other.
    """

    name: str
    family: Literal["bert", "vit"]
    """bert: normalisation behind each half of a layer. vit: before it."""
    width: Count
    layers: Count
    heads: Count
    hidden: Count
    epsilon: Annotated[float, msgspec.Meta(gt=0)] = 1e-12
    vocabulary: Count = 30522
    """Of BERT, as the next two."""
    positions: Count = 512
    types: Count = 2
    image: Count = 224
    """Pixels at a side, of ViT, as the next two."""
    patch: Count = 16
    classes: Count = 1000

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.family == "vit" and self.image % self.patch):
            raise FormatError(
                f"heads divide the width and patches the picture, and {self.name!r} has {self.heads} for {self.width}"
                f" and {self.patch} for {self.image}; correct its configuration"
            )


ENCODERS: dict[str, Encoder] = {
    encoder.name: encoder
    for encoder in (
        Encoder(name="tiny_bert", family="bert", width=32, layers=2, heads=4, hidden=64, vocabulary=96, positions=16),
        Encoder(name="tiny_vit", family="vit", width=32, layers=2, heads=4, hidden=64, image=8, patch=4, classes=5),
        Encoder(name="minilm_l6", family="bert", width=384, layers=6, heads=12, hidden=1536),
        Encoder(name="bert_base", family="bert", width=768, layers=12, heads=12, hidden=3072),
        Encoder(name="vit_b_16", family="vit", width=768, layers=12, heads=12, hidden=3072, epsilon=1e-6),
    )
}
"""Name -> published numbers: BERT (arXiv:1810.04805), MiniLM (arXiv:2002.10957), ViT (arXiv:2010.11929)."""


def encoder(config: Encoder) -> onnx.ModelProto:
    """The graph of an encoder without its weights; `batch`, and `sequence` of BERT, are symbolic."""
    write = Writer()
    x = _words(write, config) if config.family == "bert" else _patches(write, config)
    for layer in range(config.layers):
        x = _layer(write, config, layer, x)
    if config.family == "vit":
        first = write.add(
            "first", "Gather", _norm(write, config, "norm", x), write.constant("zero", np.array(0)), axis=1
        )
        x = _linear(write, "logits", first, config.width, config.classes)
        write.output(x, "float32", ("batch", config.classes))
    else:
        x = write.add("last_hidden_state", "Identity", x)
        write.output(x, "float32", ("batch", "sequence", config.width))
    return write.model(config.name)


def load_bert(folder: str | Path) -> tuple[Encoder, dict[str, np.ndarray]]:
    """Numbers and weights of a BERT in a local folder of Hugging Face (config.json, *.safetensors).

    Raises:
        FormatError: no BERT, or a broken file.
    """
    folder = Path(folder)
    fields = decode_json(read_bytes(folder / "config.json"), name=str(folder / "config.json"))
    if fields.get("model_type") != "bert" or fields.get("hidden_act", "gelu") != "gelu":
        raise FormatError(f"encoders of BERT with GELU are read, and {folder} holds another; give another folder")
    names = {
        "width": "hidden_size", "layers": "num_hidden_layers", "heads": "num_attention_heads",
        "hidden": "intermediate_size", "epsilon": "layer_norm_eps", "vocabulary": "vocab_size",
        "positions": "max_position_embeddings", "types": "type_vocab_size",
    }  # fmt: skip
    given: dict[str, Any] = {ours: fields[theirs] for ours, theirs in names.items() if theirs in fields}
    head = {"format": "hocket.encoder/1", "name": folder.resolve().name, "family": "bert"}
    try:
        config = msgspec.convert({**head, **given}, Encoder)
    except msgspec.ValidationError as error:
        raise FormatError(f"{folder} describes no BERT ({error}); correct its config.json") from None
    return config, _bert_weights(config, Folder(folder))


def _words(write: Writer, config: Encoder) -> str:
    for name in ("input_ids", "attention_mask", "token_type_ids"):
        write.input(name, "int64", ("batch", "sequence"))
    tables = {"word": config.vocabulary, "position": config.positions, "type": config.types}
    word, position, kind = (write.weight(f"{name}.weight", (rows, config.width)) for name, rows in tables.items())
    shape = write.add("sequence.shape", "Shape", "input_ids", start=1, end=2)
    count = write.add("sequence", "Squeeze", shape, write.integers(0))
    write.add("mask.shape", "Concat", write.integers(1, 1), shape, write.integers(1), axis=0)
    zero, one = write.constant("zero", np.array(0)), write.constant("one", np.array(1))
    places = write.add("positions", "Range", zero, count, one)
    x = write.add("words", "Gather", word, "input_ids")
    x = write.add("words.typed", "Add", x, write.add("types", "Gather", kind, "token_type_ids"))
    x = write.add("words.placed", "Add", x, write.add("places", "Gather", position, places))
    return _norm(write, config, "embedding", x)


def _patches(write: Writer, config: Encoder) -> str:
    image = write.input("image", "float32", ("batch", 3, config.image, config.image))
    width, count = config.width, (config.image // config.patch) ** 2
    kernel = write.weight("patches.weight", (width, 3, config.patch, config.patch))
    side = [config.patch, config.patch]
    grid = write.add("patches", "Conv", image, kernel, write.weight("patches.bias", (width,)), strides=side)
    row = write.add("patches.row", "Reshape", grid, write.integers(0, width, count))
    x = write.add("patches.turned", "Transpose", row, perm=[0, 2, 1])
    batch = write.add("batch", "Shape", image, start=0, end=1)
    shape = write.add("class.shape", "Concat", batch, write.integers(1, width), axis=0)
    first = write.add("class", "Expand", write.weight("class.weight", (1, 1, width)), shape)
    x = write.add("tokens", "Concat", first, x, axis=1)
    return write.add("embedding", "Add", x, write.weight("position.weight", (1, count + 1, width)))


def _layer(write: Writer, config: Encoder, layer: int, x: str) -> str:
    """Attention and MLP, each with its residual: normalised before (ViT) or behind (BERT)."""
    block = f"block.{layer}"
    for half, part in (("attention", _attention), ("mlp", _mlp)):
        before = config.family == "vit"
        read = _norm(write, config, f"{block}.{half}_norm", x) if before else x
        total = write.add(f"{block}.{half}_sum", "Add", x, part(write, config, block, read))
        x = total if before else _norm(write, config, f"{block}.{half}_norm", total)
    return x


def _attention(write: Writer, config: Encoder, block: str, x: str) -> str:
    width = config.width
    parts = [_linear(write, f"{block}.{part}", x, width, width) for part in ("query", "key", "value")]
    if config.family == "bert":  # each layer reads the mask anew: one that all share would cross every cut
        seen = write.add(f"{block}.seen", "Cast", "attention_mask", to=onnx.TensorProto.BOOL)
        row = write.add(f"{block}.seen_row", "Unsqueeze", seen, write.integers(1, 2))
        parts.append(write.add(f"{block}.mask", "Expand", row, "mask.shape"))
    count = config.heads
    made = write.add(f"{block}.attention", "Attention", *parts, q_num_heads=count, kv_num_heads=count)
    return _linear(write, f"{block}.output", made, width, width)


def _mlp(write: Writer, config: Encoder, block: str, x: str) -> str:
    made = write.add(f"{block}.hidden", "Gelu", _linear(write, f"{block}.up", x, config.width, config.hidden))
    return _linear(write, f"{block}.down", made, config.hidden, config.width)


def _linear(write: Writer, name: str, x: str, inputs: int, outputs: int) -> str:
    product = write.add(f"{name}.product", "MatMul", x, write.weight(f"{name}.weight", (inputs, outputs)))
    return write.add(name, "Add", product, write.weight(f"{name}.bias", (outputs,)))


def _norm(write: Writer, config: Encoder, name: str, x: str) -> str:
    scale, bias = (write.weight(f"{name}.{part}", (config.width,)) for part in ("weight", "bias"))
    return write.add(name, "LayerNormalization", x, scale, bias, axis=-1, epsilon=config.epsilon)


_BERT = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "up": "intermediate.dense",
    "down": "output.dense",
    "mlp_norm": "output.LayerNorm",
}


def _bert_weights(config: Encoder, folder: Folder) -> dict[str, np.ndarray]:
    front = "bert." if "bert.embeddings.word_embeddings.weight" in folder else ""
    tables = {"word": "word_embeddings", "position": "position_embeddings", "type": "token_type_embeddings"}
    weights: dict[str, np.ndarray] = {}
    for proto in encoder(config).graph.initializer:
        if not proto.external_data:
            continue
        owner, _, suffix = proto.name.rpartition(".")
        if owner in tables:
            value = folder.read(f"{front}embeddings.{tables[owner]}.weight")
        elif owner == "embedding":
            value = folder.read(f"{front}embeddings.LayerNorm.{suffix}")
        else:
            _, layer, part = owner.split(".")
            value = folder.read(f"{front}encoder.layer.{layer}.{_BERT[part]}.{suffix}")
            value = value.T if value.ndim == 2 else value
        if value.shape != tuple(proto.dims):
            raise FormatError(
                f"the configuration makes {proto.name!r} {tuple(proto.dims)}, and the file has {value.shape}; fetch the"
                " file again"
            )
        weights[proto.name] = np.ascontiguousarray(value)
    return weights
