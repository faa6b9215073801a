"""Seeds as people type them: "7", "0-15", "0-3, 8"."""

import re

from cocktail.errors import CocktailError

MAX_SEED = 2**32 - 1  # the largest seed that numpy.random.RandomState takes


def parse_seeds(text: str, limit: int = 10000) -> list[int]:
    """Reads "0-3,8" as [0, 1, 2, 3, 8]: numbers and rising ranges, separated by commas or spaces, in the given order.

    Raises: CocktailError where a part is no number or range, a range falls, a seed is outside [0, 2**32 - 1], or the
    text names no seed or more than `limit`.
    """
    parts = [part for part in re.split(r"[,;\s]+", re.sub(r"\s*-\s*", "-", str(text).strip())) if part]
    if not parts:
        raise CocktailError('no seed given; expected numbers or ranges, for example "0-15" or "0-3,8"')
    seeds: list[int] = []
    for part in parts:
        first, last = _range(part)
        if len(seeds) + last - first + 1 > limit:
            raise CocktailError(f'seeds "{_short(text)}" are more than {limit}; ask for fewer at a time')
        seeds.extend(range(first, last + 1))
    return seeds


def _range(part: str) -> tuple[int, int]:
    if re.fullmatch(r"-[0-9]+", part):
        raise CocktailError(f'seed "{_short(part)}" is negative; expected a number from 0 to {MAX_SEED}')
    match = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", part, flags=re.ASCII)
    if match is None:
        raise CocktailError(f'seeds "{_short(part)}" are neither a number nor a range; write for example "7" or "0-15"')
    first = _number(match[1])
    last = first if match[2] is None else _number(match[2])
    if last < first:
        raise CocktailError(f'seeds "{part}" run backwards; write "{last}-{first}"')
    return first, last


def _number(digits: str) -> int:
    significant = digits.lstrip("0") or "0"
    # Length first: Python refuses to convert thousands of digits with an error of its own.
    if len(significant) > 10 or int(significant) > MAX_SEED:
        raise CocktailError(f'seed "{_short(digits)}" is too large; expected a number from 0 to {MAX_SEED}')
    return int(significant)


def _short(text: str) -> str:
    text = str(text)
    return text if len(text) <= 40 else text[:37] + "..."
