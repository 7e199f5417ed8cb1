"""What a segment computes where it computes only a part: for `plan.build` and for the judge, not for the runtime."""

from hocket.nouns import Value

Region = tuple[tuple[int, int], ...]
"""One half-open interval per axis."""


def partial_suffix(axis: str, interval: tuple[int, int]) -> str:
    """What is added to the name of a result that covers only part of a contracted axis.

    >>> partial_suffix("k", (0, 96))
    '{k 0:96}'
    """
    return f"{{{axis} {interval[0]}:{interval[1]}}}"


class Contract(Value, frozen=True):
    """A part of a contracted split: the operator that makes `tensor` covers only an interval of a contracted axis."""

    tensor: str
    axis: str
    interval: tuple[int, int]
    owner: bool
    """This part adds the bias; exactly one part does."""

    @property
    def suffix(self) -> str:
        """Added to the names of partial results."""
        return partial_suffix(self.axis, self.interval)


class Work(Value, frozen=True, tag_field="kind", tag="work"):
    """Operators that are computed together, and how much of what they make is wanted."""

    operators: tuple[str, ...]
    """In topological order."""
    regions: dict[str, Region | None] = {}
    """Result -> the region of it that is made, None = all of it; {} = the operators are computed as they are."""
    contract: Contract | None = None
    """The last operator covers only a part of its contracted axis."""


class Combine(Value, frozen=True, tag_field="kind", tag="combine"):
    """Partial results put together, or what came from several places passed on as one tensor."""

    tensor: str
    region: Region | None = None
    contracts: tuple[Contract, ...] = ()
    """The parts that are added up; () = nothing is computed."""


Part = Work | Combine
