"""The exceptions that hocket raises on purpose.

    HocketError
    ├── FormatError      (ValueError)       a file or message that is not what it says it is
    ├── UnitError        (ValueError)       a quantity that cannot be read
    ├── GraphError       (ValueError)       a model that cannot be planned or run
    ├── ClusterError     (ValueError)       a cluster that contradicts itself
    ├── ProfileError     (ValueError)       a profile that does not fit the graph or the cluster
    ├── PlanError        (ValueError)       a plan that does not fit its problem
    ├── RefusedError     (ValueError)       a solver that cannot solve this kind of problem
    ├── InfeasibleError  (ValueError)       a problem that no plan solves
    ├── AssetError       (OSError)          weights or pictures that cannot be had, or are not the right ones
    ├── MissingError     (ImportError)      an optional package that is not installed
    └── NodeError        (ConnectionError)  a node that cannot be reached, refuses, or fails
        └── LateError    (TimeoutError)     a node that did not answer in time

Every message is one sentence: the rule or the fact, the values, then what to do.
"""


class HocketError(Exception):
    """Anything that hocket refuses; its text is meant for the user."""


class FormatError(HocketError, ValueError):
    """A file or message is not what it says it is."""


class UnitError(HocketError, ValueError):
    """A quantity with a unit cannot be read."""


class GraphError(HocketError, ValueError):
    """A model cannot be planned or run."""


class ClusterError(HocketError, ValueError):
    """A cluster contradicts itself or lacks something."""


class ProfileError(HocketError, ValueError):
    """A profile does not fit its graph or cluster."""


class PlanError(HocketError, ValueError):
    """A plan does not fit its problem."""


class RefusedError(HocketError, ValueError):
    """A solver cannot solve this kind of problem."""


class InfeasibleError(HocketError, ValueError):
    """No plan satisfies the constraints."""


class AssetError(HocketError, OSError):
    """Weights or pictures cannot be had, or are not the ones that were pinned."""


class MissingError(HocketError, ImportError):
    """An optional package is not installed."""


class NodeError(HocketError, ConnectionError):
    """A node cannot be reached, refuses, or fails."""


class LateError(NodeError, TimeoutError):
    """A node did not answer in time."""
