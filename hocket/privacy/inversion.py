"""The attack: a network that is trained to give back the input from what an untrusted node sees.

He, Zhang and Lee, "Model Inversion Attacks Against Collaborative Inference" (ACSAC 2019), section 5: the black-box
attack, which knows inputs like those of the victim and can query the first part of the model, and learns its inverse.
A ridge regression is tried too, and the better of the two on inputs that neither learned from is used: a network that
has not learned enough would make a tensor look safe.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hocket.errors import MissingError
from hocket.privacy.ridge import linear_inverse

Floats = NDArray[np.float64]
_CHECK_EVERY = 25
_VALIDATED = 0.1
_BATCH = 32
_TINY = 1e-6


class Attack(NamedTuple):
    """How hard an attacker tries."""

    steps: int = 600
    """Of the optimiser, Adam."""
    width: int = 32
    """Channels of the inverse network."""
    rate: float = 3e-3
    """Of learning at the beginning; it falls to 0 like a cosine."""

    def described(self) -> str:
        """For the table."""
        return f"the better of ridge regression and an inverse network ({self.width} channels, {self.steps} steps)"


def reconstructed(attack: Attack, seen: np.ndarray, inputs: Floats, victim: np.ndarray, *, seed: int) -> Floats:
    """Inputs as the attacker sees them.

    Args:
        attack: how hard it tries.
        seen: (count, *shape) what it sees of its own inputs.
        inputs: (count, *shape) its own inputs, in [0, 1].
        victim: (others, *shape) what it sees of the victim's.
        seed: of weights and batches.

    Returns:
        (others, *shape of an input) in [0, 1].

    Raises:
        MissingError: PyTorch is not installed.
    """
    torch = _torch()
    mean_input = inputs.mean(axis=0)
    scaled, held = _Scaled(seen), max(1, int(len(seen) * _VALIDATED))
    flat = [scaled(each).reshape(len(each), -1).astype(np.float64) for each in (seen, victim)]
    linear_loss, guess = linear_inverse(flat[0], inputs - mean_input, flat[1], held)
    x, y = (torch.from_numpy(np.ascontiguousarray(each, np.float32)) for each in (scaled(seen), inputs - mean_input))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _inverse(torch, x.shape[1:], y.shape[1:], attack.width)
        loss = _train(torch, network, x, y, held, attack, np.random.default_rng(seed))
        if loss < linear_loss:
            with torch.no_grad():
                parts = [network(part).numpy() for part in torch.from_numpy(scaled(victim)).split(_BATCH)]
            guess = np.concatenate(parts).astype(np.float64)
    # It guesses how the input differs from the mean one, so knowing nothing is worth as much as that.
    return np.asarray(np.clip(guess + mean_input, 0, 1))


class _Scaled:
    """Tensors without their batch axis of 1, each feature (of maps: each channel) with mean 0 and deviation 1."""

    def __init__(self, seen: np.ndarray) -> None:
        rows = self._plain(seen)
        axes = (0, *range(2, rows.ndim)) if rows.ndim == 4 else (0,)
        self._mean, self._deviation = rows.mean(axis=axes, keepdims=True), rows.std(axis=axes, keepdims=True) + _TINY

    def __call__(self, seen: np.ndarray) -> NDArray[np.float32]:
        return np.asarray((self._plain(seen) - self._mean) / self._deviation, dtype=np.float32)

    @staticmethod
    def _plain(seen: np.ndarray) -> Floats:
        rows = np.nan_to_num(seen.astype(np.float64), posinf=0.0, neginf=0.0)
        return rows.reshape(len(rows), *(seen.shape[2:] if seen.ndim == 5 and seen.shape[1] == 1 else seen.shape[1:]))


def _inverse(torch: Any, shape: tuple[int, ...], target: tuple[int, ...], width: int) -> Any:
    """The network: maps grow by twos until they are as large as the picture; anything else is flattened before."""
    layers = torch.nn
    if len(target) != 3:
        last = layers.Linear(16 * width, int(np.prod(target)))
        network = [layers.Flatten(), layers.Linear(int(np.prod(shape)), 16 * width), layers.ReLU(), last]
        return layers.Sequential(*network, layers.Unflatten(1, target), _quiet(torch, last))
    channels, rows, columns = target
    if len(shape) == 3 and min(shape[1:]) > 1:
        entry, sides = [layers.Conv2d(shape[0], width, 3, padding=1), layers.ReLU()], tuple(shape[1:])
    else:
        sides = (-(-rows // 4), -(-columns // 4))
        size = width * sides[0] * sides[1]
        entry = [layers.Flatten(), layers.Linear(int(np.prod(shape)), size), layers.ReLU(),
                 layers.Unflatten(1, (width, *sides))]  # fmt: skip
    growing: list[Any] = []
    while sides[0] < rows or sides[1] < columns:
        sides = (min(2 * sides[0], rows), min(2 * sides[1], columns))
        growing += [layers.Upsample(size=sides), layers.Conv2d(width, width, 3, padding=1), layers.ReLU()]
    if sides != (rows, columns):
        growing.append(layers.Upsample(size=(rows, columns), mode="bilinear"))
    last = layers.Conv2d(width, channels, 3, padding=1)
    middle = [layers.Conv2d(width, width, 3, padding=1), layers.ReLU()]
    return layers.Sequential(*entry, *growing, *middle, last, _quiet(torch, last))


def _quiet(torch: Any, last: Any) -> Any:
    """Let a layer begin with zeros, so that the first guess is the mean input."""
    torch.nn.init.zeros_(last.weight)
    torch.nn.init.zeros_(last.bias)
    return torch.nn.Identity()


def _train(torch: Any, network: Any, x: Any, y: Any, held: int, attack: Attack, rng: np.random.Generator) -> float:
    """Least squares; the network is left as it was when it did best on the last rows, and that error is returned."""
    optimiser = torch.optim.Adam(network.parameters(), lr=attack.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, attack.steps)
    best, kept = float("inf"), network.state_dict()
    for step, rows in enumerate(_batches(len(x) - held, attack.steps, rng)):
        if step % _CHECK_EVERY == 0 or step == attack.steps:
            with torch.no_grad():
                loss = float(((network(x[-held:]) - y[-held:]) ** 2).mean())
            if loss < best:
                best, kept = loss, {name: value.clone() for name, value in network.state_dict().items()}
        if step < attack.steps:
            optimiser.zero_grad()
            ((network(x[rows]) - y[rows]) ** 2).mean().backward()
            optimiser.step()
            schedule.step()
    network.load_state_dict(kept)
    return best


def _batches(count: int, steps: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Rows for every step and once more, all of them before any comes again."""
    order = rng.permutation(count)
    for _ in range(steps + 1):
        if len(order) < min(_BATCH, count):
            order = rng.permutation(count)
        rows, order = order[:_BATCH], order[_BATCH:]
        yield rows


def _torch() -> Any:
    try:
        import torch
    except ImportError:
        raise MissingError("leakage needs torch, not installed here; install hocket[torch]") from None
    return torch
