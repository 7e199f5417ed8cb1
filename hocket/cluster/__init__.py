"""The cluster: devices, the links between them, and what they share."""

from hocket.cluster.architectures import (
    many_to_many,
    many_to_one,
    one_to_many,
    one_to_one,
    peer_to_peer,
    preset_link,
    preset_medium,
    preset_node,
)
from hocket.cluster.channel import capacity_bytes_per_s, needed_snr, noise_w, path_gain, signal_to_noise
from hocket.cluster.cluster import Cluster
from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.presets import DEVICES, LINKS, Preset, find_preset
from hocket.cluster.synthetic import markov, random_walk
from hocket.cluster.toml import load_cluster, read_cluster, read_toml
from hocket.cluster.trace_files import read_trace, sabre_latency_s, write_csv
from hocket.cluster.traces import RateTrace, seconds_to_send, slowest
from hocket.cluster.write import write_toml

__all__ = [
    "DEVICES",
    "LINKS",
    "Cluster",
    "Direction",
    "Link",
    "Medium",
    "Node",
    "Preset",
    "RateTrace",
    "capacity_bytes_per_s",
    "find_preset",
    "load_cluster",
    "many_to_many",
    "many_to_one",
    "markov",
    "needed_snr",
    "noise_w",
    "one_to_many",
    "one_to_one",
    "path_gain",
    "peer_to_peer",
    "preset_link",
    "preset_medium",
    "preset_node",
    "random_walk",
    "read_cluster",
    "read_toml",
    "read_trace",
    "sabre_latency_s",
    "seconds_to_send",
    "signal_to_noise",
    "slowest",
    "write_csv",
    "write_toml",
]
