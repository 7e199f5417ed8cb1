"""`transfer.py receive PORT` and `transfer.py send HOST PORT NBYTES MOMENT`: bytes over a plain connection."""

import socket
import sys
import time


def receive(port: int) -> None:
    """Take what comes, connection after connection, and close each at its end."""
    with socket.create_server(("0.0.0.0", port)) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            with connection:
                while connection.recv(1 << 16):
                    pass


def send(host: str, port: int, nbytes: int, at_s: float) -> float:
    """Seconds until all has arrived, from a moment of `time.monotonic` on."""
    time.sleep(max(at_s - time.monotonic(), 0.0))
    with socket.create_connection((host, port)) as connection:
        begin_s = time.monotonic()
        connection.sendall(bytes(nbytes))
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)
        return time.monotonic() - begin_s


if __name__ == "__main__":
    if sys.argv[1] == "receive":
        receive(int(sys.argv[2]))
    else:
        print(send(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
