"""The commands that make a lab of a cluster and change it, as lists of words: nothing is run here.

A star: the device `eth0` of each node's namespace leads to a port of a bridge in the switch's namespace.

- What leaves a node is held back on its `eth0`: a class for each neighbour under one for the node's port.
- A shared medium is a device `ifb` of the switch, through which every packet of every link that shares it passes.
- What enters a node is held back on the switch's port.
- A node has routes to its neighbours and to nobody else.
- Where the kernel has `netem` it holds packets back for the latency; otherwise they take a detour through a device
  `late0`, at whose other end `delay_line.py` keeps them for that long.
"""

from collections.abc import Iterator

from hocket.lab.layout import UNLIMITED_BYTES_PER_S, Class, Layout, rate_at

Argv = list[str]
PAYLOAD = 1448 / 1514
"""Of a full Ethernet frame: 20 bytes of IP, 32 of TCP with time stamps and 14 of Ethernet are none."""
_FRAME_BYTES = 1514
_BURST_S = 0.00025  # what may leave at once; much more, and a small tensor would not feel the rate at all
_QUEUE_BYTES = 16 << 20  # nothing is lost where it waits for its turn, as little as in the model of a cluster
_CUT, _LOSS, _MEDIUM, _LATE = 1, 2, 3, 4  # filters of a hook are asked in this order, each for up to 256 nodes
_SOURCE_AT = 26  # of an IPv4 packet in an Ethernet frame
_RANDOM = 0xFFFFF038  # where a filter of classic BPF finds a random number
_DROP, _NEXT = 2, 0xFFFFFFFF


def up(layout: Layout, *, netem: bool) -> list[Argv]:
    """All that makes the lab's network."""
    return [
        *_switch(layout),
        *(command for node in layout.cluster.nodes for command in _node(layout, node.name, netem)),
        *_session(layout),
        *(command for medium in layout.cluster.media for command in _medium(layout, medium.name)),
        *(command for source, target in layout.wires for command in _wire(layout, source, target, netem)),
    ]


def down(namespace: str) -> Argv:
    """Remove a namespace and, with it, its devices and their queues."""
    return ["ip", "netns", "del", namespace]


def inside(namespace: str, argv: Argv) -> Argv:
    """A command that runs in a namespace."""
    return ["ip", "netns", "exec", namespace, *argv]


# ------------------------------------------------------------ what is made


def _switch(layout: Layout) -> Iterator[Argv]:
    yield ["ip", "netns", "add", layout.switch]
    yield ["ip", "-n", layout.switch, "link", "add", "br0", "type", "bridge"]
    yield ["ip", "-n", layout.switch, "link", "set", "br0", "up"]


def _node(layout: Layout, node: str, netem: bool) -> Iterator[Argv]:
    namespace, port = layout.namespace(node), layout.port(node)
    yield from _attached(layout, namespace, port, layout.host(node), _mac(layout, node))
    yield _add(Class(namespace, "eth0", "", ""), "root", "handle", "1:", "htb")
    yield set_rate(layout.up(node), rate_at(layout.cluster.resource.get(f"up:{node}")), "add")
    yield _add(Class(layout.switch, port, "", ""), "clsact")
    if netem or f"down:{node}" in layout.cluster.resource:
        yield _add(Class(layout.switch, port, "", ""), "root", "handle", "1:", "htb")
        yield set_rate(layout.down(node), rate_at(layout.cluster.resource.get(f"down:{node}")), "add")
    if not netem:
        late = f"l{layout.number(node)}"
        yield ["ip", "-n", layout.switch, "link", "add", late, "type", "veth",
               "peer", "name", "late0", "address", _mac(layout, node), "netns", namespace]  # fmt: skip
        yield ["ip", "-n", layout.switch, "link", "set", late, "up"]
        yield ["ip", "-n", namespace, "link", "set", "late0", "up"]
        yield _add(Class(namespace, "eth0", "", ""), "clsact")


def _session(layout: Layout) -> Iterator[Argv]:
    yield from _attached(layout, layout.session, "ps", layout.host(""), "02:77:00:00:00:fe")
    yield _add(Class(layout.switch, "ps", "", ""), "clsact")
    for node in layout.cluster.nodes:
        yield _route(layout.session, layout.host(node.name))
        yield _route(layout.namespace(node.name), layout.host(""))


