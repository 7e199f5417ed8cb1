"""Which of a task's entries serves which of its requests."""

from collections.abc import Sequence


def dealt(fractions: Sequence[float], requests: int) -> list[int]:
    """The entry of each request: always the one that is furthest behind its fraction, the first among equals.

    >>> dealt([0.5, 0.25, 0.25], 8)
    [0, 1, 2, 0, 0, 1, 2, 0]
    """
    behind = [0.0] * len(fractions)
    chosen = []
    for _ in range(requests):
        for entry, fraction in enumerate(fractions):
            behind[entry] += fraction
        # Rounding must not decide between entries that are equally far behind.
        best = max(range(len(fractions)), key=lambda entry: (round(behind[entry], 9), -entry))
        behind[best] -= 1.0
        chosen.append(best)
    return chosen
