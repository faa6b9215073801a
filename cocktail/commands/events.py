"""A run's log as TensorBoard event files: losses/<stage>/<name> and scores/<class>/<name> over the pictures shown."""

import shutil
from typing import Any

from cocktail.errors import CocktailError
from cocktail.runs import Run

FOLDER = "tensorboard"


class Events:
    """Event files in <run>/tensorboard. They are made from the log, anew by each process, so nothing is there twice."""

    def __init__(self, run: Run):
        self._run, self._kind, self._writer, self._written = run, summary_writer(), None, 0

    def update(self) -> None:
        """Writes what the log says since the last time; its steps are pictures of all stages, in the order of work."""
        if self._writer is None:
            shutil.rmtree(self._run.folder / FOLDER, ignore_errors=True)
            self._writer = self._kind(str(self._run.folder / FOLDER))
        entries = self._run.entries()
        starts, total = {}, 0
        for stage in next((entry["plan"] for entry in reversed(entries) if "plan" in entry), []):
            starts[stage["name"]], total = total, total + stage["images"]
        for entry in entries[self._written :]:
            for tag, value in _scalars(entry):
                step = starts.get(entry["stage"], 0) + entry["images"]
                self._writer.add_scalar(tag, value, step, walltime=entry.get("time"))
        self._written = len(entries)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self.update()
            self._writer.close()


def summary_writer() -> type:
    """Torch's SummaryWriter. Raises: CocktailError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise CocktailError("--tensorboard needs TensorBoard: pip install tensorboard") from error
    return SummaryWriter


def _scalars(entry: dict) -> list[tuple[str, Any]]:
    found = [(f"losses/{entry['stage']}/{name}", value) for name, value in entry.get("losses", {}).items()]
    scores = entry.get("scores", {}).items()
    return found + [(f"scores/{label}/{name}", value) for label, own in scores for name, value in own.items()]
