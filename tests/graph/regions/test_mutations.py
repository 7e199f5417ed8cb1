"""The comparison notices wrong rules: each of these is one line away from the right one."""

from collections.abc import Callable

import numpy as np
import pytest
from region_draw import case, ints
from region_harness import TOLERANCE, Whole, box_error, contract_error, whole_of

from hocket.errors import GraphError
from hocket.graph.regions import Contract, contract_parts, convolution, pooling, reshaping, whole
from hocket.graph.regions.box import Box, with_axis
from hocket.graph.regions.rule import Context, Entry
from hocket.graph.regions.table import RULES
from hocket.graph.regions.windows import Source, Window, source

Patch = pytest.MonkeyPatch


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def conv() -> Whole:
    weights = {"w": noise(3, 2, 3, 3), "b": noise(3)}
    return whole_of(case("Conv", {"x": noise(1, 2, 8, 8)}, weights, attributes={"pads": [1, 1, 1, 1]}))


def pool() -> Whole:
    return whole_of(
        case(
            "MaxPool",
            {"x": noise(1, 2, 8, 8) - 5},
            attributes={"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1},
        )
    )


def norm() -> Whole:
    return whole_of(case("LayerNormalization", {"x": noise(4, 6)}, {"s": noise(6)}))


def reshaped() -> Whole:
    return whole_of(case("Reshape", {"x": noise(6, 8)}, known={"shape": ints(48)}))


def gathered() -> Whole:
    return whole_of(case("Gather", {"x": noise(9, 2)}, known={"i": ints(7, 4, 8)}))


def softmax() -> Whole:
    return whole_of(case("Softmax", {"x": noise(3, 5)}))


def multiplied() -> Whole:
    return whole_of(case("Gemm", {"a": noise(3, 6)}, {"b": noise(6, 4), "c": noise(4)}))


def attended() -> Whole:
    inputs = {"q": noise(1, 2, 5, 4), "k": noise(1, 2, 5, 4), "v": noise(1, 2, 5, 4)}
    return whole_of(case("Attention", inputs, attributes={"is_causal": 1}, opset=23))


ROWS: Box = ((0, 1), (0, 2), (2, 3), (0, 4))


def same_pads(window: Window, wanted: tuple[int, int], length: int) -> Source:
    return Source(source(window, wanted, length).interval, window.begin, window.end)


def short_window(window: Window, wanted: tuple[int, int], length: int) -> Source:
    (lo, hi), before, after = source(window, wanted, length)
    return Source((lo, hi - 1), before, after + 1)


def no_overhang(window: Window, wanted: tuple[int, int], length: int) -> Source:
    return source(window, wanted, length)._replace(after=0)


def on_the_slice(at: Context, box: Box) -> str:
    """Normalise what is wanted, not the whole axis."""
    op = at.op
    more = [at.get(1, box[-1:])] if op.has(1) else []
    return at.emit(op.kind, at.get(0, box), *more, attributes=op.attributes)


def not_counted_from_the_range(at: Context, box: Box) -> str:
    numbers = at.op.constants[1][box[0][0] : box[0][1]]
    data = at.get(0, ((int(numbers.min()), int(numbers.max()) + 1), box[1]))
    return at.emit("Gather", data, at.constant(np.minimum(numbers, np.ptp(numbers))))


def still_causal(at: Context, box: Box) -> str:
    every = with_axis(box, 2, (0, 5))
    return at.emit("Attention", at.get(0, box), at.get(1, every), at.get(2, every), attributes=at.op.attributes)


def from_the_start(box: Box, axes: tuple[int, ...], shape: tuple[int, ...]) -> tuple[int, int]:
    return 0, int(np.prod([box[axis][1] - box[axis][0] for axis in axes]))


def rule(kind: str, broken: Callable[[Context, Box], str]) -> Callable[[Patch], None]:
    return lambda patch: patch.setitem(RULES, kind, Entry(rule=broken))


def step(module: object, name: str, broken: object) -> Callable[[Patch], None]:
    return lambda patch: patch.setattr(module, name, broken)


TILE: Box = ((0, 1), (0, 3), (2, 4), (0, 8))
BROKEN: list[tuple[str, Callable[[], Whole], Box, Callable[[Patch], None]]] = [
    ("pads on every tile", conv, TILE, step(convolution, "source", same_pads)),
    ("window one short", conv, TILE, step(convolution, "source", short_window)),
    ("overhang forgotten", pool, ((0, 1), (0, 2), (2, 4), (2, 4)), step(pooling, "source", no_overhang)),
    ("norm of the slice", norm, ((0, 4), (1, 4)), rule("LayerNormalization", on_the_slice)),
    ("softmax of the slice", softmax, ((0, 3), (1, 4)), rule("Softmax", on_the_slice)),
    ("offset of the run dropped", reshaped, ((10, 21),), step(reshaping, "_flat", from_the_start)),
    ("indices not moved", gathered, ((0, 2), (0, 2)), rule("Gather", not_counted_from_the_range)),
    ("causal with an offset", attended, ROWS, rule("Attention", still_causal)),
]


@pytest.mark.parametrize(("name", "make", "box", "mutate"), BROKEN, ids=[row[0] for row in BROKEN])
def test_a_broken_rule_is_noticed(
    name: str, make: Callable[[], Whole], box: Box, mutate: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    right = make()
    assert box_error(right, box) <= TOLERANCE
    mutate(monkeypatch)
    assert box_error(right, box) > 1e-3, name


def test_a_bias_in_every_part_is_noticed() -> None:
    one = multiplied()
    parts = [each for each in contract_parts(one.block, "y0", "k", [2, 3]) if each]
    everything = whole((3, 4))
    assert contract_error(one, everything, parts) <= TOLERANCE
    greedy = [Contract(tensor="y0", axis="k", interval=each.interval, owner=True) for each in parts]
    with pytest.raises(GraphError):
        contract_error(one, everything, greedy)


def test_a_rule_that_asks_outside_its_input_is_stopped(monkeypatch: Patch) -> None:
    one = softmax()

    def outside(at: Context, box: Box) -> str:
        return at.emit("Softmax", at.get(0, with_axis(box, 1, (0, 6))))

    monkeypatch.setitem(RULES, "Softmax", Entry(rule=outside))
    with pytest.raises(GraphError) as error:
        box_error(one, ((0, 3), (1, 4)))
    assert str(error.value) == (
        "a rule asks for boxes inside its inputs, and that of Softmax at 'y0' asks for ((0, 3), (0, 6)) of input 0 with"
        " shape (3, 5); correct the rule"
    )
