"""python -m cocktail recommend: which of several models to make the root."""

import argparse
import json

from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, bar, drain, register, table
from cocktail.errors import CocktailError
from cocktail.metrics.recommend import Recommendation, recommendation
from cocktail.sources import GanSource


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("refs", metavar="SRC", nargs="+", help=f"two models or more: {MODEL_HELP}")
    command.add_argument("-n", type=int, default=500, help="pictures of each model (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of the samples (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print the scores as JSON")


@register("recommend", "say which of several models to make the root of a merge", _options)
def recommend(args: argparse.Namespace) -> None:
    """Prints the scores of each model beside the others, which root each score would pick, and a choice."""
    twice = [ref for index, ref in enumerate(args.refs) if ref in args.refs[:index]]
    if twice:
        raise CocktailError(f"{twice[0]} is given twice; name each model once.")
    sources = {ref: GanSource(load(ref)) for ref in args.refs}
    with bar(None, "measuring", " pictures") as shown:

        def show(step: tuple[int, int]) -> None:
            done, shown.total = step
            shown.update(done - shown.n)

        found: Recommendation = drain(recommendation(sources, args.n, args.seed), show)
    if args.json:
        print(json.dumps(found.to_dict(), indent=2))
        return
    print(f"{found.features}; {found.dim} dimensions, n = {found.n} of each model, seed {found.seed}")
    scores = {name: {score: getattr(row, score) for score in found.scores} for name, row in found.rows.items()}
    remarks = any(row.remark for row in found.rows.values())
    print(
        table(
            {k: v | ({"remark": found.rows[k].remark or None} if remarks else {}) for k, v in scores.items()}, "model"
        )
    )
    looks = "" if "lpips" in found.scores else ", as LPIPS is not at hand"
    print(f"diversity: mean feature distance of two samples{looks}")
    print(
        "each score alone would pick: "
        + ", ".join(f"{score} {found.picks.get(score, 'none')}" for score in found.scores)
    )
    print(f"root: {found.best}. {found.reason}")
