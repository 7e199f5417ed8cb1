"""Random operators that move elements."""

import numpy as np
from hypothesis import strategies as st
from region_draw import Draw, case, ints, noise, number, one_of
from region_harness import Case


def reshape(draw: Draw) -> Case:
    before = one_of(draw, (2, 6, 4), (12, 4), (1, 48), (4, 1, 3, 4), (2, 2, 2, 6), (3, 16), (48,))
    after = one_of(draw, (48,), (6, 8), (2, 6, 4), (4, 12), (2, 1, 24), (3, 4, 4), (2, 3, 2, 4), (1, 48, 1), (16, 3))
    return case("Reshape", {"x": noise(draw, before)}, known={"shape": ints(*after)})


def flatten(draw: Draw) -> Case:
    return case("Flatten", {"x": noise(draw, (2, 3, number(draw, 1, 4), 2))}, attributes={"axis": number(draw, 0, 4)})


def squeeze(draw: Draw) -> Case:
    if one_of(draw, True, False):
        return case(
            "Squeeze", {"x": noise(draw, (1, 3, 1, 4))}, known={"axes": ints(*one_of(draw, (0,), (-2,), (0, 2)))}
        )
    return case("Unsqueeze", {"x": noise(draw, (3, 4))}, known={"axes": ints(*one_of(draw, (0,), (-1,), (0, 2)))})


def depth_space(draw: Draw) -> Case:
    size, channels = number(draw, 2, 3), number(draw, 1, 3)
    if one_of(draw, True, False):
        x = noise(draw, (1, channels, size * number(draw, 1, 3), size * number(draw, 1, 3)))
        return case("SpaceToDepth", {"x": x}, attributes={"blocksize": size})
    x = noise(draw, (1, channels * size * size, number(draw, 1, 3), number(draw, 1, 4)))
    return case("DepthToSpace", {"x": x}, attributes={"blocksize": size, "mode": one_of(draw, "DCR", "CRD")})


def transpose(draw: Draw) -> Case:
    order = draw(st.permutations(range(4)))
    return case("Transpose", {"x": noise(draw, (2, 3, number(draw, 1, 4), 5))}, attributes={"perm": list(order)})


def concat(draw: Draw) -> Case:
    axis = number(draw, -2, 2)
    shapes = [[2, 3, 4] for _ in range(number(draw, 1, 3))]
    for shape in shapes:
        shape[axis] = number(draw, 1, 4)
    inputs = {f"x{i}": noise(draw, tuple(shape)) for i, shape in enumerate(shapes)}
    return case("Concat", inputs, attributes={"axis": axis})


def split(draw: Draw) -> Case:
    sizes = [number(draw, 1, 4) for _ in range(3)]
    x = noise(draw, (2, sum(sizes), 3))
    return case(
        "Split", {"x": x}, known={"split": ints(*sizes)}, attributes={"axis": 1}, outputs=3, wanted=number(draw, 0, 2)
    )


def sliced(draw: Draw) -> Case:
    x = noise(draw, (9, 7, 4))
    starts, ends, steps = one_of(
        draw, ((1, 2), (8, 7), (2, 1)), ((-3, 0), (2**62, -1), (1, 3)), ((8, -1), (0, -(2**62)), (-2, -1)),
        ((-1, 6), (-(2**62), 1), (-3, -2)), ((20, 1), (-20, 5), (-1, 2)),
    )  # fmt: skip
    axes = one_of(draw, (0, 1), (0, -2))
    return case("Slice", {"x": x}, known={"s": ints(*starts), "e": ints(*ends), "a": ints(*axes), "p": ints(*steps)})


def pad(draw: Draw) -> Case:
    mode = one_of(draw, "constant", "constant", "edge", "reflect")
    x = noise(draw, (3, number(draw, 4, 6), 4))
    least = -1 if mode == "constant" else 0
    pads = [number(draw, least, 3) if axis % 3 else 0 for axis in range(6)]
    known = {"pads": ints(*pads)}
    if one_of(draw, True, False):
        known["v"] = np.array(0.5, np.float32)
    if one_of(draw, True, False):
        known["pads"] = ints(*pads[1:3], *pads[4:6])
        known.setdefault("v", np.array(0.0, np.float32))
        known["axes"] = ints(1, -1)
    return case("Pad", {"x": x}, known=known, attributes={"mode": mode})


def expand(draw: Draw) -> Case:
    x = noise(draw, one_of(draw, (3, 1), (1,), (1, 4), (1, 3, 1)))
    return (
        case("Expand", {"x": x}, known={"shape": ints(*one_of(draw, (2, 3, 4), (3, 4), (5, 3, 1)))})
        if x.shape != (1,)
        else case("Expand", {"x": x}, known={"shape": ints(2, 3)})
    )


def tile(draw: Draw) -> Case:
    return case("Tile", {"x": noise(draw, (2, 3))}, known={"r": ints(number(draw, 1, 3), number(draw, 1, 3))})


def triangle(draw: Draw) -> Case:
    x = np.abs(noise(draw, (2, 5, 6))) + np.float32(0.1)
    return case(
        "Trilu",
        {"x": x},
        known={"k": np.array(number(draw, -2, 2), np.int64)},
        attributes={"upper": number(draw, 0, 1)},
    )


def gather(draw: Draw) -> Case:
    data = noise(draw, (5, 6, 3))
    axis = number(draw, 0, 2)
    shape = one_of(draw, (), (3,), (2, 2))
    indices = np.asarray(np.random.default_rng(number(draw, 0, 9)).integers(-data.shape[axis], data.shape[axis], shape))
    attributes = {"axis": axis}
    if one_of(draw, True, False):
        return case("Gather", {"x": data}, known={"i": indices}, attributes=attributes)
    return case("Gather", {"i": indices}, {"x": data}, attributes=attributes, order=("x", "i"))


def gather_elements(draw: Draw) -> Case:
    indices = np.random.default_rng(number(draw, 0, 9)).integers(-4, 4, (2, number(draw, 1, 5)))
    return case("GatherElements", {"x": noise(draw, (4, 5)), "i": indices}, attributes={"axis": 0})


def one_hot(draw: Draw) -> Case:
    indices = np.random.default_rng(number(draw, 0, 9)).integers(0, 4, (3, 2))
    known = {"d": np.array(4, np.int64), "v": np.array([0.5, 1], np.float32)}
    return case("OneHot", {"i": indices}, known=known, attributes={"axis": number(draw, -1, 1)})


def resize(draw: Draw) -> Case:
    mode = one_of(draw, "nearest", "linear")
    attributes = {
        "mode": mode,
        "coordinate_transformation_mode": one_of(
            draw, "asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners"
        ),
    }
    if mode == "nearest":
        attributes["nearest_mode"] = one_of(draw, "floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    x = noise(draw, (1, 2, number(draw, 2, 5), number(draw, 2, 5)))
    if one_of(draw, True, False):
        scales = np.array([1, 1, one_of(draw, 2, 1.5, 3), one_of(draw, 1, 2, 2.5)], np.float32)
        return case("Resize", {"x": x}, known={"k": scales}, order=("x", "", "k"), attributes=attributes)
    sizes = ints(1, 2, number(draw, 2, 9), number(draw, 2, 9))
    return case("Resize", {"x": x}, known={"k": sizes}, order=("x", "", "", "k"), attributes=attributes)
