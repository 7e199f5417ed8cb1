"""Commands that make what a plan is made from: a cluster file, a predicted profile."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from hocket import view
from hocket.cli.common import (
    ClusterArgument,
    Json,
    ModelArgument,
    Shapes,
    parse_shapes,
    print_json,
    progress_bar,
    read_model,
)
from hocket.cluster import Cluster, load_cluster, write_toml
from hocket.control.predict import Prediction
from hocket.control.predict import predict as predict_times
from hocket.control.probe import probe as probe_nodes
from hocket.errors import FormatError
from hocket.graph import Graph
from hocket.nouns import write_whole
from hocket.profile import Profile
from hocket.units import show


def probe(
    addresses: Annotated[
        list[str] | None, typer.Argument(metavar="ADDRESS...", help="tcp://pi:7000 or a join token, hocket1:...")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Write the cluster file here; default: print it.")
    ] = None,
    local: Annotated[int, typer.Option(help="Start so many nodes here instead.")] = 0,
    keys: Annotated[Path | None, typer.Option(help="Our secret key file, for join tokens.")] = None,
    plaintext: Annotated[bool, typer.Option(help="Allow unencrypted links to other machines.")] = False,
    timeout: Annotated[float, typer.Option(help="Most seconds that a node may be silent.")] = 10.0,
    json: Json = False,
) -> None:
    """Measure running nodes and the links between them, and write a cluster file."""
    with progress_bar(quiet=json) as tell:
        cluster = probe_nodes(
            addresses or (), local=local, keys=keys, plaintext=plaintext, timeout_s=timeout, progress=tell
        )
    text = write_toml(cluster)
    if output:
        write_whole(output, text.encode())
    if json:
        rows = {"nodes": _node_rows(cluster), "links": _link_rows(cluster)}
        print_json({"cluster": str(output) if output else None, **rows})
    elif output:
        _print_cluster(cluster)
    else:
        print(text, end="")


def _node_rows(cluster: Cluster) -> list[dict[str, object]]:
    return [
        {
            "node": node.name,
            "address": node.address,
            "flops_per_s": node.flops_per_s,
            "memory_bytes_per_s": node.memory_bytes_per_s,
            "memory_bytes": node.memory_bytes,
        }
        for node in cluster.nodes
    ]


def _link_rows(cluster: Cluster) -> list[dict[str, object]]:
    return [
        {
            "between": " - ".join(link.between),
            "up_bytes_per_s": link.up.bytes_per_s,
            "down_bytes_per_s": link.down.bytes_per_s,
            "latency_s": link.latency_s,
        }
        for link in cluster.links
    ]


def _print_cluster(cluster: Cluster) -> None:
    nodes = [
        {
            "node": node.name,
            "address": node.address,
            "speed": show(node.flops_per_s, "FLOP/s"),
            "memory bandwidth": f"{(node.memory_bytes_per_s or 0) / 1e9:.3g} GB/s",
            "memory": node.memory_bytes and show(node.memory_bytes, "B"),
        }
        for node in cluster.nodes
    ]
    links = [
        {
            "between": " - ".join(link.between),
            "up": show(link.up.bytes_per_s or 0, "B/s"),
            "down": show(link.down.bytes_per_s or 0, "B/s"),
            "latency_s": link.latency_s,
        }
        for link in cluster.links
    ]
    view.print_table("nodes", nodes)
    view.print_table("links", links)


def predict(
    model: ModelArgument,
    cluster: ClusterArgument,
    measured: Annotated[
        list[str], typer.Option("--from", help="MODEL=PROFILE: another model and its profile. May be repeated.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Write the profile here.")],
    shape: Shapes = None,
    json: Json = False,
) -> None:
    """Predict a model's profile from measured profiles of other models on the same nodes."""
    graph = read_model(model, parse_shapes(shape)).graph
    prediction = predict_times(graph, load_cluster(cluster), read_measured(measured))
    prediction.profile.save(output)
    rows = _prediction_rows(graph, prediction)
    if json:
        print_json({"profile": str(output), "nodes": rows})
        return
    shown = [{key: row[key] for key in ("node", "total_s", "error")} for row in rows]
    view.print_table(f"{graph.name}: predicted seconds of the whole model, error cross-validated", shown)
    left_out = [{"node": row["node"], **prediction.predictors[str(row["node"])].errors} for row in rows]
    view.print_table("predicted / measured - 1 of each model by a fit on the others", left_out)


def read_measured(texts: Sequence[str]) -> list[tuple[Graph, Profile]]:
    """`["zoo:resnet18=resnet18.profile.json"]` -> graphs with their profiles.

    Raises:
        FormatError: not a model and a profile.
    """
    pairs = []
    for text in texts:
        name, _, path = text.rpartition("=")
        if not name or not path:
            raise FormatError(f"--from takes MODEL=PROFILE, got {text!r}; write zoo:resnet18=resnet18.profile.json")
        pairs.append((read_model(name).graph, Profile.load(path)))
    return pairs


def _prediction_rows(graph: Graph, prediction: Prediction) -> list[dict[str, object]]:
    return [
        {
            "node": entry.node,
            "total_s": sum(entry.seconds.values()),
            "error": entry.error,
            "errors": prediction.predictors[entry.node].errors,
            "unknown_kinds": prediction.predictors[entry.node].unknown(graph),
        }
        for entry in prediction.profile.entries
    ]


COMMANDS = (probe, predict)
