"""The processor shared with training: while a run trains on it, the page takes the threads that the run leaves."""

import os
import threading
import time

import torch

from cocktail import hardware, runs
from cocktail.errors import CocktailError

LOOK_SEC = 2.0  # the page may be that late to notice that a run began or ended
_LOCK, _SEEN = threading.Lock(), {"at": float("-inf"), "threads": 0}


def threads() -> int:
    """How many threads the page should use now: all, or what the run at work on the CPU leaves, at least one."""
    with _LOCK:
        if time.monotonic() - _SEEN["at"] > LOOK_SEC:
            _SEEN.update(at=time.monotonic(), threads=_left())
        return _SEEN["threads"]


def apply() -> None:
    """Sets the threads of the thread that draws: OpenMP keeps their number for each thread by itself."""
    wanted = threads()
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)


def _left() -> int:
    cores = int(os.environ.get("OMP_NUM_THREADS") or 0) or hardware.available_threads()
    at_work = runs.waiting("cpu")[:1]
    try:
        taken = sum(runs.Run(folder).recipe().threads or cores for folder in at_work)
    except CocktailError:  # its folder was taken away
        taken = 0
    return max(1, cores - taken)
