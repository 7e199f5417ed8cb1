"""What a server allows."""

from dataclasses import dataclass

from hocket.errors import FormatError


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a client may ask for."""

    body_bytes: int = 64 << 20
    """Of one request."""
    under_way: int = 64
    """Requests at once, over both HTTP and gRPC; those beyond are told to come again."""
    timeout_s: float = 120.0
    """From the head of a request to the end of its answer."""
    stop_s: float = 30.0
    """How long requests under way may go on when the server is told to stop."""

    def __post_init__(self) -> None:
        for name in ("body_bytes", "under_way", "timeout_s"):
            if not getattr(self, name) > 0:
                raise FormatError(f"the limit {name} is more than 0, got {getattr(self, name):g}; give one")
        if not self.stop_s >= 0:
            raise FormatError(f"the limit stop_s is 0 or more, got {self.stop_s:g}; give one")
