"""What tensors give away of the inputs that they are computed from."""

from hocket.cost.leakage import Leak, LeakageTable
from hocket.privacy.leakage import leakage
from hocket.privacy.pictures import drawings

__all__ = ["Leak", "LeakageTable", "drawings", "leakage"]
