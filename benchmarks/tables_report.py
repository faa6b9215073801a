"""The tables and figures of docs/RESULTS.md about methods: read from docs/tables.json, nothing is measured here."""

import itertools
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from benchmarks.tables_known import (
    BUDGET_SCALES,
    BUDGET_WAYS,
    BUNDLED,
    MANY,
    NOT_RUN,
    OTHER_ROOT,
    PAIR,
    ROUGH,
    SHOWN,
    SIZES,
    TRAINED,
    UNIONS,
    WITHOUT_ROOTED,
    Known,
    best_of,
    best_point,
    class_score,
    gap,
    mean_score,
    number,
    percent,
    picture_of,
    scaled,
    source_score,
    spread,
    table,
    union_score,
)  # fmt: skip
from benchmarks.ways import AIDED, BASELINES, FIT_SHARE, PER_CLASS, ROOT_KIMG, TITLES
from cocktail import domains

PAPER_GAP = "14 to 27 %"  # what the paper's own table 3 closes
WANTED_GAP = 60.0
FIGURES = {"curves": "score over pictures seen", "methods": "the same latents by every method"}
AT_BUNDLED = f"At {BUNDLED} px, from the bundled models"


def section(records: Mapping[str, dict]) -> str:
    """The part of docs/RESULTS.md."""
    known = Known(records)
    chapters = (_main, _gaps, _counted, _rooting, _budgets, _ablation, _tried, _rates, _space, _classes, _distances,
                _roots, _company, _many, _unequal, _sizes, _inherited)  # fmt: skip
    parts = [part for chapter in chapters for part in _with_tables(list(chapter(known)))]
    parts = [*_introduction(known), *parts, *_pictures(known)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _by_size(known: Known, make: Callable[[Known], str]) -> Iterator[str]:
    """The same table of the merges of 32 px and of those of the bundled models."""
    for size in SIZES:
        if size == BUNDLED:
            yield f"{AT_BUNDLED}:"
        yield make(known.at(size))


def _with_tables(parts: Sequence[str]) -> list[str]:
    """A chapter without the tables that are empty and what leads to them with a colon; nothing where none is left."""
    found, words = [], []
    for part in parts:
        words.append(part)
        if part.startswith("|"):
            found += words
            words = []
        elif not part:
            words = [word for word in words if word and not word.endswith(":")]
    return found


def _introduction(known: Known) -> Iterator[str]:
    seeds = sorted({record["seed"] for record in known.records.values() if "seed" in record})
    hours = sum(record.get("minutes", 0) for record in known.records.values()) / 60
    yield "## Against the baselines"
    yield (
        f"Made by `python -m benchmarks.tables`: {len(known.merges())} merges of sources of 32 px (16 and 64 where "
        f"said), {hours:.1f} hours of one CPU thread, seeds {', '.join(map(str, seeds))}. Scores are Frechet distances "
        "on the oracle's features, 2000 samples a class, all classes together unless said: lower is better. Mean over "
        "the seeds that were run, with their standard deviation and number where there are several; -: not run. The "
        "root is named first. **Equal terms:** the same networks, losses, optimiser, learning rate and its decay, and "
        f"{PER_CLASS:g} kimg for each class in the merge stage, which for ours includes the fit "
        f"({FIT_SHARE[TRAINED]:.0%} of it; at {BUNDLED} px there is none). Rooting, {ROOT_KIMG:g} kimg a source, is "
        "not counted here, as in the paper; it is below. Aligning draws 6000 more samples of each source and of each "
        "rooted model, on which nothing is trained, and they are not counted. These are short budgets: no method has "
        "converged. The sources were made mostly by a fit, so their discriminators have seen 16 kimg only, which is "
        "hard on all that build on them alone. A CPU that rounds otherwise makes other sources of 32 px of the same "
        "recipe, so a merge of them is added only where they score the same (`benchmarks/cells.py`); the bundled "
        f"models of {BUNDLED} px are the same everywhere, and theirs is what the command runs by default. Loss, gamma "
        "and the share of the fit were chosen on face+car, seed 1 (`benchmarks/ways.py` has the figures), that share "
        f"at {BUNDLED} px on cat+dog, seed 1, too. Ours and the aided baselines are shown classes that the root lacks "
        "twice as often, which was chosen by the geometric mean over the three pairs, seed 1. Other unions and seeds "
        "are the test."
    )  # fmt: skip
    yield _short(known)


def _short(known: Known) -> str:
    """How far ours is ahead, as a list; "" where nothing is beside it."""
    large = known.at(BUNDLED)
    found = [
        f"{title}: {told}."
        for title, told in (
            ("Against the paper's own recipe, equal budgets", _lower(known, ("plain",))),
            ("Against the best baseline of the paper, equal merge budgets", _lower(known, BASELINES)),
            ("Against TransferGAN, the roots' pictures counted", _lower(known, ("transfer",), counted=True)),
            ("Against the better of the aided baselines, equal merge budgets", _lower(known, AIDED)),
            ("Against the better of these, the roots' pictures counted", _lower(known, AIDED, counted=True)),
            ("Against itself without rooting, which saves the roots' pictures", _beside(known, "ours, no rooting")),
            (f"{AT_BUNDLED}, against the paper's own recipe", _lower(large, ("plain",))),
            ("There, against the best baseline of the paper", _lower(large, BASELINES)),
            ("There, against the better of the aided baselines", _lower(large, AIDED)),
            ("There, the roots' pictures counted", _lower(large, AIDED, counted=True)),
            ("There, against itself without rooting", _beside(large, "ours, no rooting")),
        )
        if told
    ]
    return "\n".join(["In short, the score of ours:", "", *(f"- {line}" for line in found)]) if found else ""


def _lower(known: Known, ways: Sequence[str], counted: bool = False) -> str:
    """By how much the score of ours is below the best of these ways, union by union; "" where nothing was run."""
    found = {}
    for union in SHOWN:
        rivals = [_longer(way, union) for way in ways] if counted else ways
        best, mine = best_of(known, union, rivals), known.mean(union, "ours", union_score)
        if best and mine is not None:
            found["+".join(union)] = 100 * (1 - mine / best[1])
    return _told(found)


def _beside(known: Known, way: str) -> str:
    """The same against one way, on the seeds that both were run with."""
    found = {}
    for union in SHOWN:
        mine, other = ([union_score(c) for c in cells] for cells in known.paired(union, ("ours", way)))
        if mine and other:
            found["+".join(union)] = 100 * (1 - statistics.mean(mine) / statistics.mean(other))
    return _told(found)


def _told(found: Mapping[str, float]) -> str:
    """By how many percent ours is lower or higher, in words."""
    ahead, behind = ([name for name in found if (found[name] > 0) == won] for won in (True, False))
    parts = ["lower on " + ", ".join(f"{name} by {found[name]:.0f} %" for name in ahead)] if ahead else []
    parts += ["**higher** on " + ", ".join(f"{name} by {-found[name]:.0f} %" for name in behind)] if behind else []
    return "; ".join(parts)


def _longer(way: str, union: Sequence[str]) -> str:
    """What a way is called where it trains longer by what rooting this union takes."""
    return f"{way} +{ROOT_KIMG * (len(union) - 1):g} kimg"


def _main(known: Known) -> Iterator[str]:
    ways = [way for way in TITLES if way not in AIDED]
    yield "### Two, three and four sources (the paper's tables 1 and 3)"
    if known.cells(OTHER_ROOT, "ours"):
        pair, other = ("+".join(union) for union in (reversed(OTHER_ROOT), OTHER_ROOT))
        yield (
            f"{other} is {pair} with the other root, which table 5 found better for ours. It was added when that was "
            "known, so it is no test of the recipe: it shows what the choice is worth to every method."
        )
    yield _scores(known, SHOWN, ways, union_score, "drawings")
    yield (
        "Table 1 asks what is lost by learning from samples instead of data: compare TransferGAN with the upper bound, "
        "which is TransferGAN on drawings. The same against samples of the sources, which is what a method sees:"
    )
    yield _scores(known, SHOWN, ways, source_score, "sources")
    yield "The same against drawings, at the best of the points where each was measured on the way (1000 samples):"
    yield _scores(known, SHOWN, ways, best_point, "drawings")
    yield (
        "With the aids of ours that need no rooted model given to the baseline too, but for aligning, which is under "
        '"What rooting and averaging give":'
    )
    yield _scores(known, SHOWN, ["ours", *AIDED], union_score, "drawings")
    yield f"{AT_BUNDLED}:"
    yield _scores(known.at(BUNDLED), SHOWN, [*ways, *AIDED], union_score, "drawings")


def _scores(
    known: Known, unions: Sequence[Sequence[str]], ways: Sequence[str], get: Callable[[dict], float], title: str
) -> str:
    rows = [["+".join(union), *(spread(known.values(union, way, get)) for way in ways)] for union in unions]
    return table([f"score against {title}", *(TITLES.get(way, way) for way in ways)], rows)


def _gaps(known: Known) -> Iterator[str]:
    yield "### Gap closed"
    yield (
        "(best baseline - ours) / (best baseline - upper bound), the upper bound being the root fine-tuned on drawings "
        f"for the same number of pictures. Wanted: {WANTED_GAP:g} %; the paper's own table 3 closes {PAPER_GAP}. "
        f"{_of_sources(known)}So the upper bound is hardly better than TransferGAN, or worse (no gap): what both lack "
        "is training, not data, and so small a gap says little; by how much ours is lower stands beside it. Above "
        "100 %: better than adversarial training on the drawings themselves, since pairs of latent and picture teach "
        "faster than a discriminator."
    )
    yield from _by_size(known, _gap_table)


def _gap_table(known: Known) -> str:
    rows = []
    for union in SHOWN:
        best, aided = (best_of(known, union, ways) for ways in (BASELINES, AIDED))
        upper, mine = (known.mean(union, way, union_score) for way in ("upper", "ours"))
        if best and upper is not None and mine is not None:
            closed = gap(known, union, BASELINES)
            rows.append(["+".join(union), f"{TITLES[best[0]]} {best[1]:.2f}", f"{upper:.2f}", f"{mine:.2f}",
                         percent(gap(known, union, BASELINES, "plain")),
                         "no gap" if closed is None else f"{percent(closed)}, {_met(closed)}",
                         percent(100 * (1 - mine / best[1])),
                         f"{TITLES[aided[0]]} {aided[1]:.2f}" if aided else NOT_RUN,
                         percent(100 * (1 - mine / aided[1]) if aided else None)])  # fmt: skip
    heads = ["union", "best baseline", "upper bound", "ours", "the paper's recipe closes", "ours closes"]
    return table([*heads, "it is lower by", "best baseline with our aids", "than that lower by"], rows)


def _of_sources(known: Known) -> str:
    """What the sources that were trained for this themselves score, as a sentence."""
    rows = {
        name: record["drawings"]
        for name in domains.names()
        if (record := known.records.get(f"source {name} {TRAINED}"))
    }
    told = ", ".join(f"{name} {row['frechet']:.2f} (floor {row['floor']:.2f})" for name, row in rows.items())
    return f"Drawings are hardly better data here than samples: the sources themselves score {told}. " if told else ""


def _met(share: float) -> str:
    return "reached" if share >= WANTED_GAP else "**missed**"


def _counted(known: Known) -> Iterator[str]:
    yield "### With the roots' pictures counted"
    yield (
        "The same number of pictures in all: the baselines train longer by what rooting takes. In brackets the 95 % "
        "interval for the noise of the pictures (half-samples; mean over the seeds), which another seed of training is "
        "not part of. Last: whether ours is ahead by more than the intervals, of TransferGAN, and of the aided ones."
    )
    yield from _by_size(known, _counted_table)


def _counted_table(known: Known) -> str:
    rows = []
    for union in SHOWN:
        ours = known.cells(union, "ours")
        plain, *aided = (known.cells(union, _longer(way, union)) for way in ("transfer", *AIDED))
        if ours and any((plain, *aided)):
            scores = map(_interval, (ours, plain, *aided))
            rows.append(["+".join(union), *scores, _ahead(ours, [plain]), _ahead(ours, aided)])
    heads = ["score against drawings", TITLES["ours"], *(TITLES[way] for way in ("transfer", *AIDED))]
    return table([*heads, "ahead of TransferGAN", "ahead of the aided"], rows)


def _ahead(ours: Sequence[dict], rivals: Sequence[Sequence[dict]]) -> str:
    """Whether the interval of ours ends below those of all rivals that were run."""
    ends = [_ends(found)[0] for found in rivals if found]
    if not ends:
        return NOT_RUN
    return "reached" if _ends(ours)[1] < min(ends) else "**missed**"


def _interval(cells: Sequence[dict]) -> str:
    """The mean score with its interval."""
    if not cells:
        return NOT_RUN
    low, high = _ends(cells)
    return f"{spread([union_score(cell) for cell in cells])} [{low:.2f}, {high:.2f}]"


def _ends(cells: Sequence[dict]) -> tuple[float, float]:
    """Lower and upper end of the interval, mean over the seeds."""
    low, high = (statistics.mean(cell["drawings"]["all"]["interval"][end] for cell in cells) for end in (0, 1))
    return low, high


def _rooting(known: Known) -> Iterator[str]:
    rows, turned = [], []
    for size, union, title in itertools.product(SIZES, SHOWN, WITHOUT_ROOTED):
        pair = known.at(size).paired(union, ("ours", f"ours, {title}"))
        if all(pair):
            yaws = [[_others_yaw(cell, "slope") for cell in cells] for cells in pair]
            scores = (spread([union_score(cell) for cell in cells]) for cells in pair)
            rows.append([f"{'+'.join(union)}, {size} px, {title}", *scores, *map(spread, yaws)])
            if statistics.mean(yaws[1]) < 0 < statistics.mean(yaws[0]):
                turned.append(rows[-1][0])
    yield "### What rooting and averaging give"
    yield (
        "Ours without averaging, the merge beginning with the root's weights; and without rooting, so that it also "
        f"sees {ROOT_KIMG:g} kimg a source less and it is the root's own pictures that are looked up in the sources to "
        "align them. Every other ingredient stays, so the latter is what a baseline can have of ours. Of each row the "
        "seeds that both were run with. Yaw: slope per sigma, on the other classes, of the direction fitted on the "
        f"root's; below 0 they turn the other way: {'; '.join(turned) or 'nowhere'}."
    )
    for size, title in itertools.product(SIZES, WITHOUT_ROOTED):
        if told := _beside(known.at(size), f"ours, {title}"):
            yield f"Ours beside {title}, {size} px: {told}."
    yield table(["score against drawings", "ours", "without", "yaw, ours", "yaw, without"], rows)


def _budgets(known: Known) -> Iterator[str]:
    rows = []
    for scale in BUDGET_SCALES:
        cells = [known.at(BUNDLED).values(PAIR, scaled(way, scale), union_score) for way in BUDGET_WAYS]
        if any(cells) and (scale != 1 or rows):
            merge = scale * PER_CLASS * len(PAIR)
            rows.append([f"{merge:g}", f"{merge + scale * ROOT_KIMG:g}", *map(spread, cells)])
    yield "### Where the paper's claim holds here"
    yield (
        f"cat+face at {BUNDLED} px and other budgets, rooting scaled along. Read a row for equal merge budgets; to "
        "count the roots' pictures, compare a cocktail with TransferGAN at its total."
    )
    yield "![score over pictures seen](pictures/budgets.png)"
    yield table(["kimg of the merge", "with rooting", *(TITLES[way] for way in BUDGET_WAYS)], rows)


def _ablation(known: Known) -> Iterator[str]:
    yield "### One ingredient off in turn"
    yield (
        "Budgets as ever. Yaw: the direction fitted on the root's class, its slope per sigma on the other class "
        "(drawings have a standard deviation of 0.58), which the score does not see."
    )
    yield from _by_size(known, lambda known: _changes(known, "ours, ", UNIONS[:3]))


def _tried(known: Known) -> Iterator[str]:
    yield "### One thing other"
    yield (
        "What was tried beside it, as above. How often new classes are shown, in fit and merge, is what was taken over "
        "(`classes alike` is without), and the aided baselines were given it too."
    )
    yield from _by_size(known, lambda known: _changes(known, "tried, ", UNIONS[:3]))


def _changes(known: Known, prefix: str, unions: Sequence[Sequence[str]]) -> str:
    """Our recipe beside those that the ways of this prefix change; "" where there is none."""
    ways = sorted(way for way in known.ways() if way.startswith(prefix))
    rows = []
    for way in ("ours", *ways) if ways else ():
        row = [way.removeprefix(prefix)]
        for union in unions:
            cells = known.cells(union, way)
            row += [spread([union_score(c) for c in cells]), spread([_others_yaw(c, "slope") for c in cells])]
        rows.append(row)
    return table(["", *(f"{'+'.join(union)}, {what}" for union in unions for what in ("score", "yaw"))], rows)


def _others_yaw(record: dict, key: str) -> float:
    """Mean over the classes that are not the root's."""
    rows = [record["yaw"][name] for name in record["classes"][1:]]
    return statistics.mean(row[key] for row in rows)


def _rates(known: Known) -> Iterator[str]:
    yield "### Are the shared settings fair?"
    yield "Other learning rates, and other strengths of what holds a student near the root; score against drawings."
    yield from _by_size(known, _rate_table)


def _rate_table(known: Known) -> str:
    ways = {way for way in known.ways() if ", rate" in way or ", strength" in way}
    rows = []
    for way in sorted(ways | {way.partition(",")[0] for way in ways}):
        base, comma, change = way.partition(",")
        scores = (spread(known.values(union, way, union_score)) for union in UNIONS[:2])
        rows.append([TITLES[base] + comma + change, *scores])
    return table(["", *("+".join(union) for union in UNIONS[:2])], rows)


def _space(known: Known) -> Iterator[str]:
    yield "### The shared latent space"
    yield (
        "A yaw direction fitted by a linear SVM on the root's class alone, measured on the other classes: slope per "
        "sigma / correlation within a picture (largest slope of 20 random directions)."
    )
    yield from _by_size(known, _space_table)


def _space_table(known: Known) -> str:
    ways, rows = ("transfer", "transfer+", "distillation", "plain", "ours", "upper"), []
    for union in SHOWN:
        row = ["+".join(union)]
        for way in ways:
            cells = known.cells(union, way)
            row.append("-" if not cells else
                       f"{statistics.mean(_others_yaw(c, 'slope') for c in cells):+.2f} / "
                       f"{statistics.mean(_others_yaw(c, 'correlation') for c in cells):.2f} "
                       f"({statistics.mean(_others_yaw(c, 'largest') for c in cells):.2f})")  # fmt: skip
        rows.append(row)
    return table(["union", *(TITLES[way] for way in ways)], rows)


def _classes(known: Known) -> Iterator[str]:
    yield "### Every class of the union of four (table 4)"
    yield from _by_size(known, _class_table)


def _class_table(known: Known) -> str:
    union, ways = UNIONS[-1], [way for way in TITLES if way != "distillation"]
    rows = [[name, *(spread(known.values(union, way, class_score(name))) for way in ways)] for name in union]
    return table(["score against drawings", *(TITLES[way] for way in ways)], rows)


def _distances(known: Known) -> Iterator[str]:
    yield "### Weight distances (table 2)"
    yield "d(A, B) from the root to the source, and to the model rooted on it."
    yield from _by_size(known, _distance_table)


def _distance_table(known: Known) -> str:
    rows = []
    for found in UNIONS:
        for record in known.cells(found, "plain")[:1]:
            notes = record["notes"]
            rows += [["+".join(found), name, number(notes.get(f"distance/root-source/{name}")),
                      number(notes.get(f"distance/root-rooted/{name}"))] for name in found[1:]]  # fmt: skip
    return table(["union", "source", "d(root, source)", "d(root, rooted)"], rows)


def _roots(known: Known) -> Iterator[str]:
    yield "### The choice of the root (table 5)"
    yield (
        "Every model of every union as the root, by our recipe, one seed; beside it what `recommend` would pick by "
        "each of its scores, from samples alone; where it is told nothing apart, as two models by a distance, it picks "
        "none."
    )
    for size in SIZES:
        yield from _root_table(known.at(size))


def _root_table(known: Known) -> Iterator[str]:
    rows, hits, won, worst = [], {}, {}, 1.0
    for names, picks in known.picks().items():
        classes = names.split("+")
        orders = {root: (root, *(name for name in classes if name != root)) for root in classes}
        cells = {root: known.cells(order, "ours")[:1] for root, order in orders.items()}  # the first seed
        if not all(cells.values()):
            continue
        scores = {root: union_score(found[0]) for root, found in cells.items()}
        best, worst = min(scores, key=scores.get), max(worst, max(scores.values()) / min(scores.values()))
        for score, pick in picks.items():
            hits.setdefault(score, []).append(pick == best)
        for root in classes:
            won.setdefault(root, []).append(root == best)
        shown = ", ".join(f"{root} {score:.2f}" for root, score in scores.items())
        rows.append([names, shown, best, ", ".join(f"{score}: {pick}" for score, pick in picks.items())])
    if rows:
        chance = statistics.mean(1 / len(row[0].split("+")) for row in rows)
        yield (
            f"At {known.resolution} px "
            + "; ".join(f"{score} is right in {sum(found)} of {len(found)}" for score, found in hits.items())
            + f"; a guess would be in {chance:.0%}. The best root is "
            + ", ".join(f"{name} in {sum(found)} of {len(found)}" for name, found in won.items())
            + f" unions that have it. The worst gives up to {worst:.1f} times the score of the best, so try more than "
            "one root, whatever a score of samples says."
        )
    yield table(["sources", "union's score by root", "best", "picks"], rows)


def _company(known: Known) -> Iterator[str]:
    yield "### The cat in growing company (table 6)"
    yield from _by_size(known, _company_table)


def _company_table(known: Known) -> str:
    rows = [[f"{len(union)} sources", *(spread(known.values(union, way, class_score("cat"))) for way in ROUGH)]
            for union in (UNIONS[0], UNIONS[3], UNIONS[4])]  # fmt: skip
    return table(["cat's score against drawings", *(TITLES[way] for way in ROUGH)], rows)


def _many(known: Known) -> Iterator[str]:
    large = known.at(BUNDLED)
    rows = [[f"{count} sources", *(spread(large.values(MANY[:count], way, mean_score)) for way in ROUGH)]
            for count in (2, 4, 5, 6, 7)]  # fmt: skip
    if all(cell == NOT_RUN for row in rows[2:] for cell in row[1:]):
        return
    yield "### Many sources (tables 7 and 8)"
    yield (
        f"At {BUNDLED} px. From the fifth on, variants: cats, faces and dogs with red and blue swapped "
        "(`benchmarks/variants.py`). Mean of the classes' scores; the budget for each class stays."
    )
    yield _picture(large, "methods", MANY)
    yield table(["score against drawings, mean of the classes", *(TITLES[way] for way in ROUGH)], rows)


def _unequal(known: Known) -> Iterator[str]:
    yield "### Sources of unequal quality (table 10)"
    yield from _by_size(known, _unequal_table)


def _unequal_table(known: Known) -> str:
    rows = [[label, *(spread(known.values(PAIR, way, union_score, shares=shares)) for way in ROUGH)]
            for label, shares in (("both trained fully", "cat+face"), ("root a tenth as long", "cat*0.1+face"),
                                  ("other source a tenth as long", "cat+face*0.1"))]  # fmt: skip
    if all(cell == NOT_RUN for row in rows[1:] for cell in row[1:]):
        return ""
    return table(["cat+face, score against drawings", *(TITLES[way] for way in ROUGH)], rows)


def _sizes(known: Known) -> Iterator[str]:
    rows = [[f"{size} px", *(spread(known.at(size).values(PAIR, way, union_score)) for way in ROUGH)]
            for size in (16, *SIZES)]  # fmt: skip
    if sum(any(cell != NOT_RUN for cell in row[1:]) for row in rows) < 2:
        return
    yield "### Resolution (table 11)"
    yield (
        f"Score against drawings of this size. The sources of {BUNDLED} px are the bundled models; the budget is the "
        "same at every size."
    )
    yield table(["+".join(PAIR), *(TITLES[way] for way in ROUGH)], rows)


def _inherited(known: Known) -> Iterator[str]:
    yield "### What is inherited from the root"
    yield from _by_size(known, _inherited_table)


def _inherited_table(known: Known) -> str:
    kept = ("scratch", "keeps generator", "keeps discriminator", "transfer")
    cells = [known.values(PAIR, way, union_score) for way in kept]
    if not any(cells[1:3]):
        return ""
    return table(["", *("nothing", "generator", "discriminator", "both")], [["+".join(PAIR), *map(spread, cells)]])


def _pictures(known: Known) -> Iterator[str]:
    yield "### Score over pictures seen, and uncurated samples (figures 5 to 8, 12 and 13)"
    yield "First seed; samples of the same latents at psi 1, a row for each class."
    for union, size, kind in itertools.product(UNIONS, SIZES, FIGURES):
        yield _picture(known.at(size), kind, union)


def _picture(known: Known, kind: str, union: Sequence[str]) -> str:
    """A figure of a union that was run, or ""."""
    path = picture_of(kind, union, known.resolution)
    if not known.cells(union, "ours") or not path.exists():
        return ""
    return f"![{'+'.join(union)}, {known.resolution} px: {FIGURES[kind]}](pictures/{path.name})"
