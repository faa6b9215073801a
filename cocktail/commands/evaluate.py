"""python -m cocktail evaluate: scores of a model against drawn domains or other models."""

import argparse
import dataclasses
import json

from cocktail import metrics
from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, bar, drain, register, table
from cocktail.metrics.choosing import CHOICES


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", help=MODEL_HELP)
    command.add_argument(
        "--against", nargs="+", required=True, metavar="SRC",
        help='a drawn domain (face, cat, dog, car) or a model per class; "CLASS=SRC" where its name is another',
    )  # fmt: skip
    command.add_argument(
        "--features", choices=CHOICES, default="auto",
        help="what pictures are compared by; auto is the oracle for drawn classes, else the references' own "
        "discriminators (default: %(default)s)",
    )  # fmt: skip
    command.add_argument("--n", type=int, default=2000, help="pictures per class and side (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of samples and references (default: %(default)s)")
    command.add_argument(
        "--intervals", action=argparse.BooleanOptionalAction, default=True,
        help="95 %% intervals of the scores, for the noise of the pictures (default: on)",
    )  # fmt: skip
    command.add_argument("--json", action="store_true", help="print the report as JSON")


@register("evaluate", "score a model against drawn domains or other models", _options)
def evaluate(args: argparse.Namespace) -> None:
    """Prints the scores of each class, their intervals, and the distances of the references."""
    gan = load(args.ref)
    references = [metrics.reference(text, gan) for text in args.against]
    extractor = metrics.choose_features(args.features, gan, references, args.seed)
    steps = metrics.evaluation(gan, references, extractor, args.n, args.seed, intervals=args.intervals)
    with bar(None, "measuring", " pictures") as shown:

        def show(step: tuple[int, int]) -> None:
            done, shown.total = step
            shown.update(done - shown.n)

        report = drain(steps, show)
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    _print(report)


def _print(report: metrics.Report) -> None:
    print(f"{report.features}; {report.dim} dimensions, n = {report.n} per class and side, seed {report.seed}")
    rows = dict(report.classes) | ({"union": report.union} if report.union else {})
    scores = {name: dataclasses.asdict(row) for name, row in rows.items()}
    intervals = {name: row.pop("intervals") for name, row in scores.items()}
    had = [key for key in next(iter(scores.values())) if any(row[key] is not None for row in scores.values())]
    print(table({name: {key: row[key] for key in had} for name, row in scores.items()}))
    if report.distances:
        print("distances of the references: " + ", ".join(f"{k} {v:.4g}" for k, v in report.distances.items()))
    if any(intervals.values()):
        print("95 % intervals, for other draws of as many pictures (not for another training):")
        cells = {name: {key: f"{low:.4g} to {high:.4g}" for key, (low, high) in row.items()}
                 for name, row in intervals.items()}  # fmt: skip
        print(table(cells))
