"""Writes docs/RESULTS.md: what the bundled models are, how they were made, how they score, uncurated grids."""

import json
from collections.abc import Iterator
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from benchmarks import across, inversion, merge, studio, tables_report, transfer
from cocktail import checkpoints, domains
from cocktail.checkpoints import write_text
from cocktail.domains.oracle import CONFIG, FOLDER
from cocktail.gan import Gan
from cocktail.images import grid

DOCS = Path(__file__).parents[1] / "docs"
COLUMNS, ROWS, ENLARGE = 12, 3, 2


def write() -> None:
    """Writes the page and its pictures from the bundled models' cards; nothing is measured here."""
    sources = {name: checkpoints.load(f"bundled/{name}") for name in domains.names()}
    union = checkpoints.load("bundled/union")
    for name, gan in sources.items():
        picture(gan.sample(range(COLUMNS * ROWS)), name)
    picture(torch.cat([union.sample(range(COLUMNS), label) for label in union.classes]), "union")
    picture(torch.cat([union.sample(range(COLUMNS), label, truncation=0.7) for label in union.classes]), "union-psi0.7")
    write_text(DOCS / "RESULTS.md", page(sources, union))


def picture(img: torch.Tensor, name: str) -> None:
    """Saves pictures float32 [N, 3, H, W] as an enlarged grid."""
    (DOCS / "pictures").mkdir(parents=True, exist_ok=True)
    large = F.interpolate(img, scale_factor=ENLARGE, mode="bicubic", align_corners=False).clamp(-1, 1)
    grid(large, COLUMNS).save(DOCS / "pictures" / f"{name}.png", optimize=True)


def keep(path: Path) -> None:
    """Copies a grid that a run wrote, enlarged, next to the page's other pictures."""
    (DOCS / "pictures").mkdir(parents=True, exist_ok=True)
    with Image.open(path) as image:
        large = image.resize((image.width * ENLARGE, image.height * ENLARGE), Image.Resampling.BICUBIC)
        large.save(DOCS / "pictures" / path.name, optimize=True)


def page(sources: dict[str, Gan], union: Gan) -> str:
    """The page as Markdown."""
    spreads = {name: gan.card["factor_spread"][name] for name, gan in sources.items()}
    spreads |= {f"union, {name}": row for name, row in union.card["factor_spread"].items()}
    varied = list(dict.fromkeys(factor for row in spreads.values() for factor in row))
    meaning = union.card["shared_factors"]
    shared = list(dict.fromkeys(factor for row in meaning.values() for factor in row))
    oracle = json.loads((FOLDER / CONFIG).read_text(encoding="utf-8"))
    parts = [
        "# Results: the bundled models",
        "Made by `make bundle`. Every number below is read from the models' cards and the .json files beside this "
        "page, where the run that measured it wrote it. Scores are Frechet distances on the oracle's features, with "
        "the floor (drawings against other drawings) beside them: 0 is out of reach. Scores are better when low; "
        "accuracy, precision and recall when high.",
        "## How they were made",
        how_sources({name: gan.card["recipe"] for name, gan in sources.items()}),
        how_union(union.card["recipe"]),
        "**What the merge knew.** In the run itself no drawing and no reading of the oracle took part: not in a "
        "loss, a stop or the choice of a checkpoint. Its settings were chosen by hand with the oracle in view, on "
        "these four domains and one seed: the root (the cat, since its smile varies), the ridge of the alignment "
        "(of 0.01 to 100, by how well yaw and place were kept), the thresholds and weight of matching and contrasts "
        "(by how much the smiles move) and the sources' training. So the scores below are of tuned settings, not of "
        "settings that were fixed beforehand.",
        _table(
            ["model", "images seen", "minutes", "hardware"],
            [_made(n, g) for n, g in {**sources, "union": union}.items()],
        ),
        f"Features: {union.card['score_features']}. Distances between the domains' drawings, as a scale: "
        + ", ".join(f"{pair} {value:.0f}" for pair, value in union.card["distances"].items())
        + ".",
        "## Scores against new drawings",
        _table(
            _HEADER,
            [_scores(name, gan.card["scores"][name]) for name, gan in sources.items()]
            + [_scores(f"union, {name}", union.card["scores"][name]) for name in (*union.classes, "all")],
        ),  # fmt: skip
        "## The union against samples of its sources",
        _table(_HEADER, [_scores(n, s) for n, s in union.card["scores_against_sources"].items()]),
        "## The numbers to reach",
        _table(["what", "for", "reached", "wanted", ""], [_goal(*goal) for goal in goals(sources, union)]),
        "## What varies",
        "Standard deviation of what the oracle reads in 1000 samples, as a share of that in 1000 drawings; near 0 the "
        "model draws one value only.",
        _table(["class", *varied], [[who, *(_number(row.get(key)) for key in varied)] for who, row in spreads.items()]),
        "## What the merge recorded",
        "Weight distance d(A, B) of the paper's Table 2: L2 per tensor of the generator, mean over tensors.",
        _table(["quantity", "value"], [[k, _number(v)] for k, v in union.card["notes"].items()]),
        "## One latent, every class",
        f"Correlation over 1000 latents of what the oracle reads in the {union.classes[0]} of a z and in another class "
        "of the same z. The merge never saw a factor; 0 would be spaces that have nothing to do with each other.",
        _table(
            ["class", *shared],
            [[name, *(_number(row.get(key)) for key in shared)] for name, row in meaning.items()],
        ),
        "## The judge",
        "The oracle reads class and factors from a picture; its embedding (128 numbers) is what the scores compare. On "
        f"{oracle['training']['held_out']} held-out drawings of each class:",
        _table(
            ["class", "accuracy", "R2 of continuous factors, accuracy of binary ones"],
            [_judged(name, entry) for name, entry in oracle["held_out"].items()],
        ),
        *measured(),
        "## Uncurated pictures",
        "Seeds in order, truncation psi 1. Rows of the union are its classes, each column is one z.",
        *(f"**{name}**\n\n![{COLUMNS * ROWS} samples of {name}](pictures/{name}.png)" for name in sources),
        f"**union**\n\n![samples of {', '.join(union.classes)} for the same latents](pictures/union.png)",
        "**union, psi 0.7**\n\n![the same latents, truncated](pictures/union-psi0.7.png)",
        "**average of the rooted models, before merging**\n\n![samples before fine-tuning](pictures/average.png)",
    ]
    return "\n\n".join(parts) + "\n"


