"""Leakage: how much of the input an attack gets back from what an untrusted node would see.

The number is 1 - MSE / MSE of the mean input, cut to [0, 1]: the share of what varies between inputs that the attack
explains. Unlike SSIM it has a zero that means "nothing", adds up over pixels, and is there for inputs that are no
pictures. It is what this attack gets back, so a lower bound of what can be got.
"""

from collections.abc import Callable, Sequence

import numpy as np

from hocket.cost.leakage import Leak, LeakageTable
from hocket.errors import GraphError, PlanError
from hocket.graph.graph import Graph
from hocket.graph.model import Model
from hocket.graph.topology import blocks
from hocket.privacy.activations import Activations, as_sent, depths, only_input
from hocket.privacy.inversion import Attack, reconstructed
from hocket.privacy.measures import Floats, mse, ssim
from hocket.privacy.pictures import drawings

PICTURES = 600
_FEWEST = 20
Progress = Callable[[str, int, int], None]


def leakage(
    model: Model,
    tensors: Sequence[str] | None = None,
    inputs: np.ndarray | None = None,
    *,
    codecs: Sequence[str] = ("raw",),
    held_out: float = 0.25,
    attack: Attack | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> LeakageTable:
    """Attack tensors of a model, each as each codec leaves it.

    Args:
        model: with one input of floating-point numbers.
        tensors: names; absent = every place where one tensor is all that passes.
        inputs: (count, *shape of the input); absent = seeded drawings, if the input is a picture NCHW with N = 1.
        codecs: `raw`, those that lose something, and those that add noise.
        held_out: share of the inputs that the attacker has not.
        attack: how hard it tries.
        seed: of the drawings, the attack, and the noise.
        progress: is told what is attacked.

    Raises:
        GraphError: the model has not one such input, the inputs do not fit, or there is no such tensor.
        PlanError: there is no such codec.
        MissingError: PyTorch is not installed.
    """
    attack = attack or Attack()
    graph, name = model.graph, only_input(model.graph)
    given = _inputs(graph, inputs, seed)
    known = len(given) - max(1, round(held_out * len(given)))
    if not 0 < held_out < 1 or known < _FEWEST:
        raise GraphError(
            f"an attack learns from at least {_FEWEST} inputs, and gets {known} of {len(given)}; give more"
        )
    chosen = _tensors(graph) if tensors is None else _known(graph, tensors)
    scaled = _scaled(given)
    mean_mse = mse(scaled[known:], scaled[:known].mean(axis=0))
    if not mean_mse:
        raise GraphError("inputs differ from each other, and these are all equal; give others")
    activations, tail = Activations(model, given).of(chosen), Activations(model, given[known:])
    depth, entries = depths(graph), []
    for number, (tensor, codec) in enumerate([(tensor, codec) for tensor in chosen for codec in codecs]):
        if progress:
            progress("attacking", number, len(chosen) * len(codecs))
        sent = as_sent(codec, activations[tensor], np.random.default_rng((seed, number)))
        found = reconstructed(attack, sent[:known], scaled[:known], sent[known:], seed=seed)
        error = mse(found, scaled[known:])
        entries.append(
            Leak(
                tensor=tensor,
                codec=codec,
                depth=depth[tensor],
                leakage=min(max(1 - error / mean_mse, 0.0), 1.0),
                mse=error,
                ssim=ssim(found, scaled[known:]) if found.ndim == 4 else None,
                changed=tail.changed(tensor, sent[known:]),
            )
        )
    return LeakageTable(
        model=graph.name,
        sha256=graph.source.sha256 if graph.source else "",
        input=name,
        attack=attack.described(),
        seed=seed,
        known=known,
        held_out=len(given) - known,
        mean_mse=mean_mse,
        entries=tuple(entries),
    )


def _inputs(graph: Graph, inputs: np.ndarray | None, seed: int) -> np.ndarray:
    """(count, *shape), of the type of the input."""
    tensor = graph.inputs[0]
    shape, dtype = tuple(tensor.shape), np.dtype(tensor.dtype)
    if inputs is None:
        if len(shape) != 4 or shape[0] != 1:
            raise GraphError(
                f"drawings are pictures of shape (1, channels, rows, columns), and {tensor.name!r} is {list(shape)};"
                " give inputs"
            )
        return drawings(PICTURES, (shape[1], shape[2], shape[3]), seed=seed)[0].reshape(-1, *shape).astype(dtype)
    if inputs.shape[1:] != shape or not np.isfinite(inputs).all():
        raise GraphError(
            f"inputs are finite numbers of shape (count, {', '.join(map(str, shape))}), got {list(inputs.shape)};"
            " convert them"
        )
    return inputs.astype(dtype)


def _tensors(graph: Graph) -> list[str]:
    """The tensors at which the model can be cut in two, in order."""
    single = [block.outputs[0] for block in blocks(graph) if len(block.outputs) == 1]
    return [name for name in dict.fromkeys(single) if graph.tensor[name].dtype.startswith("float")]


def _known(graph: Graph, tensors: Sequence[str]) -> list[str]:
    for name in tensors:
        if name not in graph.tensor:
            raise GraphError(f"there is no tensor {name!r} in {graph.name!r}; `hocket inspect` lists its operators")
        if not graph.tensor[name].size:
            raise PlanError(f"an attack needs something to see, and {name!r} is empty; choose another tensor")
    return list(dict.fromkeys(tensors))


def _scaled(inputs: np.ndarray) -> Floats:
    """In [0, 1], pictures without their batch axis of 1."""
    low, high = float(inputs.min()), float(inputs.max())
    flat = (inputs.astype(np.float64) - low) / ((high - low) or 1.0)
    return flat[:, 0] if flat.ndim == 5 and flat.shape[1] == 1 else flat
