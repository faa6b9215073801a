"""The command line with states saved so often, and so short a search for latents, as a test needs, and in float32 or
float64: SEC DTYPE COMMAND ..."""

import sys
from contextlib import nullcontext

from cocktail.__main__ import main
from cocktail.methods import alignment
from cocktail.runs import context
from tests.parallel_worker import doubles

SAMPLES = 400  # of alignment

if __name__ == "__main__":
    sec, dtype, *command = sys.argv[1:]
    context.SAVE_SEC, alignment.SAMPLES = float(sec), SAMPLES
    with doubles() if dtype == "float64" else nullcontext():
        sys.exit(main(command))