def _attached(layout: Layout, namespace: str, port: str, host: str, mac: str) -> Iterator[Argv]:
    """A namespace whose `eth0` ends at a port of the switch."""
    yield ["ip", "netns", "add", namespace]
    # A packet that was delayed comes in where no route leads out; and IPv6 would only make noise.
    settings = "echo 0 > /proc/sys/net/ipv4/conf/all/rp_filter; echo 0 > /proc/sys/net/ipv4/conf/default/rp_filter"
    yield inside(namespace, ["sh", "-c", f"{settings}; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6 || true"])
    yield ["ip", "-n", layout.switch, "link", "add", port, "type", "veth",
           "peer", "name", "eth0", "address", mac, "netns", namespace]  # fmt: skip
    yield ["ip", "-n", layout.switch, "link", "set", port, "master", "br0", "up"]
    # Packets as they would be on a cable, each with its checksum. TCP makes larger ones even without the device's help,
    # to be cut behind the queue; those would let the first bytes of a transfer pass too fast.
    yield inside(namespace, ["ethtool", "-K", "eth0", "tso", "off", "gso", "off", "gro", "off", "tx", "off"])
    yield ["ip", "-n", namespace, "link", "set", "eth0", "gso_max_segs", "1"]
    yield ["ip", "-n", namespace, "addr", "add", f"{host}/32", "dev", "eth0"]
    for device in ("lo", "eth0"):
        yield ["ip", "-n", namespace, "link", "set", device, "up"]


def _medium(layout: Layout, name: str) -> Iterator[Argv]:
    of_it = layout.classes[f"medium:{name}"]
    yield ["ip", "-n", layout.switch, "link", "add", of_it.device, "type", "ifb"]
    yield ["ip", "-n", layout.switch, "link", "set", of_it.device, "up"]
    yield _add(of_it, "root", "handle", "1:", "htb", "default", "f")
    yield from _class(of_it, rate_at(layout.cluster.resource[f"medium:{name}"]))


def _wire(layout: Layout, source: str, target: str, netem: bool) -> Iterator[Argv]:
    namespace, of_it = layout.namespace(source), layout.direction(source, target)
    wire = layout.wires[source, target]
    yield _route(namespace, layout.host(target))
    yield from _class(of_it, rate_at(layout.cluster.resource[wire.resources[0]]))
    yield _filter(of_it, "parent 1:", 1, layout, target, "dst", "flowid", of_it.name)
    if netem or f"down:{target}" in layout.cluster.resource:
        incoming = Class(layout.switch, layout.port(target), "1:1", layout.class_name(source))
        yield from _class(incoming, rate_at(layout.cluster.resource.get(f"down:{target}")))
        yield _filter(incoming, "parent 1:", 1, layout, source, "src", "flowid", incoming.name)
    hooks = ((layout.port(source), "ingress", target, "dst"), (layout.port(target), "egress", source, "src"))
    for medium, (device, hook, other, end) in zip(layout.media(source, target), hooks, strict=False):
        yield _filter(Class(layout.switch, device, "", ""), hook, _MEDIUM, layout, other, end, *_through(medium))
    if wire.latency_s > 0:
        yield from set_latency(layout, source, target, wire.latency_s, netem=netem)


def _class(of_it: Class, bytes_per_s: float) -> Iterator[Argv]:
    """A class and its queue."""
    yield set_rate(of_it, bytes_per_s or UNLIMITED_BYTES_PER_S, "add")
    yield _queue(of_it, "add", passes=bytes_per_s > 0)


def _add(of_it: Class, *words: str) -> Argv:
    return ["tc", "-n", of_it.namespace, "qdisc", "add", "dev", of_it.device, *words]


def _queue(of_it: Class, verb: str, *, passes: bool) -> Argv:
    """Where packets wait for their turn; one that has room for none lets nothing pass."""
    number = of_it.name.partition(":")[2]
    return ["tc", "-n", of_it.namespace, "qdisc", verb, "dev", of_it.device, "parent", of_it.name,
            "handle", f"{number}:", "bfifo", "limit", str(_QUEUE_BYTES if passes else 1)]  # fmt: skip


def _route(namespace: str, host: str) -> Argv:
    return ["ip", "-n", namespace, "route", "add", f"{host}/32", "dev", "eth0"]


def _filter(of_it: Class, hook: str, kind: int, layout: Layout, node: str, end: str, *then: str) -> Argv:
    """What becomes of the packets to (`dst`) or from (`src`) a node."""
    return ["tc", "-n", of_it.namespace, "filter", "add", "dev", of_it.device, *hook.split(), "protocol", "ip",
            "prio", _order(kind, layout, node), "u32",
            "match", "ip", end, f"{layout.host(node)}/32", *then]  # fmt: skip


