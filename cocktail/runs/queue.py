"""Who trains next: runs that want the same device take turns in the order in which they came.

A run draws a ticket, a number in a folder of this machine and user, and holds a lock on it as long as its process
lives. It is its turn when no ticket of a living process has a smaller number. Nothing has to be tidied up: the system
takes the locks of dead processes back, also after SIGKILL or a power cut.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from cocktail.errors import CocktailError

FOLDER = "COCKTAIL_QUEUE"  # the environment variable that names another folder than the usual one
TICKET = re.compile(r"(\d+)\.ticket")
PATIENCE_SEC = 30.0  # for the others to look into the queue, which takes each of them an instant


@dataclass(frozen=True)
class Ticket:
    """A place in the queue of a device, held by this process."""

    queue: "Queue"
    number: int

    def ahead(self) -> list[Path]:
        """The folders of the runs that come before this one, the one that trains first; empty: it is our turn."""
        return [run for number, run in self.queue.living() if number < self.number]


@dataclass(frozen=True)
class Queue:
    """The queue of one device of this machine, such as "cpu" or "cuda:0"."""

    device: str

    @property
    def folder(self) -> Path:
        device = "cuda:0" if self.device == "cuda" else self.device
        return _queues() / re.sub(r"\W", "_", device)

    @contextmanager
    def ticket(self, run: Path) -> Iterator[Ticket]:
        """A place at the end of the queue, given up when the block ends. Raises: CocktailError as `living`."""
        with self._alone():
            number = max(self._numbers(), default=0) + 1
            (self.folder / f"{number}.ticket").write_text(str(run.resolve()), encoding="utf-8")
            held = self._lock(number)
            held.acquire(blocking=False)
        try:
            yield Ticket(self, number)
        finally:
            held.release()  # whoever looks next sweeps the rest away

    def living(self) -> list[tuple[int, Path]]:
        """Number and run's folder of every ticket that a process holds, in order; the others are swept away.

        Raises: CocktailError where the queue's folder cannot be used.
        """
        if not self.folder.is_dir():
            return []
        found = []
        with self._alone():
            for number in self._numbers():
                try:
                    with self._lock(number).acquire(blocking=False):
                        pass
                    self._remove(number)
                except Timeout:
                    found.append((number, Path((self.folder / f"{number}.ticket").read_text(encoding="utf-8"))))
        return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps the others from looking while somebody draws a ticket and has not locked it yet."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "queue.lock").acquire(timeout=PATIENCE_SEC):
                yield
        except (OSError, Timeout) as error:
            reason = getattr(error, "strerror", None) or error
            raise CocktailError(
                f"the queue of runs in {self.folder} cannot be used ({reason}). Make it writable, or name another "
                f"folder in the environment variable {FOLDER}."
            ) from error

    def _lock(self, number: int) -> FileLock:
        return FileLock(self.folder / f"{number}.lock")

    def _numbers(self) -> list[int]:
        names = (TICKET.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(name[1]) for name in names if name)

    def _remove(self, number: int) -> None:
        for suffix in ("ticket", "lock"):
            (self.folder / f"{number}.{suffix}").unlink(missing_ok=True)


def waiting(device: str) -> list[Path]:
    """The folders of the runs that train or wait for a device of this machine, in order."""
    return [run for _, run in Queue(device).living()]


def waiting_anywhere() -> list[Path]:
    """The same for all devices, one after the other; without those that cannot be looked at."""
    found: list[Path] = []
    with contextlib.suppress(OSError):
        for path in sorted(_queues().iterdir()):
            with contextlib.suppress(CocktailError):
                found += waiting(path.name)
    return found


def _queues() -> Path:
    user = os.getuid() if hasattr(os, "getuid") else "user"  # Windows has a temporary folder for each user
    return Path(os.environ.get(FOLDER) or Path(tempfile.gettempdir()) / f"gan-cocktail-{user}")
