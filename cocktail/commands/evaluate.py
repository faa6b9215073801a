"""python -m cocktail evaluate: scores of a model against drawn domains or other models."""

import argparse
import dataclasses
import json

from cocktail import metrics
from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, bar, drain, register, table


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", help=MODEL_HELP)
    command.add_argument(
        "--against", nargs="+", required=True, metavar="SRC",
        help='a drawn domain (face, cat, dog, car) or a model per class; "CLASS=SRC" where its name is another',
    )  # fmt: skip
    command.add_argument("--n", type=int, default=2000, help="pictures per class and side (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="of samples and references (default: %(default)s)")
    command.add_argument("--json", action="store_true", help="print the report as JSON")


@register("evaluate", "score a model against drawn domains or other models", _options)
def evaluate(args: argparse.Namespace) -> None:
    """Prints Frechet distance with its floor, precision, recall, class accuracy and spread of yaw per class."""
    gan = load(args.ref)
    references = [metrics.reference(text, gan) for text in args.against]
    steps = metrics.evaluation(gan, references, metrics.OracleFeatures(), args.n, args.seed)
    with bar(None, "measuring", " pictures") as shown:

        def show(step: tuple[int, int]) -> None:
            done, shown.total = step
            shown.update(done - shown.n)

        report = drain(steps, show)
    if args.json:
        print(json.dumps(report.to_dict(), indent=2))
        return
    print(f"{report.features} features ({report.dim}), n = {report.n} per class and side, seed {report.seed}")
    rows = dict(report.classes) | ({"union": report.union} if report.union else {})
    print(table({name: dataclasses.asdict(scores) for name, scores in rows.items()}))
    if report.distances:
        print("distances of the references: " + ", ".join(f"{k} {v:.4g}" for k, v in report.distances.items()))
