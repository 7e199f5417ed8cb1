"""Which inputs a sliding window reads: shared by convolutions and pools."""

from typing import NamedTuple

from hocket.graph.regions.box import Interval, Shape
from hocket.graph.regions.rule import OperatorView


class Window(NamedTuple):
    """A window along one axis."""

    kernel: int
    stride: int
    dilation: int
    begin: int
    """Padding before the first element."""
    end: int
    """Padding after the last, as the model says; a window may hang over even that (`ceil_mode`)."""

    @property
    def reach(self) -> int:
        """Elements from the first that it reads to the last."""
        return (self.kernel - 1) * self.dilation + 1


class Source(NamedTuple):
    """What the windows of an interval read."""

    interval: Interval
    """Inside the input; empty (lo >= hi) if all the windows lie in the padding."""
    before: int
    """Padding that is left before it: only at the true border."""
    after: int


def windows(op: OperatorView, size: Shape, kernel: Shape, result: Shape) -> list[Window]:
    """The window on every spatial axis.

    Args:
        op: a convolution or pool.
        size: spatial lengths of its input.
        kernel: spatial lengths of its kernel.
        result: spatial lengths of its output.
    """
    ones = (1,) * len(size)
    strides = op.attributes.get("strides") or ones
    dilations = op.attributes.get("dilations") or ones
    pads = tuple(op.attributes.get("pads") or (0,) * 2 * len(size))
    auto = op.attributes.get("auto_pad", "NOTSET")
    found = []
    for axis, length in enumerate(size):
        window = Window(kernel[axis], strides[axis], dilations[axis], pads[axis], pads[axis + len(size)])
        if auto == "VALID":
            window = window._replace(begin=0, end=0)
        elif auto in ("SAME_UPPER", "SAME_LOWER"):
            total = max((result[axis] - 1) * window.stride + window.reach - length, 0)
            small, large = total // 2, total - total // 2
            begin, end = (small, large) if auto == "SAME_UPPER" else (large, small)
            window = window._replace(begin=begin, end=end)
        found.append(window)
    return found


def source(window: Window, wanted: Interval, length: int) -> Source:
    """What the windows of an interval of the result read of an axis of the input.

    >>> source(Window(3, 1, 1, 1, 1), (0, 4), 8)
    Source(interval=(0, 5), before=1, after=0)
    >>> source(Window(3, 2, 1, 1, 1), (2, 4), 8)
    Source(interval=(3, 8), before=0, after=0)
    """
    lo = wanted[0] * window.stride - window.begin
    hi = (wanted[1] - 1) * window.stride - window.begin + window.reach
    return Source((max(lo, 0), min(hi, length)), max(-lo, 0), max(hi - length, 0))
