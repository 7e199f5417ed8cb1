"""Every rule against the unsplit operator in ONNX Runtime, on random shapes, attributes and boxes."""

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st
from region_cases import CASES
from region_harness import (
    PARTIAL_TOLERANCE,
    TOLERANCE,
    Whole,
    box_error,
    boxes,
    contract_error,
    cut_points,
    model_of,
    whole_of,
)

from hocket.graph.flops import flops, macs
from hocket.graph.regions import contract_parts, contractions, demand, whole
from hocket.graph.regions.table import RULES

quick = settings(
    max_examples=20,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.generate,),
)
thorough = settings(quick, max_examples=400)


REFUSES = ("pool", "quantise_blocks", "convolution_quantised")
"""Cases of which some are refused on purpose, and computed whole; any other refusal would make a test empty."""


def _boxes_agree(name: str, data: st.DataObject) -> None:
    case = whole_of(CASES[name](data.draw))
    for _ in range(2):
        box = data.draw(boxes(case.results[case.tensor].shape))
        assert name in REFUSES or not demand(case.block, {case.tensor: [box]}).refused
        assert box_error(case, box) <= TOLERANCE, (case.case.attributes, box)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@quick
def test_a_box_computed_alone_equals_the_box_of_the_whole(name: str, data: st.DataObject) -> None:
    _boxes_agree(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@thorough
def test_many_boxes_equal_the_boxes_of_the_whole(name: str, data: st.DataObject) -> None:
    _boxes_agree(name, data)


CONTRACTED = ("convolution", "convolution_integer", "transposed", "global_pool", "reduction", "matmul",
              "matmul_integer", "gemm", "einsum", "block_matmul", "gather", "attention_keys")  # fmt: skip


def _parts_agree(name: str, data: st.DataObject) -> None:
    case = whole_of(CASES[name](data.draw))
    found = [] if case.case.wanted else contractions(case.block.operators[0])
    assume(found)
    contraction = data.draw(st.sampled_from(found))
    cuts = data.draw(cut_points(contraction.size, contraction.granule))
    parts = contract_parts(case.block, case.tensor, contraction.axis, cuts)
    box = data.draw(boxes(case.results[case.tensor].shape))
    assert contract_error(case, box, parts) <= PARTIAL_TOLERANCE, (case.case.attributes, cuts, box)


@pytest.mark.parametrize("name", CONTRACTED)
@given(data=st.data())
@quick
def test_partial_results_put_together_equal_the_whole(name: str, data: st.DataObject) -> None:
    _parts_agree(name, data)


@pytest.mark.slow
@pytest.mark.parametrize("name", CONTRACTED)
@given(data=st.data())
@thorough
def test_many_partial_results_equal_the_whole(name: str, data: st.DataObject) -> None:
    _parts_agree(name, data)


@pytest.mark.parametrize("name", CASES)
@given(data=st.data())
@settings(quick, max_examples=5)
def test_a_rule_does_not_refuse_the_whole_and_counts_it_as_the_importer_does(name: str, data: st.DataObject) -> None:
    case: Whole = whole_of(CASES[name](data.draw))
    shape = case.results[case.tensor].shape
    found = demand(case.block, {case.tensor: [whole(shape)]})
    assert found.refused == {} or name == "pool"
    if case.case.kind.startswith("com.") or case.case.wanted or found.refused:
        return
    node = model_of(case.case).graph.node[0]
    shapes = dict(case.block.shapes)
    if case.case.kind in ("Attention", "Einsum", "GlobalLpPool", "OneHot", "Trilu", "ConvInteger"):
        return
    assert found.macs == macs(node, shapes)
    assert found.flops == flops(node, shapes)


def test_every_rule_has_a_case() -> None:
    kinds = set()

    @given(data=st.data())
    @settings(quick, max_examples=60)
    def collect(data: st.DataObject) -> None:
        kinds.update(make(data.draw).kind for make in CASES.values())

    collect()
    ours = {"moments", "normalise"}  # see test_decompose
    tested = {entry.rule.__name__ for kind, entry in RULES.items() if kind in kinds} | ours | {"identity"}
    assert tested == {entry.rule.__name__ for entry in RULES.values()}
