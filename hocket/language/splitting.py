"""Where to cut a decoder while a channel changes: a Markov decision process, and its best policy by value iteration.

A state is where the decoder is cut and how the channel is; an action is the next cut, 0 to all layers. The action takes
effect at once, is rewarded under the channel that was seen, and then the channel moves on by itself:

    reward = weight * quality(cut, loss) - (1 - weight) * load(cut) - cost of moving (absent in the source)

Source: Y. Chen, R. Li, X. Yu, Z. Zhao, H. Zhang, "Adaptive Layer Splitting for Wireless LLM Inference in Edge
Computing: A Model-Based Reinforcement Learning Approach", arXiv:2406.02616. There a policy is learned by PPO, with a
learned surrogate in the place of the quality. Where this differs from what their published code does: there an action
moves the cut by at most 4 layers, here to any layer; there the noise is a number that shifts a little with the moves,
here it follows a Markov chain over a few channels; there only some of the first layers are cut at and the load is
counted in layers, here all are and it is counted in operations; the reward there adds ten times a quality and once the
share of layers that are not on the device. How quality follows from perplexity there is not known here; see `Quality`
in `split_rewards`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hocket.errors import ClusterError, PlanError
from hocket.language.lossy import Channel

_CLOSE = 1e-12
"""Value iteration ends when nothing changes by more, as a part of the largest value."""
_SUM = 1e-9
"""How far the sum of probabilities may be from 1."""


def neighbouring(count: int, stay: float) -> np.ndarray:
    """A chain over channels in order: each stays with a probability, or else becomes a neighbour, both alike.

    Returns:
        float64 [channel, next channel].

    Raises:
        ClusterError: no channel, or no probability.

    >>> neighbouring(3, 0.5).tolist()
    [[0.5, 0.5, 0.0], [0.25, 0.5, 0.25], [0.0, 0.5, 0.5]]
    """
    if count < 1 or not 0 <= stay <= 1:
        raise ClusterError(f"a chain has a channel and stays with a probability, got {count} and {stay}; correct them")
    chain = np.eye(count) * (stay if count > 1 else 1.0)
    for channel in range(count):
        beside = [other for other in (channel - 1, channel + 1) if 0 <= other < count]
        for other in beside:
            chain[channel, other] = (1 - stay) / len(beside)
    return chain


class Policy(NamedTuple):
    """What to do in each state, and what it is worth."""

    cuts: np.ndarray
    """The next cut, int64 [cut, channel]."""
    values: np.ndarray
    """The expected discounted sum of all rewards from there, float64 [cut, channel]."""


class SplitProblem:
    """One device, one server, a decoder, and a channel that changes; in the manner of Gymnasium, without needing it.

    Observations are float32 [3], each 0 to 1: the cut / number of layers, the channel / the last channel, the loss.

    Args:
        quality: of a cut at a loss, 0 to 1: a `Quality`, or what stands for it.
        load: of each cut, 0 to 1: `loads`.
        channels: the channel's states, at least one.
        transitions: float64 [channel, next channel]; each row adds up to 1.
        weight: of the quality against the load, 0 to 1.
        moving: float64 [cut, next cut]: `moving_costs`; None = moving costs nothing.
        discount: of a reward one step later, 0 to below 1; for policies' values, not for the rewards of `step`.
        steps: of an episode.

    Raises:
        PlanError: numbers or shapes that do not fit.
        ClusterError: transitions that are no chain over these channels.
    """

    def __init__(
        self,
        quality: Callable[[int, float], float],
        load: Sequence[float],
        channels: Sequence[Channel],
        transitions: np.ndarray,
        *,
        weight: float = 0.5,
        moving: np.ndarray | None = None,
        discount: float = 0.9,
        steps: int = 50,
    ) -> None:
        self.channels, self.load = tuple(channels), tuple(load)
        self.transitions = np.asarray(transitions, np.float64)
        self.moving = np.zeros((len(load),) * 2) if moving is None else np.asarray(moving, np.float64)
        self.weight, self.discount, self.steps = weight, discount, steps
        self._check()
        self._quality = quality
        self._rewards: dict[tuple[int, int], float] = {}
        self._random = np.random.default_rng()
        self._cut = self._channel = 0
        self._left = 0

    @property
    def cuts(self) -> int:
        """Number of actions: one more than layers."""
        return len(self.load)

    def reset(self, seed: int | None = None) -> tuple[np.ndarray, Mapping[str, int]]:
        """Begin an episode at a random cut and channel, all alike likely.

        Args:
            seed: of this episode and those after it; None = go on with the one before.

        Returns:
            The observation, and the same in whole numbers: `cut` and `channel`.
        """
        if seed is not None:
            self._random = np.random.default_rng(seed)
        self._cut = int(self._random.integers(self.cuts))
        self._channel = int(self._random.integers(len(self.channels)))
        self._left = self.steps
        return self._seen()

    def step(self, action: int) -> tuple[np.ndarray, float, bool, bool, Mapping[str, int]]:
        """Cut behind so many layers from now on. How the channel goes on does not depend on it.

        Returns:
            The observation, the reward, False (no state is the last), whether the episode is over, and the observation
            in whole numbers.

        Raises:
            PlanError: no such cut, or an episode that is over.
        """
        if self._left == 0:
            raise PlanError(f"an episode has {self.steps} steps, and none is left; call reset first")
        if not 0 <= action < self.cuts:
            raise PlanError(f"an action is a cut of 0 to {self.cuts - 1}, got {action}; choose one of them")
        reward = self.reward(self._channel, action) - float(self.moving[self._cut, action])
        self._cut, self._left = int(action), self._left - 1
        reached = np.searchsorted(np.cumsum(self.transitions[self._channel]), self._random.random(), side="right")
        # The sum of a row may be a little less than 1.
        self._channel = min(int(reached), int(np.flatnonzero(self.transitions[self._channel])[-1]))
        seen, info = self._seen()
        return seen, reward, False, self._left == 0, info

    def reward(self, channel: int, cut: int) -> float:
        """Of a cut under a channel, without the cost of moving; evaluated when first needed, then kept.

        Raises:
            PlanError: the quality is no number.
        """
        if (channel, cut) not in self._rewards:
            quality = self._quality(cut, self.channels[channel].loss)
            if not math.isfinite(quality):
                raise PlanError(f"a quality is a finite number, got {quality} behind {cut} layers; give another one")
            self._rewards[channel, cut] = self.weight * quality - (1 - self.weight) * self.load[cut]
        return self._rewards[channel, cut]

    def table(self) -> np.ndarray:
        """All rewards without the cost of moving, float64 [channel, cut]."""
        by_cut = [[self.reward(channel, cut) for channel in range(len(self.channels))] for cut in range(self.cuts)]
        return np.array(by_cut).T

    def oracle(self) -> Policy:
        """The best policy, by value iteration over all states (R. Bellman, "Dynamic Programming", 1957).

        Where moving costs nothing it is a table: the best cut of each channel, whatever the cut before. Of cuts that
        are equally good it takes the one with the fewest layers on the device. It sweeps over the states about
        28 / (1 - discount) times.
        """
        rewards = self._by_action()
        values = np.zeros((self.cuts, len(self.channels)))
        while True:
            returns = rewards + self.discount * (self.transitions @ values.T)
            change = np.abs(returns.max(-1) - values).max()
            values = returns.max(-1)
            if change <= _CLOSE * np.abs(values).max():
                chosen = returns.argmax(-1)
                return Policy(cuts=chosen, values=self.values(chosen))

    def values(self, policy: np.ndarray) -> np.ndarray:
        """What a policy is worth in each state, exactly: the solution of its linear equations.

        Args:
            policy: the next cut, integers [cut, channel].

        Returns:
            The expected discounted sum of all rewards, float64 [cut, channel].

        Raises:
            PlanError: another shape, or a cut that does not exist.
        """
        policy = np.asarray(policy)
        shape = self.cuts, len(self.channels)
        if policy.shape != shape or not ((policy >= 0) & (policy < self.cuts)).all():
            raise PlanError(
                f"a policy has a cut of 0 to {self.cuts - 1} for each of {shape} states, got {policy.tolist()};"
                " correct it"
            )
        rewards = np.take_along_axis(self._by_action(), policy[..., None], -1).ravel()
        onward = np.zeros((*shape, *shape))
        for cut, channel in np.ndindex(*shape):
            onward[cut, channel, policy[cut, channel]] = self.transitions[channel]
        size = shape[0] * shape[1]
        found = np.linalg.solve(np.eye(size) - self.discount * onward.reshape(size, size), rewards)
        return np.asarray(found.reshape(shape))

    def _by_action(self) -> np.ndarray:
        """Rewards with the cost of moving, [cut, channel, next cut]."""
        return np.asarray(self.table()[None] - self.moving[:, None])

    def _seen(self) -> tuple[np.ndarray, Mapping[str, int]]:
        cut = self._cut / max(1, self.cuts - 1)
        channel = self._channel / max(1, len(self.channels) - 1)
        seen = np.array([cut, channel, self.channels[self._channel].loss], np.float32)
        return seen, {"cut": self._cut, "channel": self._channel}

    def _check(self) -> None:
        count = len(self.channels)
        chain = self.transitions
        if (
            count == 0
            or chain.shape != (count, count)
            or not (chain >= 0).all()
            or np.abs(chain.sum(1) - 1).max() > _SUM
        ):
            raise ClusterError(
                f"a chain over {count} channels has as many rows of probabilities, each with a sum of 1, got"
                f" {chain.tolist()}; correct the transitions"
            )
        if not self.load or not all(0 <= share <= 1 for share in self.load):
            raise PlanError(f"the load of each cut is a share, 0 to 1, got {self.load}; correct it")
        if self.moving.shape != (self.cuts,) * 2 or not (np.isfinite(self.moving) & (self.moving >= 0)).all():
            raise PlanError(
                f"moving between {self.cuts} cuts costs at least 0 each, got {self.moving.tolist()}; correct the costs"
            )
        if not (0 <= self.weight <= 1 and 0 <= self.discount < 1 and self.steps >= 1):
            raise PlanError(
                "a weight is 0 to 1, a discount 0 to below 1, and an episode at least 1 step, got"
                f" {self.weight}, {self.discount} and {self.steps}; correct them"
            )
