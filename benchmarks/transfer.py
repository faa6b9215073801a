"""Do directions mean the same in every class? Found on faces alone, measured on all classes of the bundled union.

    python -m benchmarks.transfer       # some ten minutes on one core; writes docs/transfer.json

Yaw against random directions of the same model, on all layers and on coarse ones only; then glasses, and what they
become where there are none. Layers, labels and directions come from faces; the other classes are only measured.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from cocktail import checkpoints, domains, hardware
from cocktail.gan import Gan, latents
from cocktail.metrics.features import OracleFeatures
from editing.directions import Layers, effects, fit, move, readings, spread
from editing.recipes import fingerprint
from editing.scorers import extremes

MODEL, CLASS, FACTOR, OTHER = "bundled/union", "face", "yaw", "glasses"
OUT = Path(__file__).parents[1] / "docs" / "transfer.json"
FIT_SEEDS, PER_SIDE = range(2000), 200
SPREAD_SEEDS = range(1000)
CHOICE_SEEDS = range(50_000, 50_064)  # faces on which the layers are chosen
TEST_SEEDS = range(100_000, 100_200)
DIFFERENCE_SEEDS = TEST_SEEDS[:64]
STRENGTHS = tuple(step / 2 for step in range(-4, 5))  # sigma
CONTROLS = 20
COARSE_SHARE = 0.95  # of the effect on faces that the coarse layers must keep
GOALS = {"ratio": 3.0, "correlation": 0.9, "kept": 0.98}  # least; and the same sign as on faces

HEADER = ["class", "slope", "largest random slope", "ratio", "largest of differences", "correlation", "class kept"]


@dataclass(frozen=True)
class Found:
    """A direction: unit vector float32 [w_dim], its sigma, and the held-out accuracy of its plane."""

    vector: Tensor
    sigma: float
    accuracy: float | None = None


@dataclass(frozen=True)
class Response:
    """How a factor of a class follows a direction: means over the pictures of TEST_SEEDS.

    slope: of the factor per sigma; correlation: of factor and strength within a picture; kept: share of pictures that
    are still of their class at -2 and +2 sigma.
    """

    slope: float
    correlation: float
    kept: float


def find(gan: Gan, factor: str, codes: dict[str, Tensor], read: OracleFeatures) -> Found:
    """The direction of a factor, from the faces in which the oracle reads least and most of it."""
    ws = gan.map(latents(FIT_SEEDS, gan.z_dim), CLASS)
    labels, index = extremes(readings(gan, ws, CLASS, read).factors[factor], PER_SIDE)
    found = fit(ws[index, 0], labels)
    return Found(found.vector, spread(codes, found.vector), found.accuracy)


def controls(gan: Gan, codes: dict[str, Tensor]) -> tuple[list[Found], list[Found]]:
    """Random unit vectors of w, and differences of two faces' codes.

    Codes vary along few directions, which a random vector mostly leaves; a difference of codes does not, and holds as
    much yaw as two faces happen to differ in: the harder control.
    """
    random = torch.randn(CONTROLS, gan.w_dim, generator=torch.Generator().manual_seed(0))
    differences = codes[CLASS][:CONTROLS] - codes[CLASS][CONTROLS : 2 * CONTROLS]
    units = (rows / rows.norm(dim=1, keepdim=True) for rows in (random, differences))
    return tuple([Found(unit, spread(codes, unit)) for unit in rows] for rows in units)


def coarse_layers(gan: Gan, found: Found, read: OracleFeatures) -> Layers:
    """The fewest layers from the coarsest on that keep COARSE_SHARE of the effect on faces: yaw is geometry."""

    def effect(layers: Layers) -> float:
        return effects(gan, found.vector, found.sigma, [CLASS], CHOICE_SEEDS, read, layers)[CLASS][FACTOR]

    everything = (0, gan.num_ws - 1)
    wanted = COARSE_SHARE * effect(everything)
    return next(((0, last) for last in range(gan.num_ws) if effect((0, last)) >= wanted), everything)


def response(gan: Gan, ws: Tensor, label: str, found: Found, layers: Layers, read: OracleFeatures) -> Response:
    """Moves every picture of codes float32 [N, num_ws, w_dim] through all STRENGTHS and reads the factor."""
    strengths = torch.tensor(STRENGTHS)  # their mean is 0
    seen = [readings(gan, move(ws, found.vector, s * found.sigma, layers), label, read) for s in STRENGTHS]
    values = torch.stack([reading.factors[FACTOR] for reading in seen], dim=1)
    values = values - values.mean(dim=1, keepdim=True)
    along = values @ strengths
    lengths = (values.norm(dim=1) * strengths.norm()).clamp_min(1e-12)
    ends = torch.cat([seen[0].class_logits, seen[-1].class_logits]).argmax(dim=1)
    kept = (ends == read.classes.index(label)).float().mean()
    slope = along.mean() / strengths.square().sum()
    return Response(slope.item(), (along / lengths).mean().item(), kept.item())


def sweep(
    gan: Gan, yaw: Found, random: list[Found], differences: list[Found], layers: Layers, read: OracleFeatures
) -> dict[str, dict]:
    """Class -> response to yaw, those to random directions, and the changes of yaw along differences of codes."""

    def change(label: str, found: Found) -> float:
        return effects(gan, found.vector, found.sigma, [label], DIFFERENCE_SEEDS, read, layers)[label][FACTOR]

    table = {}
    for label in gan.classes:
        ws = gan.map(latents(TEST_SEEDS, gan.z_dim), label)
        of_yaw = response(gan, ws, label, yaw, layers, read)
        of_random = [
            response(gan, ws, label, found, layers, read)
            for found in tqdm(random, desc=f"{label}, layers {layers[0]}-{layers[1]}", leave=False)
        ]
        table[label] = asdict(of_yaw) | {
            "controls": [asdict(entry) for entry in of_random],
            "differences": [change(label, found) for found in differences],
        }
    return table


def in_deviations(changes: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    """Class -> factor -> change, in standard deviations of the factor in drawings."""
    return {
        label: {factor: value / domains.get(label).deviation(factor) for factor, value in row.items()}
        for label, row in changes.items()
    }


def measure() -> dict:
    """Finds both directions on faces and measures them on every class, as plain data for JSON."""
    gan, read = checkpoints.load(MODEL), OracleFeatures()
    codes = {label: gan.map(latents(SPREAD_SEEDS, gan.z_dim), label)[:, 0] for label in gan.classes}
    yaw, glasses = find(gan, FACTOR, codes, read), find(gan, OTHER, codes, read)
    coarse, everything = coarse_layers(gan, yaw, read), (0, gan.num_ws - 1)
    others = controls(gan, codes)
    tables = {layers: sweep(gan, yaw, *others, layers, read) for layers in dict.fromkeys((coarse, everything))}
    changes = effects(gan, glasses.vector, glasses.sigma, gan.classes, TEST_SEEDS, read)
    return {
        "model": MODEL, "fingerprint": fingerprint(gan), "hardware": hardware.describe(str(gan.device)),
        "class": CLASS, "factor": FACTOR, "other": OTHER, "strengths": STRENGTHS, "goals": GOALS,
        "n": {"fit": len(FIT_SEEDS), "per side": PER_SIDE, "test": len(TEST_SEEDS), "controls": CONTROLS,
              "differences": len(DIFFERENCE_SEEDS)},
        "accuracy": {FACTOR: yaw.accuracy, OTHER: glasses.accuracy},
        "sigma": {FACTOR: yaw.sigma, OTHER: glasses.sigma},
        "resolutions": gan.generator.layer_resolutions,
        "responses": [{"layers": layers, "classes": table} for layers, table in tables.items()],  # the default first
        "other_changes": in_deviations(changes),
    }  # fmt: skip


def section(data: dict) -> str:
    """The measurements as a section of Markdown, each goal marked as reached or missed."""
    n, label, factor, other = data["n"], data["class"], data["factor"], data["other"]
    default, *rest = data["responses"]
    parts = [
        "## Directions found on one class, measured on all",
        f"The {factor} direction is the normal of a linear SVM between the w codes of the {n['per side']} {label}s "
        f"with the least and the {n['per side']} with the most {factor}, as the oracle reads it, of {n['fit']} (psi 1, "
        f"held-out accuracy {data['accuracy'][factor]:.3f}). No other class took part. It is measured on {n['test']} "
        f"other latents of each class, moved by {data['strengths'][0]:g} to {data['strengths'][-1]:g} sigma, against "
        f"{n['controls']} random directions of w, each in units of its own sigma. Slope: change of {factor} per sigma. "
        "Correlation: of factor and strength within a picture. Class kept: pictures that are still of their class at "
        f"-2 and +2 sigma. {data['hardware']}; model {data['fingerprint'][:8]}.",
        "Random directions are an easy control: codes vary along few directions of w, which a random one mostly "
        f"leaves. The harder one, without a goal, are {n['controls']} differences of two {label}s' codes, each of "
        f"which holds as much {factor} as the two happen to differ in; change per sigma, {n['differences']} latents.",
        f"**{_which(default, data).capitalize()}**: the default, the fewest layers that keep {COARSE_SHARE:.0%} of the "
        f"slope on {label}s; chosen on {label}s alone, before another class was measured.",
        _responses(default, data),
    ]
    for entry in rest:
        parts += [f"**{_which(entry, data).capitalize()}**, for comparison.", _responses(entry, data)]
    parts += [
        f"**{other.capitalize()}** found on {label}s in the same way (held-out accuracy "
        f"{data['accuracy'][other]:.3f}), all layers: what one sigma of it changes in each class, in standard "
        "deviations of the factor in drawings. It has no goal: the other classes have nothing of the name.",
        _table(["class", "largest changes"], [[who, _largest(row)] for who, row in data["other_changes"].items()]),
    ]
    return "\n\n".join(parts) + "\n"


def _which(entry: dict, data: dict) -> str:
    (first, last), sizes = entry["layers"], data["resolutions"]
    return f"layers {first} to {last} of w+ ({sizes[first]} to {sizes[last]} px)"


def _responses(entry: dict, data: dict) -> str:
    own = entry["classes"][data["class"]]
    rows = [list(_row(label, row, own, data)) for label, row in entry["classes"].items()]
    return _table(HEADER, rows)


def _row(label: str, row: dict, own: dict, data: dict) -> Iterator[str]:
    largest = max(abs(control["slope"]) for control in row["controls"])
    ratio, judged, goals = abs(row["slope"]) / largest, label != data["class"], data["goals"]
    # A correlation counts in the direction that faces have, so that a turned sign cannot pass.
    correlation = row["correlation"] if own["slope"] > 0 else -row["correlation"]

    def cell(text: str, reached: bool) -> str:
        return f"{text} {'reached' if reached else '**missed**'}" if judged else text

    yield label
    yield cell(f"{row['slope']:+.3f}", row["slope"] * own["slope"] > 0)
    yield f"{largest:.3f}"
    yield cell(f"{ratio:.1f}", ratio >= goals["ratio"])
    yield f"{max(map(abs, row['differences'])):.3f}"
    yield cell(f"{row['correlation']:.3f}", correlation >= goals["correlation"])
    yield cell(f"{row['kept']:.3f}", row["kept"] >= goals["kept"])


def _largest(row: dict[str, float], count: int = 5) -> str:
    order = sorted(row, key=lambda factor: -abs(row[factor]))[:count]
    return ", ".join(f"{factor} {row[factor]:+.2f}" for factor in order)


def _table(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def main() -> None:
    """Measures, writes the figures as JSON and prints the section."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.transfer", description=main.__doc__)
    parser.add_argument("--write", type=Path, default=OUT, help="file for the figures")
    args = parser.parse_args()
    data = measure()
    checkpoints.write_text(args.write, json.dumps(data, indent=1) + "\n")
    print(section(data))


if __name__ == "__main__":
    main()
