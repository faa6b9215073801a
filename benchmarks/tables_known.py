"""What the tables know: the records by union and way, their means, gaps and Markdown."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.variants import variant

UNIONS = (("cat", "face"), ("cat", "dog"), ("face", "car"), ("cat", "face", "dog"), ("cat", "face", "dog", "car"))
OTHER_ROOT = ("dog", "cat")  # the pair that our recipe does worst on, with the root that table 5 found better for it
SHOWN = (*UNIONS, OTHER_ROOT)
PAIR = UNIONS[0]  # of the tables that look at one union
MANY = (*UNIONS[-1], *map(variant, ("cat", "face", "dog")))
WITHOUT_ROOTED = ("no average", "no rooting")  # our recipe without what only a cocktail has
ROUGH = ("transfer", "plain", "ours")  # the ways of tables that ask another question than which way is best
BUDGET_WAYS, BUDGET_SCALES = ("transfer", "transfer+", "plain", "ours"), (0.25, 0.5, 1, 2, 4)
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
# Of the merges, in px: at 32 the sources are trained first, those of 64 are bundled, so the same on every machine.
TRAINED, BUNDLED = SIZES = (32, 64)
NOT_RUN = "-"


@dataclass(frozen=True)
class Known:
    """All records, and how a table asks for those of one resolution."""

    records: Mapping[str, dict]
    resolution: int = TRAINED

    def at(self, resolution: int) -> "Known":
        return replace(self, resolution=resolution)

    def cells(self, classes: Sequence[str], way: str, shares: str = "") -> list[dict]:
        """The records of a union by a way, one for each seed that was run."""
        start = f"{shares or '+'.join(classes)} {self.resolution} {way} seed "
        return [record for name, record in self.records.items() if name.startswith(start)]

    def paired(self, classes: Sequence[str], ways: tuple[str, str]) -> tuple[list[dict], list[dict]]:
        """The records of two ways, of the seeds that both were run with."""
        a, b = ({record["seed"]: record for record in self.cells(classes, way)} for way in ways)
        shared = sorted(a.keys() & b.keys())
        return [a[seed] for seed in shared], [b[seed] for seed in shared]

    def merges(self) -> list[dict]:
        return [record for record in self.records.values() if "way" in record]

    def ways(self) -> set[str]:
        """What was run at this resolution."""
        return {record["way"] for record in self.merges() if record["resolution"] == self.resolution}

    def picks(self) -> dict[str, dict[str, str]]:
        """What `recommend` picks as the root by each of its scores, by union: {"cat+face": {"recall": "face"}}."""
        start, end = "roots ", f" {self.resolution}"
        return {name.removeprefix(start).removesuffix(end): record["picks"]
                for name, record in self.records.items() if name.startswith(start) and name.endswith(end)}  # fmt: skip

    def values(self, classes: Sequence[str], way: str, get: Callable[[dict], float], **of: object) -> list[float]:
        return [get(record) for record in self.cells(classes, way, **of)]

    def mean(self, classes: Sequence[str], way: str, get: Callable[[dict], float]) -> float | None:
        found = self.values(classes, way, get)
        return statistics.mean(found) if found else None


def scaled(way: str, scale: float) -> str:
    """What a way is called at so many times the usual budget."""
    return way if scale == 1 else f"{way} x{scale:g}"


def picture_of(kind: str, union: Sequence[str], size: int) -> Path:
    """Where a figure of a union at so many px is: "curves", or "methods", the samples by every way."""
    return PICTURES / f"{kind}-{'+'.join(union)}{'' if size == TRAINED else f'-{size}'}.png"


def union_score(record: dict) -> float:
    """Frechet distance of all classes together to drawings."""
    return record["drawings"]["all"]["frechet"]


def source_score(record: dict) -> float:
    """The same to samples of the sources."""
    return record["sources"]["all"]


def class_score(name: str) -> Callable[[dict], float]:
    return lambda record: record["drawings"][name]["frechet"]


def best_point(record: dict) -> float:
    """The lowest union score on the way, as if one had stopped at the best moment, which takes drawings to know."""
    return min(point["frechet"]["all"] for point in record["curve"])


def mean_score(record: dict) -> float:
    """The mean of the classes' scores: over all together, a domain mixed up with its variant would not show."""
    return statistics.mean(record["drawings"][name]["frechet"] for name in record["classes"])


def best_of(known: Known, union: Sequence[str], ways: Sequence[str]) -> tuple[str, float] | None:
    """The way with the lowest mean score, and that score."""
    means = {way: known.mean(union, way, union_score) for way in ways}
    found = {way: value for way, value in means.items() if value is not None}
    return min(found.items(), key=lambda item: item[1]) if found else None


def gap(known: Known, union: Sequence[str], baselines: Sequence[str], way: str = "ours") -> float | None:
    """(best baseline - way) / (best baseline - upper bound), in percent; None where something was not run."""
    best, mine, upper = (
        best_of(known, union, baselines),
        known.mean(union, way, union_score),
        known.mean(union, "upper", union_score),
    )
    if best is None or mine is None or upper is None or best[1] <= upper:
        return None
    return 100 * (best[1] - mine) / (best[1] - upper)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown; rows and columns of which nothing was run are left out, "" where nothing is left."""
    rows = [row for row in rows if any(cell not in ("", NOT_RUN) for cell in row[1:])]
    kept = [i for i in range(len(header)) if i == 0 or any(row[i] != NOT_RUN for row in rows)]
    if not rows:
        return ""
    lines = (header, ["---"] * len(header), *rows)
    return "\n".join("| " + " | ".join(line[i] for i in kept) + " |" for line in lines)


def spread(values: Sequence[float]) -> str:
    """Mean, and standard deviation and number where there are several."""
    if not values:
        return NOT_RUN
    text = f"{statistics.mean(values):.2f}"
    return text if len(values) == 1 else f"{text} ± {statistics.stdev(values):.2f} ({len(values)})"


def percent(share: float | None) -> str:
    return NOT_RUN if share is None else f"{share:.0f} %"


def number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else "-" if value is None else str(value)
