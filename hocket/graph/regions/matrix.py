"""Matrix products."""

from math import prod

from hocket.graph.regions.box import Box, Interval, volume, whole
from hocket.graph.regions.rule import Context, Contraction, OperatorView, UnsupportedError
from hocket.graph.regions.steps import broadcast


def matmul(at: Context, box: Box) -> str:
    """Rows of the first, columns of the second, the contracted axis whole, batches broadcast."""
    op = at.op
    first, second = op.shapes[0], op.shapes[1]
    k = at.span("k", first[-1])
    tail = box
    columns: tuple[Interval, ...] = ()
    rows: tuple[Interval, ...] = ()
    if len(second) > 1:
        tail, columns = tail[:-1], tail[-1:]
    if len(first) > 1:
        tail, rows = tail[:-1], tail[-1:]
    a = (*broadcast(tail, first[:-2]), *rows, k)
    b = (*broadcast(tail, second[:-2]), k, *columns)
    inputs = [at.get(0, a), at.get(1, b)]
    inputs += [_zero_point(at, index, rows if index == 2 else columns) for index in range(2, len(op.inputs))]
    return at.emit(op.kind, *inputs, attributes=op.attributes, macs=volume(box) * (k[1] - k[0]))


def _zero_point(at: Context, index: int, side: tuple[Interval, ...]) -> str:
    """One number, or one for each row of the first or column of the second."""
    shape = at.op.shapes[index]
    if prod(shape) == 1:
        return at.get(index, whole(shape))
    if len(shape) != 1:
        raise UnsupportedError(f"zero points by batch have no rule, and {at.op.name!r} has some; keep it whole")
    return at.get(index, side)


def matmul_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """The inner axis k; the partial products are added."""
    return (Contraction(axis="k", size=op.shapes[0][-1]),)


def gemm(at: Context, box: Box) -> str:
    """Rows of the first, columns of the second (either may be transposed), the third broadcast."""
    op = at.op
    rows, columns = box
    across, down = op.attributes.get("transA", 0), op.attributes.get("transB", 0)
    k = at.span("k", op.shapes[0][0 if across else 1])
    a = at.get(0, (k, rows) if across else (rows, k))
    b = at.get(1, (columns, k) if down else (k, columns))
    c = [at.get(2, broadcast(box, op.shapes[2]))] if op.has(2) and at.owner else []
    return at.emit("Gemm", a, b, *c, attributes=op.attributes, macs=volume(box) * (k[1] - k[0]))


def gemm_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """The inner axis k; the partial products are added, the bias once."""
    return (Contraction(axis="k", size=op.shapes[0][0 if op.attributes.get("transA", 0) else 1]),)


def _letters(op: OperatorView) -> tuple[list[str], str]:
    """The letters of the inputs and of the result of an Einsum."""
    equation = str(op.attributes["equation"]).replace(" ", "")
    left, arrow, result = equation.partition("->")
    terms = left.split(",")
    if not arrow or "." in equation or any(len(set(term)) < len(term) for term in (*terms, result)):
        raise UnsupportedError(
            f"einsum {equation!r} of {op.name!r} has no rule; write its result, without ... or diagonals"
        )
    return terms, result


def einsum(at: Context, box: Box) -> str:
    """The interval of each letter of the result; the other letters whole."""
    op = at.op
    terms, result = _letters(op)
    spans: dict[str, Interval] = {}
    for index, term in enumerate(terms):
        for letter, length in zip(term, op.shapes[index], strict=True):
            if letter not in result:
                spans[letter] = at.span(letter, length)
    spans |= dict(zip(result, box, strict=True))
    inputs = [at.get(index, tuple(spans[letter] for letter in term)) for index, term in enumerate(terms)]
    work = prod(hi - lo for lo, hi in spans.values())
    macs, flops = (work, 0) if len(terms) > 1 else (0, work)
    return at.emit("Einsum", *inputs, attributes=op.attributes, macs=macs, flops=flops)


def einsum_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """Each letter that the result lacks; the partial products are added."""
    terms, result = _letters(op)
    sizes = {letter: length for i, term in enumerate(terms) for letter, length in zip(term, op.shapes[i], strict=True)}
    return tuple(Contraction(axis=letter, size=length) for letter, length in sizes.items() if letter not in result)


def block_matmul(at: Context, box: Box) -> str:
    """As a matrix product; columns of the packed weight, the contracted axis in whole quantisation blocks."""
    op = at.op
    if op.has(4) or op.has(5):
        raise UnsupportedError(f"group indices and biases of {op.kind} have no rule, and {op.name!r} has some")
    size, block = int(op.attributes["K"]), int(op.attributes["block_size"])
    bits = int(op.attributes.get("bits", 4))
    lo, hi = at.span("k", size)
    first, last, count = lo // block, -(-hi // block), -(-size // block)
    if len(op.shapes[1]) != 3 or (last - first < count and len(op.shapes[2]) != 2):
        raise UnsupportedError(f"flat scales of {op.name!r} cannot be divided over k; cut columns instead")
    columns = box[-1]
    x = at.get(0, (*box[:-1], (lo, hi)))
    weight = at.get(1, (columns, (first, last), (0, op.shapes[1][2])))
    inputs = [x, weight, _by_block(at, 2, columns, (first, last), count)]
    if op.has(3):
        packed = 8 // bits if op.dtypes[3] == "uint8" else 1
        inputs.append(_by_block(at, 3, columns, (first // packed, -(-last // packed)), -(-count // packed)))
    attributes = dict(op.attributes) | {"K": hi - lo, "N": columns[1] - columns[0]}
    return at.emit(op.kind, *inputs, attributes=attributes, macs=volume(box) * (hi - lo))


def _by_block(at: Context, index: int, columns: Interval, blocks: Interval, count: int) -> str:
    """Scales or zero points: columns by blocks, flat in older models."""
    if len(at.op.shapes[index]) == 2:
        return at.get(index, (columns, blocks))
    return at.get(index, ((columns[0] * count, columns[1] * count),))


def block_matmul_contractions(op: OperatorView) -> tuple[Contraction, ...]:
    """The inner axis k, by quantisation blocks (two where zero points are packed by twos)."""
    bits, block = int(op.attributes.get("bits", 4)), int(op.attributes["block_size"])
    packed = max(8 // bits, 1) if op.has(3) else 1
    return (Contraction(axis="k", size=int(op.attributes["K"]), granule=block * packed),)
