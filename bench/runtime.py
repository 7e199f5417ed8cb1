"""What the runtime costs: one hop, a large tensor, a node's start; `python -m bench.runtime` prints rows as JSON.

Every figure is a median over alternating runs of the thing and of what it is compared with.
"""

import hashlib
import json
import os
import socket
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper

from bench.table import Row
from hocket.program import INPUT, Artifact, Binding, Port, Program, Segment, Site, TensorInfo, Transfer
from hocket.runtime.session import Session

ROUNDS = 15
STARTS = 7


def rows() -> list[Row]:
    """All figures."""
    return [hop(), large(), *start()]


def no_weights(sha256: str) -> np.ndarray:
    """The models here have none."""
    raise KeyError(sha256)


def identity(segment: str, source: str, target: str, shape: Sequence[int]) -> Artifact:
    """A segment that does nothing: what is left is the runtime."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in (source, target)]
    # Identity alone would be removed; a reshape to the same shape is free.
    size = helper.make_tensor("size", TensorProto.INT64, [len(shape)], shape)
    node = helper.make_node("Reshape", [source, "size"], [target], name=target)
    graph = helper.make_graph([node], segment, infos[:1], infos[1:], [size])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
    return Artifact(segment=segment, sha256=hashlib.sha256(model).hexdigest(), model=model, weights={})


def chain(nodes: Sequence[str], shape: tuple[int, ...], window: int = 2) -> tuple[Program, list[Artifact]]:
    """One do-nothing segment on each node in turn."""
    segments, transfers, artifacts = [], [], []
    nbytes = 4 * int(np.prod(shape))
    source = INPUT
    for i, node in enumerate(nodes):
        if i and nodes[i - 1] != node:
            transfers.append(
                Transfer(id=f"t{i}", tensor=f"x{i}", source=source, path=(nodes[i - 1], node), nbytes=nbytes)
            )
            source = f"t{i}"
        port = Port(tensor=f"x{i}", sources=(source,))
        segments.append(
            Segment(id=f"s{i}", node=node, operators=(f"x{i + 1}",), inputs=(port,), outputs=(f"x{i + 1}",))
        )
        artifacts.append(identity(f"s{i}", f"x{i}", f"x{i + 1}", shape))
        source = f"s{i}"
    last = f"x{len(nodes)}"
    program = Program(
        name="chain",
        sites=tuple(Site(name=node) for node in sorted(set(nodes))),
        wires=(),
        resources=(),
        tensors=tuple(TensorInfo(name=f"x{i}", dtype="float32", shape=shape) for i in range(len(nodes) + 1)),
        segments=tuple(segments),
        transfers=tuple(transfers),
        inputs=(Binding(tensor="x0", node=nodes[0]),),
        outputs=(Binding(tensor=last, node=nodes[-1], source=source),),
        window=window,
    )
    return program, artifacts


def hop() -> Row:
    """Added latency of one hop with a 1 kB tensor: a-b-a against a-a-a, halved.

    Not pinned: a node has a thread for the sockets beside its own, and nothing here computes.
    """
    shape = (1, 256)
    x = {"x0": np.zeros(shape, np.float32)}
    near, far = chain("aaa", shape), chain("aba", shape)
    added: list[float] = []
    with Session(*near, no_weights, emulate=False) as one, Session(*far, no_weights, emulate=False) as two:
        for _ in range(ROUNDS):
            pair = [statistics.median(session.run(x).latency_s for _ in range(100)) for session in (one, two)]
            added.append(1e6 * (pair[1] - pair[0]) / 2)
        spans = [span.stop_s - span.start_s for span in two.trace().spans if span.kind == "transfer"]
    value = statistics.median(added)
    note = f"{ROUNDS} pairs of 100, quartiles {_quartiles(added)}; on the wire {1e6 * statistics.median(spans):.0f} us"
    return Row("one hop, 1 kB, two processes, loopback, p50", value, "us", "<= 300", value <= 300, note)


class RawSocket:
    """A process that takes tensors from a plain TCP socket and acknowledges each with one byte."""

    def __init__(self, nbytes: int) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        self._child = os.fork()
        if self._child == 0:
            self._serve(listener, nbytes)
        self._socket = socket.create_connection(listener.getsockname())
        self._data = bytes(nbytes)

    def send(self) -> float:
        """Seconds until all bytes of one tensor are there."""
        start_s = time.monotonic()
        self._socket.sendall(self._data)
        stop_s = struct.unpack("d", self._socket.recv(8))[0]
        return float(stop_s) - start_s

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        os.waitpid(self._child, 0)

    @staticmethod
    def _serve(listener: socket.socket, nbytes: int) -> None:
        connection, _ = listener.accept()
        while True:
            # Memory of its own for every tensor, as any receiver that keeps what it gets has to have.
            view = memoryview(bytearray(nbytes))
            while view:
                got = connection.recv_into(view)
                if got == 0:
                    os._exit(0)
                view = view[got:]
            connection.sendall(struct.pack("d", time.monotonic()))


def large() -> Row:
    """Rate of a 16 MB tensor between two nodes, against a raw TCP socket."""
    shape = (16, 1 << 18)
    nbytes = 4 * shape[0] * shape[1]
    raw = RawSocket(nbytes)
    x = {"x0": np.zeros(shape, np.float32)}
    ratios, rates = [], []
    with Session(*chain("ab", shape), no_weights, emulate=False) as session:
        session.run(x)
        for _ in range(ROUNDS):
            plain_s = statistics.median(raw.send() for _ in range(5))
            for _ in range(5):
                session.run(x)
            spans = [span for span in session.trace().spans if span.kind == "transfer"][-5:]
            ours_s = statistics.median(span.stop_s - span.start_s for span in spans)
            ratios.append(plain_s / ours_s)
            rates.append(nbytes / ours_s / 1e9)
    raw.close()
    value = statistics.median(ratios)
    note = f"{ROUNDS} pairs, quartiles {_quartiles(ratios)}; {statistics.median(rates):.2f} GB/s"
    return Row("16 MB tensor between two nodes / raw TCP socket, rate", value, "x", ">= 0.7", value >= 0.7, note)


def start() -> list[Row]:
    """Seconds from nothing to ready of a node process, and its resident memory before a model."""
    seconds, megabytes = [], []
    command = [sys.executable, "-m", "hocket.runtime", "--name", "a", "--owned"]
    for _ in range(STARTS):
        begin_s = time.monotonic()
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            if child.stdout is not None and child.stdin is not None:
                child.stdout.readline()
                seconds.append(time.monotonic() - begin_s)
                status = Path(f"/proc/{child.pid}/status").read_text()
                megabytes.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
                child.stdin.close()
    start_s, resident = statistics.median(seconds), statistics.median(megabytes)
    return [
        Row("node: import and start", start_s, "s", "<= 1", start_s <= 1, f"median of {STARTS}"),
        Row("node: resident before a model", resident, "MB", "<= 120", resident <= 120, f"median of {STARTS}"),
    ]


def _quartiles(numbers: Sequence[float]) -> str:
    low, _, high = statistics.quantiles(numbers, n=4)
    return f"{low:.3g}..{high:.3g}"


if __name__ == "__main__":
    print(json.dumps([row._asdict() for row in rows()], indent=1))
