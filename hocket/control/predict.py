"""Predicting a profile for every node of a cluster from measured profiles of other models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hocket.cluster import Cluster
from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.profile import Predictor, Profile, predict_node, train
from hocket.version import __version__


@dataclass(frozen=True)
class Prediction:
    """A predicted profile, and the predictor of each node."""

    profile: Profile
    predictors: Mapping[str, Predictor]


def predict(graph: Graph, cluster: Cluster, measured: Sequence[tuple[Graph, Profile]]) -> Prediction:
    """Predict how long a model's operators take on every node of a cluster.

    Each node has its own predictor, since nodes differ by more than a factor.

    Args:
        graph: the model.
        cluster: its nodes.
        measured: other models, each with a profile that has all these nodes.

    Returns:
        A profile in seconds whose entries bear the cross-validated error, and what made it.

    Raises:
        ProfileError: a profile lacks a node, is of another model, or is not measured.
    """
    for other, profile in measured:
        _check(other, profile)
    predictors = {node.name: train(measured, node=node.name) for node in cluster.nodes}
    entries = tuple(predict_node(predictor, graph, node) for node, predictor in predictors.items())
    sha256 = graph.source.sha256 if graph.source else ""
    version = f"hocket {__version__}"
    profile = Profile(graph=graph.name, sha256=sha256, how="predicted", entries=entries, version=version)
    return Prediction(profile, predictors)


def _check(graph: Graph, profile: Profile) -> None:
    profile.check_graph(graph)
    if profile.how != "measured":
        raise ProfileError(
            f"a predictor is trained on measured profiles, and that of {profile.graph!r} is {profile.how}; measure it"
        )
