"""Runs on disk: what is finished stays finished, what was interrupted goes on where it was saved.

The folder is all there is: recipe.yaml, source_hashes.json, process.json, log.jsonl, output.log, samples/,
state.safetensors and state.previous.safetensors (the stage in progress), latest/ (its student), stages/<name>/ (the
finished students), best/ (the best snapshot, where it is not the last), result/, and the files `pause` and `cancel`,
which ask the process to stop.
"""

from cocktail.runs.best import Best, best_snapshot
from cocktail.runs.control import branch, cancel, delete, extend, home, named, pause, resume, start
from cocktail.runs.execute import execute, train_source
from cocktail.runs.fitting import prepare
from cocktail.runs.folder import Run
from cocktail.runs.queue import waiting
from cocktail.runs.reading import Status, listed, read
from cocktail.runs.stopping import Stopped

__all__ = ["Best", "Run", "Status", "Stopped", "best_snapshot", "branch", "cancel", "delete", "execute", "extend",
           "home", "listed", "named", "pause", "prepare", "read", "resume", "start", "train_source",
           "waiting"]  # fmt: skip
