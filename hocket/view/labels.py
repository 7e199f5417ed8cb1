"""Finding room for labels: each takes the first of its possible spots that nothing else covers."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hocket.view.canvas import Point


class Area(NamedTuple):
    """A rectangle on the sheet."""

    left: float
    bottom: float
    right: float
    top: float

    def meets(self, other: "Area") -> bool:
        """Whether two rectangles cover a common point."""
        return (
            self.left < other.right and other.left < self.right and self.bottom < other.top and other.bottom < self.top
        )

    @classmethod
    def around(cls, centre: Point, width: float, height: float) -> "Area":
        """A rectangle by its centre and size."""
        x, y = centre
        return cls(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def find_room(spots: Iterable[Point], size: Point, taken: Sequence[Area]) -> Point | None:
    """The first centre at which a label of a size covers nothing that is taken; None if there is none."""
    for spot in spots:
        area = Area.around(spot, *size)
        if not any(area.meets(other) for other in taken):
            return spot
    return None
