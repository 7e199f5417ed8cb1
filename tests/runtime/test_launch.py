"""Processes that are started again by one thread while another looks at them."""

import json
import subprocess
import sys
import tempfile
import threading

import pytest

from hocket.runtime.launch import Processes, _Child

TIMES = 150


@pytest.fixture
def short_lived(monkeypatch: pytest.MonkeyPatch) -> Processes:
    """Processes that say where they listen, and have ended."""
    words = json.dumps({"address": "tcp://127.0.0.1:1"})

    def spawn(self: Processes, name: str) -> _Child:
        errors = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the child)
        process = subprocess.Popen(["echo", words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        process.wait()
        return _Child(process, errors)

    monkeypatch.setattr(Processes, "_spawn", spawn)
    return Processes()


def test_a_node_is_started_again_while_others_are_watched(short_lived: Processes) -> None:
    names = [f"n{number}" for number in range(8)]
    short_lived.start(names, 5.0)
    failures: list[Exception] = []
    over = threading.Event()

    def watch() -> None:
        try:
            while not over.is_set():
                assert short_lived.ended().keys() == set(names)
        except (AssertionError, RuntimeError, ValueError) as error:
            failures.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    watcher = threading.Thread(target=watch)
    try:
        watcher.start()
        for number in range(TIMES):
            short_lived.start([names[number % len(names)]], 5.0)
    finally:
        over.set()
        watcher.join()
        sys.setswitchinterval(before)
        short_lived.stop()
    assert not failures
