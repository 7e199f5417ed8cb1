"""A few thousand changed messages, programs, models and tensors; `python -m tests.runtime.fuzz` takes a million."""

from collections.abc import Iterator
from random import Random

import msgspec
import pytest
from fuzz.mutate import ODD, changed_frames
from fuzz.targets import TARGETS, NodeTarget
from hypothesis import given, settings
from hypothesis import strategies as st

from hocket.runtime import wire

ROUNDS = {"decoder": 5000, "node": 3000, "program": 1500, "model": 3000, "codecs": 2000}
VALUES = st.recursive(
    st.sampled_from(ODD) | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=4,
)
TAGS = sorted(str(kind.__struct_config__.tag) for kind in wire.Message.__subclasses__())


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_nothing_but_a_refusal_comes_of_changed_input(name: str) -> None:
    target, random = TARGETS[name](), Random(7)
    try:
        for _ in range(ROUNDS[name]):
            target.once(random)
    finally:
        target.close()


@pytest.fixture(scope="module")
def node() -> Iterator[NodeTarget]:
    """Kept between the examples, as a node is."""
    target = NodeTarget()
    yield target
    target.close()


@given(
    tag=st.sampled_from(TAGS), values=st.lists(VALUES, max_size=9), buffers=st.lists(st.binary(max_size=40), max_size=3)
)
@settings(max_examples=250)
def test_a_node_outlives_any_fields_of_any_message(
    node: NodeTarget, tag: str, values: list[object], buffers: list[bytes]
) -> None:
    node.take("owner", [wire.MAGIC + msgspec.msgpack.encode([tag, *values]), *buffers])


def test_most_changed_messages_still_reach_a_handler() -> None:
    """The fuzzer would prove little if all it sends were refused by the decoder."""
    target, random, understood = NodeTarget(), Random(3), 0
    try:
        for _ in range(1000):
            frames = changed_frames(random.choice(target._often), random)
            understood += target.take("owner", frames)
    finally:
        target.close()
    assert understood > 300
