"""python -m cocktail info: what a model is."""

import argparse
import json

from cocktail.checkpoints import bundled, load, modelcard
from cocktail.checkpoints.native import describe
from cocktail.commands.base import MODEL_HELP, register, table

SHOWN = (*modelcard.SCORES, "yaw_std", "reference_yaw_std")  # of the scores in a card, which has many


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", nargs="?", help=MODEL_HELP)
    command.add_argument("--json", action="store_true", help="print it as JSON")


@register("info", "say what a model is; without REF, list the bundled ones", _options)
def info(args: argparse.Namespace) -> None:
    """Prints architecture, classes, sizes, card and scores of a model, or the names of the bundled ones."""
    if args.ref is None:
        names = [f"bundled/{name}" for name in bundled()]
        text = "\n".join(names) or "no models are bundled; make them with: make bundle"
        print(json.dumps(names) if args.json else text)
        return
    gan = load(args.ref)
    described = describe(gan)
    sizes = {"resolution": gan.resolution, "z_dim": gan.z_dim, "w_dim": gan.w_dim, "num_ws": gan.num_ws}
    if args.json:
        print(json.dumps({"ref": args.ref, **sizes, "parameters": gan.num_parameters, **described}, indent=2))
        return
    rows = {
        "model": args.ref,
        "title": gan.card.get("title"),
        "description": gan.card.get("description"),
        "architecture": described["generator"]["architecture"],
        "latents": f"z {gan.z_dim}, w {gan.w_dim}, {gan.num_ws} layers",
    } | modelcard.facts(gan)
    width = max(map(len, rows))
    print("\n".join(f"{name:{width}}  {value}" for name, value in rows.items() if value))
    scores = gan.card.get("scores")
    if isinstance(scores, dict) and scores and all(isinstance(value, dict) for value in scores.values()):
        print(table({name: {key: row.get(key) for key in SHOWN} for name, row in scores.items()}))
