"""What keeps a student near the weights that it starts from: a quadratic pull, tensors that do not move at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Pull:
    """sum_i weights_i (theta_i - reference_i)^2 over parameters of a network, both by name.

    All weights equal: L2-SP (Li et al. 2018, eq. 2); the diagonal of the Fisher information: elastic weight
    consolidation (Kirkpatrick et al. 2017, eq. 3). Parameters without a weight are free.
    """

    reference: Mapping[str, Tensor]
    weights: Mapping[str, Tensor]

    def penalty(self, network: nn.Module) -> Tensor:
        """A scalar >= 0 through which gradients flow; 0 where nothing has moved."""
        parameters = dict(network.named_parameters())
        terms = [(w * (parameters[name] - self.reference[name]).square()).sum() for name, w in self.weights.items()]
        return torch.stack(terms).sum()


@dataclass(frozen=True)
class Restraint:
    """The pulls of both networks, None for none, and the discriminator's parameters that are frozen, by name."""

    generator: Pull | None = None
    discriminator: Pull | None = None
    frozen: frozenset[str] = field(default_factory=frozenset)


FREE = Restraint()
