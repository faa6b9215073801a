"""The paper's tables on the drawn domains: every method on equal terms, what it costs, what it gives.

    python -m benchmarks.tables --table 3 [--seeds 1 2 3] [--resolution 32] [--part 1/2]
    python -m benchmarks.tables --report        # writes the section of docs/RESULTS.md and its figures

A table is a set of cells (`benchmarks.cells`), many of which belong to several tables; one that is finished is not run
again, one that was interrupted goes on where it was saved. `--part 1/2` takes every other cell, for two processes. The
sources of 64 px are the bundled models, so their merges can be added to on any machine; those of 32 and 16 px are
trained first (half an hour a core), and other CPUs make other models of them.
"""

import argparse
import itertools
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch

if not __package__:  # called by its path, python benchmarks/tables.py
    sys.path[0] = str(Path(__file__).parents[1])

from benchmarks import bundle_report, tables_figures
from benchmarks.cells import WORK, Cell, forget, keep, results, run
from benchmarks.sources import make
from benchmarks.tables_known import (
    BUDGET_SCALES,
    BUDGET_WAYS,
    BUNDLED,
    MANY,
    OTHER_ROOT,
    PAIR,
    ROUGH,
    SHOWN,
    SIZES,
    TRAINED,
    UNIONS,
    WITHOUT_ROOTED,
    scaled,
)
from benchmarks.ways import AIDED, FIT_SHARE, ROOT_KIMG, ways
from cocktail import checkpoints, domains
from cocktail.errors import CocktailError
from cocktail.metrics.recommend import recommend
from cocktail.sources import GanSource

PAIRS = UNIONS[:3]
ALL = UNIONS[-1]
ADVICE_SAMPLES = 1000
MAIN = ("transfer", "plain", "ours", "distillation", "upper", "transfer+", "scratch", "freezed", "ewc", "l2")


def cell(classes: Sequence[str], way: str, seed: int = 1, resolution: int = BUNDLED, extra_kimg: float = 0.0,
         scale: float = 1.0) -> Cell:  # fmt: skip
    """A cell of a way that all tables know; more or less budget shows in its name."""
    name = f"{way} +{extra_kimg:g} kimg" if extra_kimg else scaled(way, scale)
    method, config = ways(len(classes), extra_kimg, scale, resolution)[way]
    return Cell(tuple(classes), name, method, config, seed, resolution)


