"""Which clock this process reads."""

from pathlib import Path


def clock_id() -> str:
    """Names the clock that `time.monotonic` reads; empty = not known, so it has to be aligned by pings."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/time').readlink()}"
    except OSError:
        return ""
