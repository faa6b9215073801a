"""The command line: python -m cocktail COMMAND ..."""

import sys
from collections.abc import Sequence

from cocktail.errors import CocktailError


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit code: 0, 2 after a one-line error, 130 after Ctrl-C."""
    import editing.command  # noqa: F401  (registers `edit`, which needs what lies to the right of the engine)
    from cocktail.commands import parser

    try:
        args = parser().parse_args(argv)
        args.run(args)
    except CocktailError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
