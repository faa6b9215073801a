"""python -m cocktail space: the studio around one model as a Hugging Face Space."""

import argparse
from pathlib import Path

from cocktail.checkpoints import space
from cocktail.commands.base import MODEL_HELP, register


def _options(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    push = actions.add_parser("push", help="create or update a Space that opens on a model")
    push.add_argument("repo", metavar="USER/NAME", help="the Space; made where it is not there yet")
    push.add_argument("--private", action="store_true", help="make it for yourself alone")
    push.add_argument("--hardware", metavar="NAME", help="cpu-basic, zero-a10g, t4-small, ... (default: as it is)")
    build = actions.add_parser("build", help="write the same files into a folder")
    build.add_argument("folder", metavar="FOLDER", type=Path, help="new folder")
    for action in (push, build):
        action.add_argument("--model", metavar="REF", required=True, help=MODEL_HELP)


@register("space", "the studio around one model, as a Hugging Face Space", _options)
def run(args: argparse.Namespace) -> None:
    """Pushes a Space or writes its folder. You are signed in by `hf auth login` or HF_TOKEN."""
    if args.action == "build":
        folder = space.build(args.folder, args.model)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{folder}: a Space around {args.model}, {size / 1e6:.1f} MB")
        return
    print(f"{args.repo} is at {space.push(args.repo, args.model, args.private, args.hardware)}")