def _through(device: str) -> tuple[str, ...]:
    return ("action", "mirred", "egress", "redirect", "dev", device)


def _order(kind: int, layout: Layout, node: str) -> str:
    return str(256 * kind + (layout.number(node) if node else 255))


def _mac(layout: Layout, node: str) -> str:
    return f"02:77:00:00:00:{layout.number(node):02x}"


# ------------------------------------------------------------ what is changed


def set_rate(of_it: Class, bytes_per_s: float, verb: str = "change") -> Argv:
    """Limit a class to a rate above 0 of payload.

    A class below another borrows all that it sends: its own rate would be honoured even where the other has none left.
    """
    bit_s = max(round(8 * min(bytes_per_s, UNLIMITED_BYTES_PER_S) / PAYLOAD), 8)
    burst = str(max(_FRAME_BYTES, round(bit_s / 8 * _BURST_S)))
    own = ["rate", "8kbit", "ceil"] if of_it.parent != "1:" and bit_s > 8000 else ["rate"]
    return ["tc", "-n", of_it.namespace, "class", verb, "dev", of_it.device, "parent", of_it.parent,
            "classid", of_it.name, "htb", *own, f"{bit_s}bit", "burst", burst, "cburst", burst,
            "quantum", str(2 * _FRAME_BYTES)]  # fmt: skip


def change_rate(of_it: Class, bytes_per_s: float) -> list[Argv]:
    """Give a class another rate; 0 = nothing passes."""
    queue = [_queue(of_it, "change", passes=bytes_per_s > 0)] if of_it.leaf else []
    return [*queue, *([set_rate(of_it, bytes_per_s)] if bytes_per_s > 0 else [])]


def set_latency(layout: Layout, source: str, target: str, latency_s: float, *, netem: bool) -> list[Argv]:
    """Hold back what goes from one node to another; without `netem` the delay line has to know for how long."""
    if netem:
        incoming = Class(layout.switch, layout.port(target), "1:1", layout.class_name(source))
        number = incoming.name.partition(":")[2]
        return [["tc", "-n", incoming.namespace, "qdisc", "replace", "dev", incoming.device, "parent", incoming.name,
                 "handle", f"{0x1000 + int(number, 16):x}:", "netem", "delay", f"{latency_s * 1e6:.0f}us",
                 "limit", "100000"]]  # fmt: skip
    eth0 = Class(layout.namespace(target), "eth0", "", "")
    return [_filter(eth0, "ingress", _LATE, layout, source, "src", *_through("late0"))]


def cut(layout: Layout, source: str, target: str) -> Argv:
    """Let nothing pass from a node to another any more; `""` is the session."""
    return _drop(layout, source, target, _CUT, "")


def mend(layout: Layout, source: str, target: str) -> Argv:
    """Undo `cut`; it fails where nothing was cut."""
    return _pass(layout, source, target, _CUT)


def set_loss(layout: Layout, source: str, target: str, fraction: float) -> Argv:
    """Lose some of the packets from a node to another, each by chance; of 0 it fails where none was lost before."""
    if fraction <= 0:
        return _pass(layout, source, target, _LOSS)
    chance = f"32 0 0 {_RANDOM},53 1 0 {min(round(fraction * 2**32), 2**32 - 1)}"
    return _drop(layout, source, target, _LOSS, chance)


def _drop(layout: Layout, source: str, target: str, kind: int, chance: str) -> Argv:
    """A filter of classic BPF where packets leave the switch: is it from the source (and is the number small), drop."""
    address = int.from_bytes(bytes(int(part) for part in layout.host(source).split(".")), "big")
    skipped = 3 if chance else 1
    steps = [f"32 0 0 {_SOURCE_AT}", f"21 0 {skipped} {address}", *filter(None, chance.split(","))]
    steps += [f"6 0 0 {_DROP}", f"6 0 0 {_NEXT}"]
    return ["tc", "-n", layout.switch, "filter", "replace", "dev", _port(layout, target), "egress", "protocol", "ip",
            "prio", _order(kind, layout, source), "handle", "1", "bpf", "da",
            "bytecode", f"{len(steps)},{','.join(steps)}"]  # fmt: skip


def _pass(layout: Layout, source: str, target: str, kind: int) -> Argv:
    return ["tc", "-n", layout.switch, "filter", "del", "dev", _port(layout, target), "egress",
            "prio", _order(kind, layout, source)]  # fmt: skip


def _port(layout: Layout, node: str) -> str:
    return layout.port(node) if node else "ps"
