"""How near inversion comes to drawings that the bundled union never saw, and how soon.

python -m benchmarks.inversion                 # measures and writes docs/inversion.json
python -m benchmarks.inversion --encoder FILE  # with another encoder than the bundled one
"""

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cocktail import domains, hardware
from cocktail.checkpoints import load, write_text
from cocktail.commands.base import bar, drain
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from editing.encoder import FILE, Encoder, find_encoder, read_encoder
from editing.inversion import Inversion, InversionConfig, project
from editing.verdict import judge, typical_of

OUT = Path(__file__).parents[1] / "docs" / "inversion.json"
REF = "bundled/union"
SEED = 20_240  # of the drawings; training drew from other seeds
DRAWINGS = 20  # of each class
MARKS_SEC = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
GOAL_DB, GOAL_SEC = 20.0, 20.0


def measure(ref: str = REF, encoder: Encoder | None = None, drawings: int = DRAWINGS) -> dict:
    """Inverts fresh drawings of every class of a model of drawn domains; plain JSON data.

    Raises: CocktailError where the model has no encoder, or a class that nobody can draw.
    """
    gan = load(ref)
    encoder = encoder or find_encoder(ref, gan)
    if encoder is None:
        raise CocktailError(f"{ref} has no {FILE}; train one with: python -m editing.encoder {ref} --out FILE")
    images = {name: domains.get(name).draw(drawings, _rng(), gan.resolution)[0] for name in gan.classes}
    with bar(drawings * len(images), "inverting", " drawings") as shown:
        classes = {name: _class(gan, encoder, name, img, shown.update) for name, img in images.items()}
    return {
        "model": ref,
        "fingerprint": encoder.fingerprint,
        "hardware": f"{_processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
        "drawings": drawings,
        "encoder": {key: encoder.notes.get(key) for key in ("minutes", "config", "typical")},
        "classes": classes,
    }


def _rng() -> torch.Generator:
    return torch.Generator().manual_seed(SEED)


def _class(gan: Gan, encoder: Encoder, name: str, images: Tensor, report: Callable[[int], object]) -> dict:
    """Medians over drawings of one class; shares of right guesses and of right verdicts."""
    runs, typical = [], typical_of(encoder)
    for image in images:
        runs.append(_run(gan, encoder, image[None]))
        report(1)
    found = [inversion for inversion, _ in runs]
    narrow = [_run(gan, encoder, image[None], "w")[0] for image in images]
    turned = [_run(gan, encoder, image[None].flip(2))[0] for image in images]
    return {
        "encoder_db": _median(inversion.encoder_psnr for inversion in found),
        "after_db": {f"{mark:g}": _median(_best(track, mark) for _, track in runs) for mark in MARKS_SEC},
        "reached_db": _median(inversion.psnr for inversion in found),
        "least_db": min(inversion.psnr for inversion in found),
        "seconds": _median(inversion.elapsed_sec for inversion in found),
        "steps": _median(inversion.steps for inversion in found),
        "w_db": _median(inversion.psnr for inversion in narrow),
        "class_guessed": float(np.mean([inversion.label == name for inversion in found])),
        "accepted": float(np.mean([judge(each, typical).drawable for each in found])) if typical else None,
        "refused_turned": float(np.mean([not judge(each, typical).drawable for each in turned])) if typical else None,
    }


def _run(gan: Gan, encoder: Encoder, image: Tensor, space: str = "w+") -> tuple[Inversion, list[tuple[float, float]]]:
    """One inversion with the class guessed, and its best PSNR at every step: (seconds, dB)."""
    track: list[tuple[float, float]] = []
    steps = project(gan, image, None, InversionConfig(space=space, report_steps=1), encoder=encoder)
    return drain(steps, lambda progress: track.append((progress.elapsed_sec, progress.psnr))), track


def _best(track: list[tuple[float, float]], seconds: float) -> float:
    """The PSNR that was reached by then; the first report has come at any rate."""
    return [psnr for elapsed, psnr in track if elapsed <= seconds or elapsed == track[0][0]][-1]


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def section(data: dict) -> str:
    """The measurement as a section of Markdown."""
    marks = list(next(iter(data["classes"].values()))["after_db"])
    head = ["class", "encoder alone", *(f"{mark} s" for mark in marks), "least", "in W", "seconds", "steps"]
    rows = [head, ["---"] * len(head)]
    for name, row in data["classes"].items():
        numbers = [row["encoder_db"], *row["after_db"].values(), row["least_db"], row["w_db"]]
        rows.append([name, *(f"{value:.1f}" for value in numbers), f"{row['seconds']:.1f}", f"{row['steps']:.0f}"])
    reached = min(row["after_db"][f"{GOAL_SEC:g}"] for row in data["classes"].values())
    met = "reached" if reached >= GOAL_DB else "**missed**"
    parts = [
        "## Inversion",
        f"{data['drawings']} drawings of each class that `{data['model']}` never saw, class guessed by the encoder, "
        f"default settings; median PSNR in dB of the best code so far, in w+ unless stated. {data['hardware']}.",
        "\n".join("| " + " | ".join(row) + " |" for row in rows),
        "It stops by itself where nothing is gained any more, so later columns repeat earlier ones.",
        f"Goal: median PSNR of at least {GOAL_DB:g} dB in w+ after at most {GOAL_SEC:g} s, in every class: "
        f"{reached:.1f} dB in the worst, {met}.",
        *_judged(data),
    ]
    return "\n\n".join(parts) + "\n"


def _judged(data: dict) -> list[str]:
    rows, typical = data["classes"].values(), data["encoder"]["typical"]
    if not typical or any(row["accepted"] is None for row in rows):
        return []
    guessed, accepted, refused = (
        100 * np.mean([row[key] for row in rows]) for key in ("class_guessed", "accepted", "refused_turned")
    )
    return [
        f"Class guessed rightly: {guessed:.0f} %. Own samples come back to {typical['psnr']:.1f} dB. Said to be "
        f"drawable: {accepted:.0f} % of the drawings, {100 - refused:.0f} % of the same ones upside down."
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Measures and writes the JSON file, prints the section; 2 after a one-line error."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--encoder", type=Path, help="an encoder's file (default: the bundled one)")
    parser.add_argument("--drawings", type=int, default=DRAWINGS, help="of each class (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=hardware.available_threads(), help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, help="JSON file to write")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        encoder = read_encoder(args.encoder, load(REF)) if args.encoder else None
        data = measure(REF, encoder, args.drawings)
        write_text(args.out, json.dumps(data, indent=2) + "\n")
    except CocktailError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    print(section(data))
    return 0


if __name__ == "__main__":
    sys.exit(main())
