"""python -m cocktail zoo: well-known public checkpoints, fetched by name."""

import argparse
import json

from cocktail.checkpoints import zoo
from cocktail.commands.base import bar, register, table


def _options(command: argparse.ArgumentParser) -> None:
    actions = command.add_subparsers(dest="action", required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="the models that there are, with licences")
    listing.add_argument("--json", action="store_true", help="print them as JSON")
    fetch = actions.add_parser("fetch", help="download models; each is then zoo/NAME everywhere")
    fetch.add_argument("names", metavar="NAME", nargs="+", help="as `zoo list` has them")


@register("zoo", "list and fetch well-known public checkpoints", _options)
def run(args: argparse.Namespace) -> None:
    """Lists, or downloads what is named; says the licence of each and the file that it became."""
    if args.action == "list":
        print(json.dumps(_described(), indent=2) if args.json else _listed())
        return
    for entry in [zoo.entry(name) for name in args.names]:
        with bar(None, entry.name, "B") as shown:

            def show(done: int, total: int, shown=shown) -> None:
                shown.total = total or None
                shown.update(done - shown.n)

            path = zoo.fetch(entry.name, show)
        data = f"; trained on {entry.data} pictures" if entry.data else ""
        print(f"{entry.ref}: {path}\n  licence {entry.licence} ({entry.licence_link}){data}\n  sha256 {_hash(entry)}")


def _hash(entry: zoo.Entry) -> str:
    kind = "published" if entry.sha256 else "recorded when it was first fetched"
    return f"{zoo.recorded(entry.name)} ({kind})"


def _listed() -> str:
    rows = {
        entry.ref: {"what": entry.title, "px": str(entry.resolution), "format": entry.format, "licence": entry.licence,
                    "pictures": entry.data or "not stated", "here": "yes" if zoo.is_here(entry.name) else "no"}
        for entry in zoo.entries().values()
    }  # fmt: skip
    return table(rows, "name")


def _described() -> list[dict]:
    return [
        {"ref": entry.ref, "title": entry.title, "publisher": entry.publisher, "url": entry.url,
         "resolution": entry.resolution, "format": entry.format, "licence": entry.licence,
         "licence_link": entry.licence_link, "data": entry.data or None, "here": zoo.is_here(entry.name),
         "sha256": zoo.recorded(entry.name) or None}
        for entry in zoo.entries().values()
    ]  # fmt: skip
