"""Doing a row: what its record says of the plan."""

from pathlib import Path

from hocket.comparison.compare import rows_of
from hocket.comparison.load import load_suite
from hocket.comparison.work import Desk

SUITE = """
format = "hocket.suite/1"
title = "Two servers"
solvers = ["dia", "remote"]

[clusters.servers]
architecture = "one_to_many"
servers = 2
device = "raspberry_pi_3b"
server = "i7_8700"

[[problems]]
name = "dealt"
models = ["zoo:squeezenet1_1"]
clusters = ["servers"]
objectives = ["period"]
"""


def test_no_bound_is_about_requests_that_are_dealt_out(tmp_path: Path) -> None:
    (tmp_path / "servers.toml").write_text(SUITE)
    desk = Desk()
    done = {row.solver: desk.do(row, lambda: None) for row in rows_of(load_suite(tmp_path / "servers.toml"))}
    assert done["dia"].nodes == 3
    assert done["dia"].covered is False
    assert done["remote"].covered is True
