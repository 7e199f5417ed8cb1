"""Limits of processor and memory: which files, and what is written to them."""

from pathlib import Path

import pytest

from hocket.cluster import Node
from hocket.lab.cgroups import OWN_BYTES, folders, quota, settings, version


def written(kind: int, node: Node, root: Path) -> list[tuple[str, str]]:
    found = settings(kind, "lab", node, 4.0, processors=8, root=root)
    return [(str(path.relative_to(root)), text) for path, text in found]


def test_version_1(tmp_path: Path) -> None:
    node = Node(name="a", flops_per_s=1e9, cores=2, memory_bytes=1 << 30)
    found = {
        str(path.relative_to(tmp_path)): text
        for path, text in settings(1, "lab", node, 4.0, processors=8, root=tmp_path)
    }
    assert found == {
        "cpu/hocket+lab/a/cpu.cfs_period_us": "20000",
        "cpu/hocket+lab/a/cpu.cfs_quota_us": "10000",
        "memory/hocket+lab/a/memory.limit_in_bytes": str((1 << 30) + OWN_BYTES),
    }


def test_version_2(tmp_path: Path) -> None:
    node = Node(name="a", flops_per_s=1e9, memory_bytes=1 << 30)
    found = [
        (str(path.relative_to(tmp_path)), text)
        for path, text in settings(2, "lab", node, 4.0, processors=8, root=tmp_path)
    ]
    assert found == [
        ("cgroup.subtree_control", "+cpu +memory"),
        ("hocket+lab/cgroup.subtree_control", "+cpu +memory"),
        ("hocket+lab/a/cpu.max", "5000 20000"),
        ("hocket+lab/a/memory.max", str((1 << 30) + OWN_BYTES)),
    ]


def test_nothing_is_limited_that_need_not_or_cannot_be(tmp_path: Path) -> None:
    node = Node(name="a", flops_per_s=1e9, cores=8)
    assert settings(1, "lab", node, 1.0, processors=2, root=tmp_path) == []
    assert settings(0, "lab", node, 9.0, processors=2, root=tmp_path) == []
    assert folders(0, "lab", "a", tmp_path) == []


@pytest.mark.parametrize("share", [0.9, 0.25, 0.1, 0.01, 0.002])
def test_a_quota_is_the_share_and_at_least_what_the_kernel_takes(share: float) -> None:
    period_us, quota_us = quota(share)
    assert quota_us / period_us == pytest.approx(share)
    assert quota_us >= 1000
    assert period_us <= 1_000_000


def test_the_version_is_told_by_the_files(tmp_path: Path) -> None:
    assert version(tmp_path) == 0
    for name in ("cpu", "memory"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    assert version(tmp_path) == 1
    (tmp_path / "cgroup.controllers").write_text("cpuset io")
    assert version(tmp_path) == 0
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory")
    assert version(tmp_path) == 2
