"""Whether a node listens: ends with 0 if something at the address greets as ZeroMQ does. Args: port [host].

It needs no key, so it tells that the process takes connections, not that its loop is quick. The node counts each call
as a broken handshake.
"""

import socket
import sys

GREETING = b"\xff"  # first byte of a peer that speaks ZMTP (RFC 23)


def main() -> int:
    """0 = it greets, 1 = it does not."""
    port, host = int(sys.argv[1]), (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1")
    try:
        with socket.create_connection((host, port), 3.0) as connection:
            return int(connection.recv(1) != GREETING)
    except OSError as error:
        print(f"nothing greets at {host}:{port} ({error})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
