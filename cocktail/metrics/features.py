"""What turns pictures into the vectors that scores compare."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from cocktail.domains.oracle import Oracle, Reading, load_oracle
from cocktail.images import from_uint8


class FeatureExtractor(Protocol):
    """Maps uint8 [N,3,H,W] to float32 [N, dim]; `name` says in a report which features a score belongs to."""

    name: str
    dim: int

    def __call__(self, img: Tensor) -> Tensor: ...


@runtime_checkable
class FactorReader(Protocol):
    """Reads class and factors from uint8 [N,3,H,W] that are meant to be of class `label`.

    `classes` names the columns of the reading's class logits.
    """

    classes: tuple[str, ...]

    def read(self, img: Tensor, label: str) -> Reading: ...


class OracleFeatures:
    """Features of the oracle, the small network that was trained to read class and factors from drawings.

    It judges and never teaches: no method's loss, stopping or choice of checkpoint sees it.
    """

    name = "oracle"

    def __init__(self, oracle: Oracle | None = None):
        self.oracle = oracle or load_oracle()
        self.dim = self.oracle.dim
        self.classes = self.oracle.classes

    def __call__(self, img: Tensor) -> Tensor:
        return self.oracle.features(img)

    def read(self, img: Tensor, label: str) -> Reading:
        """Class logits, and factors of class `label`, of uint8 [N,3,H,W]."""
        return self.oracle.read(from_uint8(img), label)
