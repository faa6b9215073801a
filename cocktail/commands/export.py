"""python -m cocktail export: a model as ONNX files, or as a page that draws in the browser."""

import argparse
import json
from pathlib import Path

from cocktail.checkpoints import load
from cocktail.commands.base import MODEL_HELP, register
from cocktail.errors import CocktailError
from cocktail.export import to_onnx, to_page


def _options(command: argparse.ArgumentParser) -> None:
    command.add_argument("ref", metavar="REF", help=MODEL_HELP)
    command.add_argument("--onnx", metavar="DIR", type=Path, help="write mapping.onnx, synthesis.onnx, generator.onnx")
    command.add_argument("--web", metavar="DIR", type=Path, help="write a page for any static host, or a disk")
    command.add_argument("--fp16", action="store_true", help="weights in 16 bits too; --web: in 16 bits only")
    command.add_argument("--int8", action="store_true", help="--onnx: weights in 8 bits too")
    command.add_argument("--json", action="store_true", help="print what was written as JSON")


@register("export", "write a model as ONNX files, or as a page that draws in the browser", _options)
def export(args: argparse.Namespace) -> None:
    """Exports, and prints sizes and the measured difference from PyTorch."""
    if args.onnx is None and args.web is None:
        raise CocktailError("say what to write: --onnx DIR, --web DIR, or both.")
    if args.int8 and args.onnx is None:
        raise CocktailError("--int8 goes with --onnx; a page takes --fp16.")
    gan, written, lines = load(args.ref), {}, []
    if args.onnx is not None:
        made = to_onnx(gan, args.onnx, fp16=args.fp16, int8=args.int8)
        written["onnx"] = {"folder": str(made.folder), "bytes": made.files, "difference": made.differences,
                           "mean_difference": made.means, "ms_per_picture": made.ms_per_picture}  # fmt: skip
        lines += [
            f"{made.folder / name}: {size:,} bytes, differs from PyTorch by {made.differences[name]:.2g} at most, "
            f"{made.means[name]:.2g} on average"
            for name, size in made.files.items()
        ]
        lines.append(f"{made.ms_per_picture:g} ms per picture with onnxruntime on one thread")
    if args.web is not None:
        page = to_page(gan, args.web, fp16=args.fp16)
        written["web"] = page
        lines.append(f"{args.web / 'index.html'}: {page['bytes'] / 1e6:.1f} MB, differs from PyTorch by "
                     f"{page['difference']:.2g} at most; open it, or put the folder on any static host")  # fmt: skip
    print(json.dumps(written) if args.json else "\n".join(lines))
