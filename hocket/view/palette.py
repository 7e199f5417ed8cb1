"""Colours that people with colour-blindness can tell apart, the same node in the same colour in every picture."""

from collections.abc import Iterable

INK, MUTED, FAINT, PALE, PAPER = "#1F2933", "#5F6B78", "#C3CBD3", "#EEF1F4", "#FFFFFF"
# The colours of Okabe and Ito, without black, in an order in which neighbours differ in lightness too.
_NODES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#8C8C8C")


def colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for each name, by position; from the ninth on they repeat, half as strong.

    >>> colours(["phone", "edge"])
    {'phone': '#0072B2', 'edge': '#E69F00'}
    """
    unique = dict.fromkeys(names)
    return {
        name: mixed(_NODES[position % len(_NODES)], PAPER, 1 - 0.5 ** (position // len(_NODES)))
        for position, name in enumerate(unique)
    }


def mixed(colour: str, other: str, amount: float) -> str:
    """A colour moved towards another by a fraction.

    >>> mixed("#000000", "#FFFFFF", 0.5)
    '#808080'
    """
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * amount):02X}" for a, b in pairs)


def readable_on(colour: str) -> str:
    """White or ink, whichever is easier to read on a colour.

    >>> readable_on("#0072B2") == PAPER, readable_on("#F0E442") == INK
    (True, True)
    """
    red, green, blue = (channel / 255 for channel in _channels(colour))
    return INK if 0.299 * red + 0.587 * green + 0.114 * blue > 0.52 else PAPER


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