def measured() -> Iterator[str]:
    """The sections of what was measured apart from the bundle, each from the file that its benchmark wrote."""
    for benchmark in (transfer, inversion, studio, merge, across, tables_report):
        path = DOCS / f"{benchmark.__name__.rpartition('.')[2].removesuffix('_report')}.json"
        if path.is_file():
            yield benchmark.section(json.loads(path.read_text(encoding="utf-8")))


def how_sources(recipes: dict[str, dict]) -> str:
    """What was done to the sources, in words, from their recipes."""
    first = next(iter(recipes.values()))
    fit, config = first["warm_start"], first["config"]
    sizes = [f"{kimg:g} kimg at {fit['start_resolution'] << i} px" for i, kimg in enumerate(fit["stage_kimg"])]
    helped = [name for name, recipe in recipes.items() if recipe["warm_start"].get("contrast_weight")]
    contrasts = (
        f" The fit of the {', '.join(helped)} also compares pairs of drawings that differ in one factor alone, the "
        "smile: without them it was left out (spread 0.24 of the drawings', score 7.7)."
    )
    return (
        f"**Sources.** First a fit ({', '.join(sizes)}): the factors of a drawing, made normal and rotated at random, "
        f"are its latent, and a growing generator learns the drawing that belongs to it.{contrasts if helped else ''} "
        f"Then adversarial training ({config['total_kimg']:g} kimg, {config['loss']} loss, R1 and R2) that stays near "
        "those pairs."
    )


def how_union(recipe: dict) -> str:
    """What the merge did, in words, from its recipe."""
    config, root = recipe["config"], recipe["sources"][recipe["root"]]["names"][0]
    share = config.get("new_share", 1.0)
    more = f" Both show the classes that the {root} lacks {share:g} times as often as the {root}." if share != 1 else ""
    kimg, fit, merge = config["root"]["total_kimg"], sum(config["warm"]["stage_kimg"]), config["merge"]["total_kimg"]
    return (
        f"**Union.** The cocktail: rooting of each source on the {root} ({kimg:g} kimg each), the average of all, "
        f"and an adversarial merge on the sources' samples ({merge:g} kimg). Beyond the paper (preset `small`, for "
        "longer): a class embedding in W; the rooted models tell which latent of a source belongs to which of the root "
        f"(`cocktail/methods/alignment.py`), and small things, like mouths, are matched by where in the picture they "
        "show (`cocktail/methods/visible.py`); the average is fitted to the samples so aligned and to pairs of them "
        f"that differ along one such direction, the most missed most often ({fit:g} kimg), and the merge stays near "
        f"them.{more} The paper's own recipe is the preset `paper`."
    )


def goals(sources: dict[str, Gan], union: Gan) -> Iterator[tuple[str, str, float, float, bool]]:
    """What was wanted of the bundled models: (what, for which, reached, wanted, whether less is better)."""
    scale = next(far for pair, far in union.card["distances"].items() if {"face", "cat"} == set(pair.split("-")))
    for name, gan in sources.items():
        own, merged = gan.card["scores"][name], union.card["scores"][name]
        yield "score, % of the distance face-cat", name, 100 * own["frechet"] / scale, 2.0, True
        yield "score, multiple of the source's", f"union, {name}", merged["frechet"] / own["frechet"], 1.5, True
        for title, scores in ((name, own), (f"union, {name}", merged)):
            yield "class accuracy", title, scores["class_accuracy"], 0.99, False
            yield (
                "yaw sd, multiple of the drawings'",
                title,
                scores["yaw_std"] / scores["reference_yaw_std"],
                0.8,
                False,
            )
            yield "recall", title, scores["recall"], 0.5, False


def _goal(what: str, who: str, reached: float, wanted: float, less: bool) -> list[str]:
    met = reached <= wanted if less else reached >= wanted
    limit = f"{'at most' if less else 'at least'} {wanted:g}"
    return [what, who, f"{reached:.3g}", limit, "" if met else "**missed**"]


def _judged(name: str, entry: dict) -> list[str]:
    factors = ", ".join(f"{factor} {value:.2f}" for factor, value in entry["factors"].items())
    return [name, f"{entry['accuracy']:.4f}", factors]


_HEADER = ["class", "score", "floor", "class accuracy", "precision", "recall", "yaw sd", "yaw sd of reference"]


def _scores(name: str, scores: dict) -> list[str]:
    keys = ("frechet", "floor", "class_accuracy", "precision", "recall", "yaw_std", "reference_yaw_std")
    return [name, *(_number(scores[key]) for key in keys)]


def _made(name: str, gan: Gan) -> list[str]:
    return [name, f"{gan.card['images_seen']:,}", str(gan.card["minutes"]), gan.card["hardware"]]


def _number(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else "-" if value is None else str(value)


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


if __name__ == "__main__":
    write()
