"""Predicting a profile: a regression over operator kind and shape, trained on measured profiles of other models.

Each kind has its own fit, of one of two forms; cross-validation over models chooses. `linear` is a sum of work and
bytes with coefficients that are not negative, so it extends to any size; `log` is a ridge on logarithms, so it knows
that small channels are slow. Kinds that were never measured get a roofline fit over all kinds.
"""

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from hocket.errors import ProfileError
from hocket.graph import Graph
from hocket.nouns import Noun
from hocket.profile.features import FEATURES, samples
from hocket.profile.fits import Fit, Training, best_fit, linear_fit, predicted_s
from hocket.profile.profile import NodeProfile, Profile

_FEWEST = 4
"""Units of a kind below which its own fit would be a guess."""
_CATCH_ALL = "any kind"


class Predictor(Noun, frozen=True, tag="hocket.predictor/1"):
    """Fits for one host, and how far off they are for a model that they have not seen."""

    features: tuple[str, ...]
    """Names of what the coefficients belong to."""
    kinds: dict[str, Fit]
    """Operator kind (convolutions apart by shape) -> its fit."""
    roofline: Fit
    """For every other kind."""
    models: tuple[str, ...]
    """Names of the models that it was trained on."""
    errors: dict[str, float] = {}
    """Model -> predicted / measured seconds - 1 of the whole model, by a fit on all the others."""
    error: float | None = None
    """Median of the absolute `errors`; None for a single model, which leaves nothing to check with."""
    call_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """Median seconds of a call of a segment."""
    host: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        if self.features != FEATURES:
            raise ProfileError(
                f"a predictor works on the features {', '.join(FEATURES)}, and this one has"
                f" {', '.join(self.features)[:80] or 'none'}; train it again"
            )
        for kind, fit in [*self.kinds.items(), (_CATCH_ALL, self.roofline)]:
            wanted = len(FEATURES) + fit.offset_count
            if len(fit.coefficients) != wanted:
                raise ProfileError(
                    f"a {fit.form} fit has {wanted} coefficients, and that of {kind!r} has {len(fit.coefficients)};"
                    " train it again"
                )

    def unknown(self, graph: Graph) -> tuple[str, ...]:
        """The kinds of a graph that no measured model had enough of, sorted: the roofline fit stands in for them."""
        return tuple(sorted({sample.category for sample in samples(graph)} - self.kinds.keys()))


def train(profiles: Sequence[tuple[Graph, Profile]], *, node: str | None = None) -> Predictor:
    """Fit a predictor to measured profiles of some models on one node.

    Args:
        profiles: each model's graph with its profile.
        node: whose entries to use; absent = the only node of every profile.

    Raises:
        ProfileError: no profile, two of one model, one that does not fit its graph, or nodes that are not clear.
    """
    entries = [_entry(graph, profile, node) for graph, profile in profiles]
    names = [graph.name for graph, _ in profiles]
    if not entries:
        raise ProfileError("a predictor is trained on measured profiles, got none; measure a few models first")
    if len(set(names)) < len(names):
        raise ProfileError(f"each model is there once, got {', '.join(sorted(names))}; leave out the repeated ones")
    data = [row for (graph, _), entry in zip(profiles, entries, strict=True) for row in _rows(graph, entry)]
    kinds, roofline = _fits(data)
    errors = {name: _left_out(data, name) for name in names} if len(names) > 1 else {}
    return Predictor(
        features=FEATURES,
        kinds=kinds,
        roofline=roofline,
        models=tuple(names),
        errors=errors,
        error=float(np.median(np.abs(list(errors.values())))) if errors else None,
        call_s=float(np.median([entry.call_s for entry in entries])),
        host=entries[0].host,
        threads=entries[0].threads,
    )


def predict_profile(predictor: Predictor, graph: Graph, *nodes: str) -> Profile:
    """Predict the profile of a model on nodes that compute like the one that the predictor was trained on.

    For nodes that differ, put the entries of `predict_node` into one profile.

    Raises:
        ProfileError: no node is named.
    """
    if not nodes:
        raise ProfileError("a profile is of at least one node, got none; name a node")
    sha256 = graph.source.sha256 if graph.source else ""
    entries = tuple(predict_node(predictor, graph, node) for node in nodes)
    return Profile(graph=graph.name, sha256=sha256, how="predicted", entries=entries)


def predict_node(predictor: Predictor, graph: Graph, node: str) -> NodeProfile:
    """Predict one node's entry of a profile; its `error` is the cross-validated one of the predictor."""
    seconds = {operator.name: 0.0 for operator in graph.operators}
    for sample in samples(graph):
        fit = predictor.kinds.get(sample.category, predictor.roofline)
        seconds[sample.operator] = float(predicted_s(fit, np.array([sample.features]))[0])
    return NodeProfile(
        node=node,
        seconds=seconds,
        call_s=predictor.call_s,
        bindings=graph.bindings,
        error=predictor.error,
        host=predictor.host,
        threads=predictor.threads,
    )


def _entry(graph: Graph, profile: Profile, node: str | None) -> NodeProfile:
    if node is None and len(profile.nodes) != 1:
        raise ProfileError(
            f"a predictor is for one node, and the profile of {graph.name!r} has"
            f" {', '.join(sorted(profile.nodes)) or 'none'};"
            " name one of them"
        )
    entry = profile.at(node if node is not None else next(iter(profile.nodes)))
    missing = [operator.name for operator in graph.operators if operator.name not in entry.seconds]
    if missing:
        raise ProfileError(
            f"a profile has every operator of its graph, and that of {graph.name!r} lacks {missing[0]!r};"
            " give the profile with the graph that it was made of"
        )
    return entry


def _rows(graph: Graph, entry: NodeProfile) -> list[Training]:
    return [
        Training(graph.name, sample.category, sample.features, entry.seconds[sample.operator])
        for sample in samples(graph)
    ]


def _fits(data: Sequence[Training]) -> tuple[dict[str, Fit], Fit]:
    groups: dict[str, list[Training]] = {}
    for row in data:
        groups.setdefault(row.category, []).append(row)
    kinds = {kind: best_fit(rows) for kind, rows in sorted(groups.items()) if len(rows) >= _FEWEST}
    return kinds, linear_fit(data, roofline=True)


def _left_out(data: Sequence[Training], model: str) -> float:
    """Signed relative error of a model's total under fits that have not seen it."""
    kinds, roofline = _fits([row for row in data if row.model != model])
    own = [row for row in data if row.model == model]
    guessed = sum(float(predicted_s(kinds.get(row.category, roofline), np.array([row.features]))[0]) for row in own)
    total = sum(row.seconds for row in own)
    return guessed / total - 1 if total else 0.0
