"""Texts that are continued by us and by another runtime: tokens, and when each came."""

import json
import time
from collections.abc import Sequence
from typing import NamedTuple

from bench.peers import Peer
from hocket.language import generate
from hocket.language.generate import Reader


class Text(NamedTuple):
    """A continuation."""

    tokens: list[int]
    times_s: list[float]
    """When each token came."""

    @property
    def tokens_per_s(self) -> float:
        """After the first token."""
        return (len(self.times_s) - 1) / (self.times_s[-1] - self.times_s[0])


def ours(reader: Reader, prompt: Sequence[int], most: int) -> Text:
    """Continued greedily by a reader that has read nothing yet."""
    text = Text([], [])
    for token in generate(reader, prompt, most=most):
        text.times_s.append(time.perf_counter())
        text.tokens.append(token)
    return text


def theirs(peer: Peer, prompt: Sequence[int], most: int) -> Text:
    """Continued greedily by a peer that takes prompts as lines of JSON."""
    peer.tell(json.dumps({"prompt": list(prompt), "most": most}))
    return Text(**peer.answer())
