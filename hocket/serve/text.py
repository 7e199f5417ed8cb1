"""From tokens to text as it grows: whole characters only, and nothing of what follows a stop string."""

from collections.abc import Callable, Sequence

_HALF = "\ufffd"
_MOST_HELD = 8  # tokens; a character of UTF-8 has at most four bytes, so more are no character


class Detokenizer:
    """Text of tokens that come one at a time; a character is given when all of its tokens are there.

    Args:
        decode: text of some tokens, with U+FFFD for bytes that make no character.

    >>> text = Detokenizer(lambda tokens: bytes(tokens).decode(errors="replace"))
    >>> [text.push(byte) for byte in "né".encode()]
    ['n', '', 'é']
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        # Tokens before `_given` are out. Those since `_begin` are decoded again with each new one: what a token is
        # worth may depend on the one before it, a space in front of a word for example.
        self._begin = self._given = 0

    def push(self, token: int) -> str:
        """The text that a token completes."""
        self._tokens.append(token)
        return self._take(flush=len(self._tokens) - self._given >= _MOST_HELD)

    def flush(self) -> str:
        """What is left at the end, with U+FFFD where bytes are missing."""
        return self._take(flush=True)

    def _take(self, *, flush: bool) -> str:
        before = self._decode(self._tokens[self._begin : self._given])
        now = self._decode(self._tokens[self._begin :])
        if now.endswith(_HALF) and not flush:
            return ""
        # Only the window is kept: a long text costs no more for each token than a short one.
        self._tokens = self._tokens[self._given :]
        self._begin, self._given = 0, len(self._tokens)
        return now[len(before) :]


class StopFinder:
    """Text up to the first stop string, wherever the borders of its pieces are.

    Args:
        stops: none of them empty.

    >>> finder = StopFinder(["END"])
    >>> [finder.push(piece) for piece in ("one E", "N", "D two")], finder.found
    (['one ', '', ''], True)
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found = False

    def push(self, piece: str) -> str:
        """The text that is certainly before any stop string."""
        if self.found:
            return ""
        text = self._held + piece
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.found, self._held = True, ""
            return text[: min(places)]
        kept = max((_overlap(text, stop) for stop in self._stops), default=0)
        self._held = text[len(text) - kept :]
        return text[: len(text) - kept]

    def flush(self) -> str:
        """What was held back, at the end."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of a text that a stop string, but not all of it, begins with.

    >>> _overlap("abcE", "END"), _overlap("abc", "END")
    (1, 0)
    """
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)
