"""python -m cocktail push: a model to the Hugging Face Hub."""

import argparse
import json
import sys

from cocktail.checkpoints import load, modelcard
from cocktail.checkpoints.push import push_to_hub
from cocktail.commands.base import MODEL_HELP, register


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", help=MODEL_HELP)
    command.add_argument("repo", metavar="USER/NAME", help="where to; made where it is not there yet")
    command.add_argument("--private", action="store_true", help="make it for yourself alone")
    command.add_argument("--branch", help="of the repository (default: main)")
    command.add_argument("--message", help="of the commit")
    command.add_argument("--json", action="store_true", help="print address, licence and warnings as JSON")


@register("push", "put a model on the Hugging Face Hub, with card, samples and recipe", _options)
def push(args: argparse.Namespace) -> None:
    """Pushes; warns of what the licences of the sources ask for. You are signed in by `hf auth login` or HF_TOKEN."""
    gan = load(args.ref)
    licence, warnings = modelcard.licence(gan.card), modelcard.inherited(gan.card).warnings
    if not args.json:
        print("\n".join(f"note: {text}" for text in warnings), end="\n" if warnings else "", file=sys.stderr)
    url = push_to_hub(gan, args.repo, args.private, branch=args.branch, message=args.message)
    said = {"url": url, "licence": licence or None, "warnings": list(warnings)}
    print(json.dumps(said) if args.json else f"{args.repo} is at {url} (licence: {licence or 'unknown'})")
