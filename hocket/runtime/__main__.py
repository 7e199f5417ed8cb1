"""`python -m hocket.runtime`: a node as a process.

It prints one line of JSON when it is ready, `{"name": ..., "address": ..., "key": ..., "join": ..., "pid": ...}`, and
serves until it is interrupted.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from hocket.errors import HocketError, UnitError
from hocket.runtime.emulation import Ledger
from hocket.runtime.keys import join_token, load_keys
from hocket.runtime.limits import Limits, Rationed, become, limit_memory
from hocket.runtime.mdns import advertised, publics
from hocket.runtime.node import Node
from hocket.runtime.zmq_transport import ZmqTransport, is_loopback
from hocket.units import parse

_SWITCH_S = 0.0005  # the event loop must not wait 5 ms for the compute lane's Python


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a node.

    Returns:
        The exit code: 0 when it was ended, 1 for a user's error.
    """
    options = _parser().parse_args(arguments)
    try:
        with contextlib.ExitStack() as stack:
            _serve(options, stack)
    except HocketError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _serve(options: argparse.Namespace, stack: contextlib.ExitStack) -> None:
    node, ready = _open(options)
    if options.advertise:
        stack.enter_context(advertised(options.name, str(ready["address"]), str(ready["key"])))
    if options.user:
        become(options.user)
    elif os.geteuid() == 0 and not is_loopback(str(ready["address"])):
        print("this node keeps the superuser's rights, which it does not need; give --user NAME", file=sys.stderr)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: node.stop())
    if options.owned:
        threading.Thread(target=_watch_parent, args=(node,), daemon=True).start()
    print(json.dumps(ready), flush=True)
    node.run()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="hocket node", description="Serve as one node of a cluster.")
    parser.add_argument("--name", required=True, help="name of the node in the cluster file")
    parser.add_argument("--listen", default="tcp://127.0.0.1:0", help="address, such as tcp://0.0.0.0:7000")
    security = parser.add_mutually_exclusive_group()
    security.add_argument("--keys", type=Path, help="folder with NAME.key, or a .key file")
    security.add_argument("--plaintext", action="store_true", help="no encryption, also beyond this computer")
    parser.add_argument("--allow", action="append", default=[], help="a .pub file, a folder of them, or a public key")
    parser.add_argument("--address", help="where others reach it, for the join token; default: where it listens")
    parser.add_argument("--advertise", action="store_true", help="announce the node in the local network (mDNS)")
    parser.add_argument("--user", help="give up the superuser's rights for those of this user, once it listens")
    parser.add_argument(
        "--memory-limit", type=_nbytes, default=0, help="most memory for programs, such as 2GB; 0 = not limited"
    )
    parser.add_argument(
        "--message-limit",
        type=_nbytes,
        default=Limits().message_bytes,
        help="most bytes of one message, such as 64MB; a larger one is thrown away",
    )
    parser.add_argument(
        "--messages-per-s", type=float, default=0, help="most that are taken from one peer; 0 = not limited"
    )
    parser.add_argument(
        "--rate-limit", type=_rate, default=0, help="most that is taken from one peer, such as 1Gbit/s; 0 = not limited"
    )
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
    allow = [key for source in options.allow for key in publics(source)]
    limits = Limits(
        memory_bytes=options.memory_limit,
        message_bytes=options.message_limit,
        messages_per_s=options.messages_per_s,
        bytes_per_s=options.rate_limit,
    )
    transport = ZmqTransport(options.name, listen=options.listen, keys=keys, allow=allow, plaintext=options.plaintext)
    node = Node(
        options.name, Rationed(transport, limits), ledger=ledger, memory_limit=limits.memory_bytes, owned=options.owned
    )
    if limits.memory_bytes and not limit_memory(limits.memory_bytes):
        print("this system limits no process's data, so --memory-limit counts weights only", file=sys.stderr)
    public = keys.public if keys is not None else ""
    join = join_token(options.address or transport.address, public) if keys is not None else ""
    ready = {"name": options.name, "address": transport.address, "key": public, "join": join, "pid": os.getpid()}
    return node, ready


def _nbytes(text: str) -> int:
    """A size in bytes, or with its unit."""
    return int(text) if text.isdigit() and len(text) < 20 else round(_quantity(text, "bytes"))


def _rate(text: str) -> float:
    return _quantity(text, "bytes_per_s")


def _quantity(text: str, dimension: str) -> float:
    try:
        return parse(text, dimension)
    except UnitError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _watch_parent(node: Node) -> None:
    """The other end of standard input closes when the parent ends, however it ends."""
    sys.stdin.buffer.read()
    node.stop()
    threading.Timer(2.0, lambda: os._exit(0)).start()  # a long computation must not keep the process alive


if __name__ == "__main__":
    sys.exit(main())
