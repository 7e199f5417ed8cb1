"""Archimedes optimisation: objects in a fluid move by their density, volume and acceleration.

Source: Hashim, Hussain, Houssein, Mabrouk, Al-Atabany, Applied Intelligence 51, 2021. Objects collide, and move towards
random others, until 31 % of the iterations are over; then they move around the best.
"""

from dataclasses import dataclass

import numpy as np

from hocket.solvers.layout import Floats
from hocket.solvers.search.vectors import Generator

_C1, _C2, _C3, _C4 = 2.0, 6.0, 2.0, 0.5
_LEAST, _MOST = 0.1, 0.9  # of the normalised acceleration


def transfer_factor(done: float) -> float:
    """From exploration (at most 0.5) to exploitation; `done` is the share of the iterations that are over.

    >>> [round(transfer_factor(done), 3) for done in (0.0, 0.3, 0.31, 1.0)]
    [0.368, 0.497, 0.502, 1.0]
    """
    return float(np.exp(done - 1))


def density_factor(done: float) -> float:
    """How far objects move, falling to 0.

    >>> round(density_factor(0.0), 3), density_factor(1.0)
    (2.718, 0.0)
    """
    return float(np.exp(1 - done) - done)


@dataclass(slots=True)
class Objects:
    """Positions between 0 and 1, and the physics of each object."""

    at: Floats
    """(P, U) positions."""
    density: Floats
    """(P,)"""
    volume: Floats
    acceleration: Floats

    @classmethod
    def random(cls, rng: Generator, count: int, size: int) -> "Objects":
        """Objects anywhere."""
        return cls(rng.random((count, size)), rng.random(count), rng.random(count), rng.random(count))

    def moved(self, rng: Generator, best: int, done: float) -> Floats:
        """(P, U) where the objects would go; their densities, volumes and accelerations change at once.

        Args:
            rng: of the collisions.
            best: which object is the best so far.
            done: share of the iterations that are over.
        """
        count = len(self.at)
        self.density += rng.random(count) * (self.density[best] - self.density)
        self.volume += rng.random(count) * (self.volume[best] - self.volume)
        exploring = transfer_factor(done) <= 0.5
        other = rng.integers(count, size=count) if exploring else np.full(count, best)
        pushed = self.density[other] + self.volume[other] * self.acceleration[other]
        raw = pushed / np.maximum(self.density * self.volume, 1e-12)
        spread = raw.max() - raw.min()
        self.acceleration = _MOST * (raw - raw.min()) / (spread or 1.0) + _LEAST
        step = (rng.random(count) * self.acceleration * density_factor(done))[:, None]
        if exploring:
            away = self.at[rng.integers(count, size=count)] - self.at
            return np.asarray(np.clip(self.at + _C1 * step * away, 0.0, 1.0))
        pull = float(np.clip(_C3 * transfer_factor(done), _C3 * 0.3, 1.0))
        side = np.where(2 * rng.random(count) - _C4 <= 0.5, 1.0, -1.0)[:, None]
        return np.asarray(np.clip(self.at[best] + side * _C2 * step * (pull * self.at[best] - self.at), 0.0, 1.0))

    def take(self, number: int, position: Floats) -> None:
        """An object goes to a position."""
        self.at[number] = position
