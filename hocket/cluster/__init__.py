"""The cluster: devices, the links between them, and what they share."""

from hocket.cluster.cluster import Cluster
from hocket.cluster.link import Direction, Link, Medium
from hocket.cluster.node import Node
from hocket.cluster.traces import RateTrace, seconds_to_send, seconds_to_send_over

__all__ = [
    "Cluster",
    "Direction",
    "Link",
    "Medium",
    "Node",
    "RateTrace",
    "seconds_to_send",
    "seconds_to_send_over",
]
