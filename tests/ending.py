"""Ending processes of tests with signals."""

import subprocess

_TIMES = 3


def ended(process: "subprocess.Popen[bytes]", number: int, patience_s: float = 10.0) -> tuple[bytes, bytes]:
    """Send a process a signal and wait for its end; what it wrote.

    An interrupt is sent again where nothing happens: pyzmq looks for signals where it frees a message, cannot pass an
    exception on there, and one that comes just then is lost. Whoever sits before it would press again.
    """
    for _ in range(_TIMES):
        process.send_signal(number)
        try:
            return process.communicate(timeout=patience_s)
        except subprocess.TimeoutExpired:
            continue
    process.kill()
    raise AssertionError(f"signal {number} did not end it; it wrote {process.communicate()}")
