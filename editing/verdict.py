"""Whether a model can draw a picture at all: what inversion reached, beside what it reaches on own samples."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from cocktail.commands.base import drain
from cocktail.gan import Gan
from editing.encoder import Encoder
from editing.inversion import Inversion, InversionConfig, project

PICTURES = 32
FIRST_SEED = 1_000_000  # of the samples; any that nobody looks at
MOST = 0.95  # of the samples keep the low or the high figure
# Times the high figure of own samples. With the bundled union 99 % of unseen drawings of its classes stay below; 95 %
# of photos, and of the same drawings upside down, lie above.
SLACK = 5.0


@dataclass(frozen=True)
class Typical:
    """What inversion reaches on a model's own samples: medians, and the bound that 95 % of them keep.

    PSNR in dB; perceptual distances of the found code and, where an encoder was used, of its guess alone, else NaN.
    """

    pictures: int
    psnr: float
    psnr_low: float
    distance: float
    distance_high: float
    guess_distance: float
    guess_distance_high: float


@dataclass(frozen=True)
class Verdict:
    """Whether the model can draw the picture, and a sentence for a person, with the figures."""

    drawable: bool
    sentence: str


def typical_error(
    gan: Gan, encoder: Encoder | None, n: int = PICTURES, config: InversionConfig | None = None
) -> Iterator[int]:
    """Inverts n of the model's own samples, the classes in turn; yields how many are done, returns a Typical."""
    reached, far, guessed = [], [], []
    for i in range(n):
        target = gan.sample([FIRST_SEED + i], i % len(gan.classes) if gan.classes else None)
        found = drain(project(gan, target, None, config, encoder=encoder), lambda progress: None)
        reached.append(found.psnr)
        far.append(found.distance)
        guessed.append(math.nan if found.encoder_distance is None else found.encoder_distance)
        yield i + 1
    low, high = np.quantile(reached, 1 - MOST), np.quantile(far, MOST)
    guess = (np.median(guessed), np.quantile(guessed, MOST))
    return Typical(n, *map(float, (np.median(reached), low, np.median(far), high, *guess)))


def typical_of(encoder: Encoder) -> Typical | None:
    """What was measured when the encoder was trained; None where its file does not tell."""
    stored = encoder.notes.get("typical")
    names = [field.name for field in fields(Typical)]
    if not isinstance(stored, dict) or set(stored) != set(names):
        return None
    known = all(isinstance(value, int | float) and math.isfinite(value) for value in stored.values())
    return Typical(**stored) if known else None


def judge(found: Inversion, typical: Typical) -> Verdict:
    """Compares an inversion with those of own samples under the same config.

    A model without an encoder is judged by the distance that was reached, which is less sharp: descent in w+ comes near
    much that the model would never draw. The encoder knows nothing but the model's own pictures.
    """
    guessed = found.encoder_distance is not None and math.isfinite(typical.guess_distance_high)
    far = found.encoder_distance if guessed else found.distance
    usual = typical.guess_distance_high if guessed else typical.distance_high
    reached = f"{found.psnr:.1f} dB, where the model's own samples come to {typical.psnr:.1f}"
    if far > SLACK * usual:
        kind = f" as {found.label}" if found.label else ""
        what = "the encoder's guess" if guessed else "the result"
        return Verdict(
            False,
            f"This model cannot draw this picture{kind}: {what} lies at a distance of {far:.3f} from it, while "
            f"{100 * MOST:.0f} % of the model's own samples stay below {usual:.3f}. Descent comes to {reached}.",
        )
    how = "As exact as the model's own samples" if found.psnr >= typical.psnr_low else "Near, but not exact"
    return Verdict(True, f"{how}: {reached} ({100 * MOST:.0f} % of them to {typical.psnr_low:.1f} or more).")
