"""Makes `stubs` importable; one server for the tests that only ask."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

collect_ignore = ["conftest.py"]
sys.path.insert(0, str(Path(__file__).parent))

from stubs import Echo, Parrot, all_types, buggy, served  # noqa: E402

from hocket.serve.server import Listening  # noqa: E402
from hocket.serve.settings import Limits  # noqa: E402


@pytest.fixture(scope="session")
def server() -> Iterator[Listening]:
    """A server with echoes and parrots, over HTTP and gRPC."""
    limits = Limits(body_bytes=1 << 20, under_way=8, timeout_s=20.0, stop_s=1.0)
    with served(
        [Echo(), all_types(), buggy()], [Parrot(), Parrot("small", context=64)], limits=limits, grpc_port=0
    ) as listening:
        yield listening
