"""How much tensors give away of the inputs that they are computed from: measured, and read by problems."""

from typing import Annotated

import msgspec

from hocket.nouns import Noun, Value

Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
NonNegative = Annotated[float, msgspec.Meta(ge=0)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Leak(Value, frozen=True, kw_only=True):
    """What one attack got back from one tensor as a codec leaves it, on pictures that it was not trained on."""

    tensor: str
    codec: str = "raw"
    depth: Count = 0
    """Operators from the input to the tensor, on the longest way; 0 = the input."""
    leakage: Fraction
    """1 - mse / `mean_mse`, cut to [0, 1]: 0 = no better than the mean picture, 1 = all of it."""
    mse: NonNegative
    """Mean squared error of the reconstruction, of inputs scaled to [0, 1]."""
    ssim: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    """Mean structural similarity; None = the input is no picture."""
    changed: Fraction | None = None
    """Share of the answers that are others than without the codec; None = not measured."""


class LeakageTable(Noun, frozen=True, kw_only=True, tag="hocket.leakage/1"):
    """The leakage of some tensors of one model."""

    model: str
    sha256: str = ""
    """Of the model file; empty = made in memory."""
    input: str
    """The tensor that is reconstructed."""
    attack: str
    """What reconstructed it, and how long it was trained."""
    seed: int = 0
    known: Count
    """Pictures that the attack was trained on."""
    held_out: Count
    """Pictures that the figures are of."""
    mean_mse: NonNegative
    """Mean squared error of the mean picture."""
    entries: tuple[Leak, ...] = ()

    def by_tensor(self) -> dict[str, dict[str, float]]:
        """Tensor -> codec -> leakage, as `Task.leakage` holds it; of equal keys the largest."""
        found: dict[str, dict[str, float]] = {}
        for entry in self.entries:
            codecs = found.setdefault(entry.tensor, {})
            codecs[entry.codec] = max(entry.leakage, codecs.get(entry.codec, 0.0))
        return found
