"""The command line with states saved so often, and so short a search for latents, as a test needs: SEC COMMAND ..."""

import sys

from cocktail.__main__ import main
from cocktail.methods import alignment
from cocktail.runs import context

SAMPLES = 400  # of alignment

if __name__ == "__main__":
    context.SAVE_SEC, alignment.SAMPLES = float(sys.argv[1]), SAMPLES
    sys.exit(main(sys.argv[2:]))
