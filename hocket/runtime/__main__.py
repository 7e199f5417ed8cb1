"""`python -m hocket.runtime`: a node as a process.

It prints one line of JSON when it is ready, `{"name": ..., "address": ..., "key": ..., "join": ..., "pid": ...}`, and
serves until it is interrupted.
"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from hocket.errors import HocketError
from hocket.runtime.emulation import Ledger
from hocket.runtime.keys import join_token, load_keys, load_public
from hocket.runtime.node import Node
from hocket.runtime.zmq_transport import ZmqTransport

_SWITCH_S = 0.0005  # the event loop must not wait 5 ms for the compute lane's Python


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node.

    Returns:
        The exit code: 0 when it was ended, 1 for a user's error.
    """
    options = _parser().parse_args(arguments)
    try:
        node, ready = _open(options)
    except HocketError as error:
        print(error, file=sys.stderr)
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: node.stop())
    if options.owned:
        threading.Thread(target=_watch_parent, args=(node,), daemon=True).start()
    print(json.dumps(ready), flush=True)
    node.run()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hocket node", description="Serve as one node of a cluster.")
    parser.add_argument("--name", required=True, help="name of the node in the cluster file")
    parser.add_argument("--listen", default="tcp://127.0.0.1:0", help="address, such as tcp://0.0.0.0:7000")
    security = parser.add_mutually_exclusive_group()
    security.add_argument("--keys", type=Path, help="folder with NAME.key, or a .key file")
    security.add_argument("--plaintext", action="store_true", help="no encryption, also beyond this computer")
    parser.add_argument("--allow", action="append", default=[], help="a .pub file, a folder of them, or a public key")
    parser.add_argument("--memory-limit", type=int, default=0, help="most bytes of weights; 0 = not limited")
    parser.add_argument("--emulation", type=Path, help="ledger of emulated links, shared by the nodes of this host")
    parser.add_argument("--cpu", type=int, help="run on this processor only (Linux)")
    parser.add_argument("--owned", action="store_true", help="end when standard input ends")
    return parser


def _open(options: argparse.Namespace) -> tuple[Node, dict[str, object]]:
    if options.cpu is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {options.cpu % (os.cpu_count() or 1)})
    sys.setswitchinterval(_SWITCH_S)
    keys = None
    if options.keys is not None:
        keys = load_keys(options.keys / f"{options.name}.key" if options.keys.is_dir() else options.keys)
    ledger = Ledger(options.emulation) if options.emulation is not None else None
    allow = [key for source in options.allow for key in _publics(source)]
    transport = ZmqTransport(options.name, listen=options.listen, keys=keys, allow=allow, plaintext=options.plaintext)
    node = Node(options.name, transport, ledger=ledger, memory_limit=options.memory_limit, owned=options.owned)
    public = keys.public if keys is not None else ""
    join = join_token(transport.address, public) if keys is not None else ""
    ready = {"name": options.name, "address": transport.address, "key": public, "join": join, "pid": os.getpid()}
    return node, ready


def _publics(source: str) -> list[str]:
    path = Path(source)
    if path.is_dir():
        return [load_public(file) for file in sorted(path.glob("*.pub"))]
    return [load_public(source)]


def _watch_parent(node: Node) -> None:
    """The other end of standard input closes when the parent ends, however it ends."""
    sys.stdin.buffer.read()
    node.stop()
    threading.Timer(2.0, lambda: os._exit(0)).start()  # a long computation must not keep the process alive


if __name__ == "__main__":
    sys.exit(main())
