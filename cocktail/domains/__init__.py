"""Image domains that are drawn, not photographed: free data with known factors of variation.

A new domain is one new file that ends in `register(Domain(...))` and one import line here.
"""

from cocktail.domains import face, cat, dog, car  # noqa: F401, I001  (the order of registration is the order of names())
from cocktail.domains.latents import factors_to_latents, one_changed
from cocktail.domains.registry import Domain, get, names, register

__all__ = ["Domain", "factors_to_latents", "get", "names", "one_changed", "register"]
