"""Problems of language models: where layers and their caches go."""

from hocket.cluster import Cluster
from hocket.cost import Objective, Problem, problem_for
from hocket.cost.trust import RAW
from hocket.errors import GraphError, InfeasibleError
from hocket.graph import Graph
from hocket.language.config import Config
from hocket.language.divided import USUAL_CANDIDATES, dividable
from hocket.language.language_model import LanguageModel
from hocket.profile import Profile


def language_problem(
    model: LanguageModel | Config | Graph,
    cluster: Cluster,
    *,
    capacity: int,
    tokens: int = 1,
    objective: Objective | None = None,
    source: str | None = None,
    profile: Profile | None = None,
    private_layers: int | None = None,
    divided: bool = False,
    candidates: int = USUAL_CANDIDATES,
) -> Problem:
    """The problem of one step of a decoder; its latency with one token is the time per output token.

    The caches count as memory of the node that has their layer, with room for `capacity` tokens of one text.

    Args:
        model: with or without weights; its numbers alone will do; or the graph of `dividable`, to save its making.
        cluster: nodes and links.
        capacity: most tokens of prompt and continuation.
        tokens: of the step: 1 = decoding; the length of a prompt = its reading. The attention is counted as if the
            caches were full.
        objective: absent = latency. The period is that of many texts at once.
        source: the node where the tokens are, and where the scores are needed; absent = the cluster's source.
        profile: seconds of each operator; absent = the formula profile.
        private_layers: the tokens, their embedding and so many first layers stay on nodes that are trusted at least as
            much as the source. What leaves the last of them counts as no longer private. None = nothing is private.
        divided: whether solvers may divide operators too: heads with their part of the caches, columns, sums. It is
            worth it where links are fast, and makes bounds weaker and solvers slower.
        candidates: as for `dividable`; of a graph they are known.

    Raises:
        GraphError: more tokens than the context, or more private layers than there are layers.
        ProfileError: a profile of another model, capacity or number of tokens.
        InfeasibleError: private layers, and every node is trusted like the source.
    """
    if isinstance(model, Config):
        model = LanguageModel(model)
    graph = (
        model
        if isinstance(model, Graph)
        else dividable(model, capacity=capacity, tokens=tokens, candidates=candidates).graph
    )
    if not divided:
        graph = graph.replace(body=b"")
    if profile is not None:
        profile.check_graph(graph)
    if private_layers is None:
        return problem_for(graph, cluster, profile=profile, objective=objective, source=source)
    home = cluster.require(source or cluster.source)
    if all(node.trust >= home.trust for node in cluster.nodes):
        raise InfeasibleError(
            f"private layers stay on nodes that are trusted like {home.name!r}, whose trust is {home.trust}, and all"
            " nodes are; give the source more trust in the cluster file"
        )
    limited = objective or Objective()
    return problem_for(
        graph,
        cluster,
        profile=profile,
        objective=limited.replace(limits={**limited.limits, "leakage": 0.0}),
        source=source,
        private=tuple(tensor.name for tensor in graph.inputs),
        trust=home.trust,
        leakage={_behind(graph, private_layers): {RAW: 0.0}},
    )


def usual_capacity(config: Config) -> int:
    """Tokens of a text that caches have room for where nobody says otherwise."""
    return min(2048, config.context)


def layer_of(operator: str) -> int | None:
    """The layer that an operator is part of, counted from 0; None = the embedding or what follows the layers.

    >>> layer_of("block.3.query"), layer_of("norm")
    (3, None)
    """
    first, _, rest = operator.partition(".")
    number = rest.partition(".")[0]
    return int(number) if first == "block" and number.isdecimal() else None


def capacity_of(graph: Graph) -> int:
    """Most tokens of a text that the caches of a graph have room for.

    Raises:
        GraphError: it has no caches.
    """
    if not graph.buffers:
        raise GraphError(
            f"a language model keeps caches, and {graph.name!r} has none; plan it with `hocket generate -o`"
        )
    return graph.buffers[0].shape[2]


def front_size(graph: Graph, layer: int) -> int:
    """How many of a decoder's operators, from the first, are on the device that has so many layers.

    Raises:
        GraphError: more layers than there are.
    """
    count = layer_count(graph)
    if not 0 <= layer <= count or count == 0:
        raise GraphError(f"a device has 0 to {count} layers of {graph.name!r}, got {layer}; give another number")
    layers = [layer_of(operator.name) for operator in graph.operators]
    behind = max(position for position, number in enumerate(layers) if number is not None) + 1
    return layers.index(layer) if layer < count else behind


def layer_count(graph: Graph) -> int:
    """How many layers a decoder has."""
    return len({layer_of(operator.name) for operator in graph.operators} - {None})


def _behind(graph: Graph, layers: int) -> str:
    """What the next layer reads of the first ones."""
    count = layer_count(graph)
    if not 0 <= layers <= count:
        raise GraphError(f"private are 0 to {count} layers of {graph.name!r}, got {layers}; give another number")
    return graph.operators[front_size(graph, layers) - 1].name
