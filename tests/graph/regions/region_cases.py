"""Random operators: every kind that has a rule, with the attributes that matter to it."""

from collections.abc import Callable

import region_elements
import region_layers
import region_moves
import region_windows
from region_draw import Draw
from region_harness import Case

CASES: dict[str, Callable[[Draw], Case]] = {
    name: make
    for module in (region_elements, region_windows, region_layers, region_moves)
    for name, make in vars(module).items()
    if getattr(make, "__module__", "") == module.__name__ and not name.startswith("_")
}
"""What makes a random operator, by name."""
