"""Random parts of clusters."""

from hypothesis import strategies as st

from hocket.cluster import Cluster, Direction, Link, Medium, Node, RateTrace

names = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,9}", fullmatch=True)
positive = st.floats(1e-3, 1e15)
not_negative = st.one_of(st.just(0.0), positive)
probabilities = st.floats(0, 1)


@st.composite
def traces(draw: st.DrawFn) -> RateTrace:
    """A trace of a few steps, some of them 0."""
    gaps = draw(st.lists(st.floats(0.001, 100), min_size=1, max_size=6))
    rates = draw(st.lists(st.one_of(st.just(0.0), st.floats(0.01, 1e9)), min_size=len(gaps), max_size=len(gaps)))
    if not any(rates):
        rates[0] = 1.0
    times, now_s = [], 0.0
    for gap in gaps:
        times.append(now_s)
        now_s += gap
    return RateTrace(steps=tuple(zip(times, rates, strict=True)), length_s=draw(st.sampled_from([None, now_s])))


@st.composite
def windows(draw: st.DrawFn) -> tuple[tuple[float, float], ...]:
    """Windows of time, mostly none."""
    ends = sorted(draw(st.sets(st.floats(0, 1e6), max_size=4)))
    return tuple(zip(ends[::2], ends[1::2], strict=False))


directions = st.one_of(
    st.builds(Direction, bytes_per_s=st.one_of(st.none(), positive)), st.builds(Direction, trace=traces())
)


@st.composite
def nodes(draw: st.DrawFn, name: str) -> Node:
    """A node with everything set."""
    frequency = draw(st.one_of(st.none(), st.tuples(positive, positive)))
    return Node(
        name=name,
        flops_per_s=draw(positive),
        cores=draw(st.integers(1, 128)),
        memory_bytes=draw(st.one_of(st.none(), st.integers(1, 10**18))),
        memory_bytes_per_s=draw(st.one_of(st.none(), positive)),
        compute_w=draw(not_negative),
        idle_w=draw(not_negative),
        transmit_w=draw(not_negative),
        receive_w=draw(not_negative),
        kappa=None if frequency is None else draw(st.one_of(st.none(), st.floats(1e-30, 1e-20))),
        frequency_hz=None if frequency is None else (min(frequency), max(frequency)),
        compute_price_per_s=draw(not_negative),
        transmit_price_per_s=draw(not_negative),
        energy_price_per_j=draw(not_negative),
        failure_probability=draw(probabilities),
        slowdown=draw(st.one_of(st.just("auto"), st.floats(1, 1e6))),
        address=draw(st.sampled_from(["tcp://127.0.0.1:0", "tcp://[::1]:0", "tcp://pi.local:0"])),
        providers=tuple(draw(st.lists(st.sampled_from(["CPUExecutionProvider", "X"]), min_size=1, max_size=2))),
        threads=draw(st.integers(1, 1024)),
        port_up_bytes_per_s=draw(st.one_of(st.none(), positive)),
        port_down_bytes_per_s=draw(st.one_of(st.none(), positive)),
        available=draw(windows()),
        trust=draw(st.integers(0, 9)),
        call_s=draw(not_negative),
    )


@st.composite
def media(draw: st.DrawFn, name: str) -> Medium:
    """A medium with a rate or a trace."""
    return draw(st.one_of(st.builds(Medium, name=st.just(name), bytes_per_s=positive),
                          st.builds(Medium, name=st.just(name), trace=traces())))  # fmt: skip


@st.composite
def links(draw: st.DrawFn, between: tuple[str, str], media_names: list[str]) -> Link:
    """A link with everything set; windows only where both directions have a rate."""
    up, down = draw(directions), draw(directions)
    limited = all(d.bytes_per_s is not None or d.trace is not None for d in (up, down))
    return Link(
        between=between,
        up=up,
        down=down,
        latency_s=draw(not_negative),
        failure_probability=draw(probabilities),
        media=tuple(draw(st.lists(st.sampled_from(media_names), unique=True))) if media_names else (),
        timeout_s=draw(st.one_of(st.none(), positive)),
        available=draw(windows()) if limited else (),
    )


@st.composite
def clusters(draw: st.DrawFn) -> Cluster:
    """Any cluster of up to four nodes."""
    node_names = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    media_names = draw(st.lists(names, max_size=2, unique=True))
    pairs = [(a, b) for position, a in enumerate(node_names) for b in node_names[position + 1 :]]
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    return Cluster(
        name=draw(names),
        nodes=tuple(draw(nodes(name)) for name in node_names),
        links=tuple(draw(links(pair, media_names)) for pair in chosen),
        media=tuple(draw(media(name)) for name in media_names),
        source=draw(st.sampled_from(node_names)),
    )
