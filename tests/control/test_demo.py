"""The demo: a cat is seen whatever runs where, and weak links keep the picture on the phone."""

import pytest

from hocket.control.demo import SETTINGS, SOURCE, _cluster, demo
from hocket.errors import AssetError


def test_both_settings_are_clusters() -> None:
    for name in SETTINGS:
        assert _cluster(name).source == SOURCE


@pytest.mark.network
@pytest.mark.cluster
def test_every_plan_sees_the_cat() -> None:
    try:
        result = demo(requests=2)
    except AssetError as error:
        pytest.skip(str(error))
    rows = {row["name"]: row for row in result["candidates"]}
    assert rows.keys() >= {"local", "remote:edge", "remote:cloud", result["chosen"]}
    assert len({row["top1"] for row in rows.values()}) == 1
    assert "cat" in rows["local"]["label"].lower() or "tabby" in rows["local"]["label"].lower()
    assert result["max_abs_error"] < 1e-3
    assert result["bound_s"] <= rows[result["chosen"]]["predicted_s"] * (1 + 1e-9)
    for row in rows.values():
        assert row["measured_s"] > 0
    assert result["weak_links"]["chosen"] == [SOURCE]
