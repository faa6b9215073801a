"""A run's folder: what is in it, and how its log is written and read."""

import contextlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

from cocktail.checkpoints import write_text
from cocktail.errors import CocktailError
from cocktail.recipe import Recipe

RECIPE, LOG, OUTPUT, PROCESS = "recipe.yaml", "log.jsonl", "output.log", "process.json"
PAUSE, CANCEL = "pause", "cancel"
GRACE_SEC = 2.0  # how long a run tries to take its lock: whoever looks whether it is alive holds it for an instant


@dataclass(frozen=True)
class Run:
    """A run's folder and the paths in it."""

    folder: Path

    @property
    def writes(self) -> bool:
        """Whether what happens to the run is written there by this process."""
        return True

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def result(self) -> Path:
        return self.folder / "result"

    @property
    def latest(self) -> Path:
        """The student as it was when the state was last saved: a native folder."""
        return self.folder / "latest"

    @property
    def best(self) -> Path:
        """The student at its best snapshot on the way: a native folder, where the last snapshot is not the best."""
        return self.folder / "best"

    @property
    def samples(self) -> Path:
        return self.folder / "samples"

    def stage(self, name: str) -> Path:
        return self.folder / "stages" / name

    def recipe(self) -> Recipe:
        """Raises: CocktailError where recipe.yaml cannot be read."""
        return Recipe.from_yaml(self.folder / RECIPE)

    def log(self, **values: object) -> None:
        """Appends one line to log.jsonl.

        Raises: CocktailError where the disk is full or the folder cannot be written.
        """
        path = self.folder / LOG
        line = json.dumps({"time": round(time.time(), 3), **values}) + "\n"
        try:
            with path.open("ab+") as file:
                file.seek(max(0, file.seek(0, os.SEEK_END) - 1))
                torn = file.read(1) not in (b"", b"\n")  # an interruption or a full disk cut the last line off
                file.write(("\n" * torn + line).encode())
        except OSError as error:
            raise CocktailError(
                f"{path} cannot be written ({error.strerror or error}). Free some space or make it writable, then "
                "resume: the last saved state is kept."
            ) from error

    def flush_log(self) -> None:
        """Has the log on the disk, so that no saved state can be ahead of it after a power cut."""
        with contextlib.suppress(OSError), (self.folder / LOG).open("rb") as file:
            os.fsync(file.fileno())

    def entries(self) -> list[dict]:
        """The lines of log.jsonl in order; what an interruption cut off, or somebody else wrote, is left out."""
        try:
            lines = (self.folder / LOG).read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if _sound(entry):
                    found.append(entry)
        return found

    def trim_log(self, dropped: Callable[[dict], bool] = lambda entry: False) -> None:
        """Takes back what is `dropped`, since a run that goes on says it again, and lines that cannot be read."""
        kept = [entry for entry in self.entries() if not dropped(entry)]
        write_text(self.folder / LOG, "".join(json.dumps(entry) + "\n" for entry in kept))

    def minutes(self) -> float:
        """Time worked until now, without the pauses between sessions and what was lost by interruptions."""
        entries = [*self.entries(), {"time": time.time()}]
        # A clock that was set back counts as standing still.
        spans = (max(0.0, b["time"] - a["time"]) for a, b in itertools.pairwise(entries) if "session" not in b)
        return round(sum(spans) / 60, 1)

    def lock(self) -> FileLock:
        """The lock that the process of the run holds as long as it lives; the system takes it back when it dies."""
        return FileLock(self.folder / ".lock")

    def alive(self) -> bool:
        """Tells whether a process is at work on this run."""
        if fcntl is None:
            return self._taken()
        try:
            handle = os.open(self.folder / ".lock", os.O_RDONLY)
        except OSError:  # nobody ever was
            return False
        try:
            # Shared, so that those who look do not see each other.
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True
        except OSError:  # a disk that knows no locks
            return False
        finally:
            os.close(handle)

    def _taken(self) -> bool:
        """As `alive`, but two who look at the same instant take each other for the process."""
        try:
            with self.lock().acquire(blocking=False):
                return False
        except Timeout:
            return True
        except OSError:
            return False

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Keeps every other process away from this run.

        Raises: CocktailError where another one is at work on it, or the folder cannot be written.
        """
        lock = self.lock()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=GRACE_SEC)
        except Timeout as error:
            raise CocktailError(
                f"{self.folder} is being worked on by another process. Wait for it, or cancel it."
            ) from error
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            yield
        finally:
            lock.release()

    def process(self) -> dict:
        """Who was started for the run or works on it, as process.json has it: pid, host, started; {} if nobody."""
        try:
            about = json.loads((self.folder / PROCESS).read_text(encoding="utf-8"))
            return {"pid": int(about["pid"]), "started": float(about["started"])} | about
        except (OSError, ValueError, KeyError, TypeError):
            return {}

    def asked(self) -> str | None:
        """What somebody asked of the run by leaving a file: "pause", "cancel" or nothing."""
        return next((word for word in (CANCEL, PAUSE) if (self.folder / word).exists()), None)

    def ask(self, word: str | None) -> None:
        """Leaves the file that says "pause" or "cancel", and takes the others away.

        Raises: CocktailError where the folder cannot be written.
        """
        try:
            for other in (PAUSE, CANCEL):
                if other != word:
                    (self.folder / other).unlink(missing_ok=True)
            if word:
                (self.folder / word).touch()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> CocktailError:
        return CocktailError(
            f"{self.folder} cannot be written ({error.strerror or error}). Make it writable, then resume: the last "
            "saved state is kept."
        )

    def tidy(self) -> None:
        """Removes what an interruption left half written, and puts back what it was about to replace.

        For the owner alone: what looks like a leftover may be what a living process writes at this moment.
        """
        for partial in sorted(self.folder.rglob(".*.partial")):
            shutil.rmtree(partial, ignore_errors=True)
        for old in sorted(self.folder.rglob(".*.old")):
            folder = old.with_name(old.name.removeprefix(".").removesuffix(".old"))
            if folder.exists():
                shutil.rmtree(old, ignore_errors=True)
            else:
                old.rename(folder)


@dataclass(frozen=True)
class SilentRun(Run):
    """A run as those processes see it that share its work and leave the writing to the main one."""

    @property
    def writes(self) -> bool:
        return False

    def log(self, **values: object) -> None:
        pass

    def flush_log(self) -> None:
        pass

    def trim_log(self, dropped: Callable[[dict], bool] = lambda entry: False) -> None:
        pass

    def asked(self) -> str | None:
        return None


def _sound(entry: object) -> bool:
    """Tells whether a line of the log has the form that this program writes."""
    if not isinstance(entry, dict) or not isinstance(entry.get("time", 0.0), int | float):
        return False
    if not isinstance(entry.get("sec", 0.0), int | float):
        return False
    return "stage" not in entry or isinstance(entry.get("images"), int)
