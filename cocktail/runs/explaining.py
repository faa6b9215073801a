"""Why a run ended before its end, left in its log with advice where the reason is a usual one."""

import contextlib
from collections.abc import Iterator

from cocktail.errors import CocktailError
from cocktail.runs.folder import Run
from cocktail.runs.stopping import Stopped

DISK_FULL = ("No space left", "Disk quota exceeded")


@contextlib.contextmanager
def explained(run: Run) -> Iterator[None]:
    """Writes into the log what ends the block; what is not the program's fault becomes a CocktailError.

    A Ctrl-C that did not wait, and a caller that lost interest, are nobody's failure.
    """
    try:
        yield
    except Stopped as stopped:
        _note(run, stopped=str(stopped))
        raise
    except Exception as error:
        message = _advice(error)
        _note(run, failed=message or f"{type(error).__name__}: {error}")
        if message is None or message == str(error):
            raise
        raise CocktailError(message) from error


def out_of_memory(error: BaseException) -> bool:
    """Tells an error of missing memory, which torch reports as a RuntimeError, from the others."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "memory" in str(error).lower())


def _advice(error: Exception) -> str | None:
    """What to say of an error; None for one that nobody foresaw."""
    said = str(error).splitlines()[0] if str(error) else "no more memory"
    if out_of_memory(error):
        return (
            f"out of memory ({said}). The last saved state is kept: close other programs and resume, or branch from "
            "this run with a smaller batch."
        )
    full = any(words in str(error) for words in DISK_FULL)
    if full and isinstance(error, OSError | CocktailError) and "resume" not in str(error):
        return f"{error} The disk is full: free some space, then resume; the last saved state is kept."
    return str(error) if isinstance(error, CocktailError) else None


def _note(run: Run, **said: str) -> None:
    with contextlib.suppress(CocktailError):  # a full disk does not take the note; the message reaches the caller
        run.log(**said)