def table_3(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Two, three and four sources by all methods; tables 1, 2 and 4 and the figures read the same cells."""
    return [cell(union, way, seed, resolution) for seed in seeds for union in UNIONS for way in MAIN
            if seed == 1 or union != UNIONS[3]]  # fmt: skip


def counted(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """The best baselines with as many pictures more as the roots of the cocktail take."""
    return [cell(union, way, seed, resolution, ROOT_KIMG * (len(union) - 1))
            for seed in seeds for union in (*PAIRS, ALL) for way in ("transfer", *AIDED)]  # fmt: skip


def table_5(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Every root of every pair, and of all four."""
    orders = [*itertools.permutations(domains.names(), 2)]
    orders += [(root, *(name for name in ALL if name != root)) for root in ALL]
    return [cell(order, "ours", seed, resolution) for seed in seeds for order in orders]


def other_root(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """The pair that our recipe does worst on, from its other model, at equal budgets and with the roots counted."""
    ways = ("transfer", "ours", "distillation", "transfer+", "plain", "upper", "ewc")
    found = [cell(OTHER_ROOT, way, seed, resolution) for seed in seeds for way in ways]
    longer = ("transfer", *AIDED)
    return found + [cell(OTHER_ROOT, way, seed, resolution, ROOT_KIMG) for seed in seeds for way in longer]


def table_6(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """The cat in growing company."""
    return [cell(ALL[:count], way, seed, resolution)
            for seed in seeds for count in (2, 3, 4) for way in ROUGH]  # fmt: skip


def table_7(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Many sources, up to seven: the four domains and variants of three."""
    return [cell(MANY[:count], way, seed, resolution)
            for seed in seeds for count in (5, 6, 7) for way in ROUGH]  # fmt: skip


def table_10(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """A source that was trained for a tenth of the time, as the root and beside it."""
    found = []
    for seed, way, shares in itertools.product(seeds, ROUGH, ((1.0, 0.1), (0.1, 1.0))):
        found.append(replace(cell(PAIR, way, seed, resolution), shares=shares))
    return found


def table_11(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """16, 32 and 64 pixels, whatever `resolution` is."""
    return [cell(PAIR, way, seed, size)
            for seed in seeds for size in (16, *SIZES) for way in ROUGH]  # fmt: skip


def inherited(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """What starts from the root: the generator alone, or the discriminator alone (Grigoryev et al. 2022, table 2)."""
    found = []
    for seed, network in itertools.product(seeds, ("generator", "discriminator")):
        known = cell(PAIR, "scratch", seed, resolution)
        found.append(replace(known, way=f"keeps {network}", config=replace(known.config, keep=network)))
    return found


def budgets(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Where the cocktail wins and where it does not: a quarter of the budget to four times as much."""
    return [cell(PAIR, way, seed, resolution, scale=scale)
            for seed in seeds for scale in BUDGET_SCALES for way in BUDGET_WAYS]  # fmt: skip


def rates(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Whether the shared settings are fair to the baselines: other learning rates, other strengths of what holds."""
    found = []
    for seed, union in itertools.product(seeds, PAIRS[:2]):
        for way, times in itertools.product(("transfer", "plain"), (0.5, 2.0)):
            known = cell(union, way, seed, resolution)
            merge = replace(known.config.merge, lr=times * known.config.merge.lr)
            found.append(replace(known, way=f"{way}, rate x{times:g}", config=replace(known.config, merge=merge)))
        for strength in (1e-4, 1e-2):
            known = cell(union, "ewc", seed, resolution)
            held = dict.fromkeys(("mapping_strength", "synthesis_strength", "discriminator_strength"), strength)
            found.append(replace(known, way=f"ewc, strength {strength:g}", config=replace(known.config, **held)))
    return found


def advise(resolution: int) -> None:
    """What `recommend` says of every union of table 5, from samples alone."""
    for names in (*itertools.combinations(domains.names(), 2), ALL):
        key = f"roots {'+'.join(names)} {resolution}"
        if key not in results():
            known = {name: GanSource(checkpoints.load(make(name, resolution)), names=(name,)) for name in names}
            found = recommend(known, ADVICE_SAMPLES)
            keep(key, {"picks": found.picks, "rows": {name: asdict(row) for name, row in found.rows.items()}})


def ablation(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Our recipe with one ingredient off in turn."""
    return [found for seed, union in itertools.product(seeds, PAIRS) for found in one_off(union, seed, resolution)]


def rooting(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Our recipe without rooting, or with the root in place of the average, on every union."""
    return [found for seed, union in itertools.product(seeds, SHOWN)
            for found in one_off(union, seed, resolution, WITHOUT_ROOTED)]  # fmt: skip


def one_off(union: Sequence[str], seed: int, resolution: int = BUNDLED, titles: Sequence[str] = ()) -> list[Cell]:
    """Our recipe without each of these ingredients in turn, by default of all."""
    known = cell(union, "ours", seed, resolution)
    configs = without(known.config)
    return [replace(known, way=f"ours, {title}", config=configs[title]) for title in titles or configs]


def without(config: object) -> dict[str, object]:
    """Our recipe's config with each ingredient off, or the fit where it has none; the budget stays."""
    total = config.merge.total_kimg + sum(config.warm.stage_kimg)
    fit = total * FIT_SHARE[TRAINED]
    fitted = replace(config, warm=replace(config.warm, stage_kimg=(fit,)),
                     merge=replace(config.merge, total_kimg=total - fit))  # fmt: skip
    unfitted = replace(config, warm=replace(config.warm, stage_kimg=(0.0,)),
                       merge=replace(config.merge, total_kimg=total))  # fmt: skip
    return {
        "classes alike": replace(config, new_share=1.0),
        "no rooting": replace(config, root=replace(config.root, total_kimg=0.0)),
        "half the rooting": replace(config, root=replace(config.root, total_kimg=config.root.total_kimg / 2)),
        "no alignment": replace(config, align=False, merge=replace(config.merge, total_kimg=total)),
        "no matching": replace(config, match=False),
        "no contrasts": replace(config, warm=replace(config.warm, contrast_weight=0.0)),
        **({"with a fit": fitted} if config == unfitted else {"no fit": unfitted}),
        "no class rows in W": replace(config, class_w_gain=0.0, own_rows=False),
        "no pairs in the merge": replace(config, merge=replace(config.merge, anchor_weight=0.0)),
        "no average": replace(config, root_weight=1.0, own_rows=False),
        "Fisher average": replace(config, averaging="fisher"),
    }  # fmt: skip


def tried(seeds: Sequence[int], resolution: int = BUNDLED) -> list[Cell]:
    """Our recipe with one thing other; what helps on all unions is to be taken over, by the aided baselines too."""
    found = []
    for seed, union in itertools.product(seeds, PAIRS):
        known = cell(union, "ours", seed, resolution)
        for title, config in variations(known.config, len(union)).items():
            found.append(replace(known, way=f"tried, {title}", config=config))
    return found


def variations(config: object, classes: int) -> dict[str, object]:
    """Our recipe's config with one thing other; the budget stays."""
    merge, merge_alone, often = config.merge, replace(config, new_share=1.0), (1.0, *[2.0] * (classes - 1))
    lighter = replace(merge, anchor_weight=merge.anchor_weight / 3)
    return {
        "lighter pairs in the merge": replace(config, merge=lighter),
        "lighter pairs of new classes": replace(config, new_anchor=1 / 3),
        "pairs of new classes a tenth as heavy": replace(config, new_anchor=0.1),
        "no pairs of new classes in the merge": replace(config, new_anchor=0.0),
        "heavier pairs in the merge": replace(config, merge=replace(merge, anchor_weight=merge.anchor_weight * 3)),
        "new classes thrice as often": replace(config, new_share=3.0),
        "new classes twice as often in the merge alone": replace(merge_alone, merge=replace(merge, class_shares=often)),
        "new classes twice as often in the merge alone, lighter pairs": replace(
            merge_alone, merge=replace(lighter, class_shares=often)
        ),
        "classes alike, lighter pairs in the merge": replace(config, new_share=1.0, merge=lighter),
        "classes alike, pairs fade in the merge": replace(
            config, new_share=1.0, merge=replace(merge, anchor_kimg=merge.total_kimg)
        ),
        "a quarter of the rooting": replace(config, root=replace(config.root, total_kimg=config.root.total_kimg / 4)),
        "class rows averaged": replace(config, own_rows=False),
        "no average, own class rows": replace(config, root_weight=1.0),
        "root twice in the average": replace(config, root_weight=2 / (classes + 1)),
        "decay all along the merge": replace(config, merge=replace(merge, lr_decay=1.0)),
        "merge at twice the rate": replace(config, merge=replace(merge, lr=2 * merge.lr)),
    }


TABLES = {
    "3": table_3, "counted": counted, "5": table_5, "other root": other_root, "6": table_6, "7": table_7,
    "10": table_10, "11": table_11, "inherited": inherited, "budgets": budgets, "rooting": rooting,
    "ablation": ablation, "rates": rates, "tried": tried,
}  # fmt: skip
SAME = {"1": "3", "2": "3", "4": "3", "8": "7"}  # tables that read the cells of another


def main() -> None:
    """Runs the cells of the tables named, or writes what is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tables", description=main.__doc__)
    parser.add_argument("--table", nargs="+", default=[], choices=[*TABLES, *SAME], help="which, in this order")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1], help="default: 1")
    parser.add_argument("--resolution", type=int, default=BUNDLED, choices=sorted(FIT_SHARE), help="in px, default: 64")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="every N-th cell from the I-th on")
    parser.add_argument("--only", nargs="+", metavar="WAY", help="only these ways")
    parser.add_argument("--unions", nargs="+", metavar="A+B", help="only these unions, the root first")
    parser.add_argument("--again", action="store_true", help="forget what is known of these cells first")
    parser.add_argument("--report", action="store_true", help="write the figures and docs/RESULTS.md")
    args = parser.parse_args()
    wanted = [found for table in args.table for found in TABLES[SAME.get(table, table)](args.seeds, args.resolution)]
    chosen = {found.name: found for found in wanted if not args.only or found.way in args.only}
    wanted = [found for found in chosen.values() if not args.unions or "+".join(found.classes) in args.unions]
    index, count = map(int, args.part.split("/"))
    torch.set_num_threads(1)
    os.makedirs(WORK, exist_ok=True)
    if args.again:
        forget(wanted)
    part, known = wanted[index - 1 :: count], results()
    if args.table:
        print(f"{len(part)} merges, {sum(found.name in known for found in part)} of them known")
    for found in part:
        run(found)
    if "5" in args.table:
        advise(args.resolution)
    if args.report:
        tables_figures.write(results())
        bundle_report.write()


if __name__ == "__main__":
    try:
        main()
    except CocktailError as error:
        sys.exit(f"error: {error}")
