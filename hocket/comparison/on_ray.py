"""Rows on a Ray cluster: one task per problem, which does its rows like a process pool of one."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from typing import Any

import msgspec

from hocket.comparison import pool
from hocket.comparison.rows import Record, Row, record_of
from hocket.errors import MissingError, NodeError


def ray_package() -> Any:
    """Ray, where it is installed.

    Raises:
        MissingError: it is not.
    """
    try:
        return import_module("ray")
    except ImportError:
        raise MissingError(
            "comparing on a Ray cluster needs ray, which is not installed; install hocket[ray]"
        ) from None


def records(rows: Sequence[Row], address: str) -> Iterator[Record]:
    """Do rows on a cluster that has hocket and the suite's files; a task that Ray loses is an error of its rows.

    Args:
        rows: rows of one problem stand together.
        address: as `ray.init` takes it, such as "ray://head:10001".

    Raises:
        NodeError: the cluster cannot be reached.
    """
    ray = ray_package()
    try:
        ray.init(address=address, ignore_reinit_error=True)
    except ConnectionError as error:
        reason = " ".join(str(error).split())[:200]
        raise NodeError(f"the Ray cluster {address} cannot be reached ({reason}); correct the address") from None
    try:
        batches = [list(batch) for _, batch in groupby(rows, key=lambda row: row.instance.name)]
        task = ray.remote(_batch)
        waiting = {task.remote([msgspec.json.encode(row) for row in batch]): batch for batch in batches}
        while waiting:
            (ready, *_), _ = ray.wait(list(waiting), num_returns=1)
            batch = waiting.pop(ready)
            try:
                found = ray.get(ready)
            except ray.exceptions.RayError as error:
                sentence = f"Ray lost the task: {str(error).strip().splitlines()[0][:200]}"
                yield from (record_of(row, "error", sentence=sentence) for row in batch)
            else:
                yield from (msgspec.json.decode(line, type=Record) for line in found)
    finally:
        ray.shutdown()


def _batch(lines: list[bytes]) -> list[bytes]:
    """Done on a machine of the cluster."""
    rows = [msgspec.json.decode(line, type=Row) for line in lines]
    return [msgspec.json.encode(record) for record in pool.records(rows, 1)]
