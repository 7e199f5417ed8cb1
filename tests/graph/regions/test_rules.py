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
    whole_of,
)

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


def _boxes_agree(name: str, data: st.DataObject) -> None:
    case = whole_of(CASES[name](data.draw))
    for _ in range(2):
        box = data.draw(boxes(case.results[case.tensor].shape))
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
              "matmul_integer", "gemm", "einsum", "block_matmul", "gather", "attention")  # fmt: skip


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
    from hocket.graph.flops import flops, macs

    case: Whole = whole_of(CASES[name](data.draw))
    shape = case.results[case.tensor].shape
    found = demand(case.block, {case.tensor: [whole(shape)]})
    assert found.refused == {} or name == "pool"
    if case.case.kind.startswith("com.") or case.case.wanted or found.refused:
        return
    from region_harness import model_of

    node = model_of(case.case).graph.node[0]
    shapes = dict(case.block.shapes)
    if case.case.kind in ("Attention", "Einsum", "GlobalLpPool", "OneHot", "Trilu", "ConvInteger"):
        return
    assert found.macs == macs(node, shapes)
    assert found.flops == flops(node, shapes)


def test_every_rule_has_a_case() -> None:
    text = (CASES[name].__code__.co_consts for name in CASES)
    words = {
        word
        for consts in text
        for const in consts
        for word in ([const] if isinstance(const, str) else const if isinstance(const, tuple) else [])
    }
    rules = {entry.rule.__name__ for kind, entry in RULES.items() if kind in words}
    assert rules | {"identity"} == {entry.rule.__name__ for entry in RULES.values()}
