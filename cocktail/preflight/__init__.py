"""Before a merge starts: what stands in its way, and what it will take."""

from cocktail.preflight.checks import Finding, check
from cocktail.preflight.estimate import Estimate, estimate

__all__ = ["Estimate", "Finding", "check", "estimate"]
