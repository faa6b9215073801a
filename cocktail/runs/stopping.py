"""How a run is asked to stop: SIGTERM, Ctrl-C, or a file named pause or cancel in its folder."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from cocktail import parallel
from cocktail.errors import CocktailError
from cocktail.runs.folder import Run

PATIENCE_SEC = 2.0  # for the step in progress; then it is given up, and with it what came after the last saved state
LOOK_SEC = 0.25


class Stopped(CocktailError):
    """A run ended because it was asked to; what it had is saved."""


class _BrokenOff(BaseException):
    """What takes too long is given up; no CocktailError, for a method may take those as an answer."""


class Stop:
    """Asks between two steps whether to go on. In the main thread `watching` also breaks off what takes too long."""

    def __init__(self, run: Run):
        self._run, self._looked, self._done = run, 0.0, threading.Event()
        self._watched, self._held = False, 0
        self.reason: str | None = None

    def asked(self) -> str | None:
        """Why to stop: "pause", "cancel" or "signal"; None to go on."""
        if self.reason is None and time.monotonic() - self._looked > LOOK_SEC:
            self._looked = time.monotonic()
            self.reason = self._run.asked()
        return self.reason

    def check(self) -> None:
        """Raises: Stopped where somebody asked for it; in all processes that share the work, at the same step."""
        reason = parallel.current().same(self.asked())
        if reason:  # a signal may have come in the meantime: then the next step is the last
            self.reason = reason
            self._held += 1  # for good: what is left to do is to leave
            raise self.stopped()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nothing is broken off inside: what is being saved must be whole, and a caller is not ours to interrupt."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            if self.reason is not None:
                self._alarm(PATIENCE_SEC)

    def stopped(self) -> Stopped:
        words = {"pause": "paused", "cancel": "cancelled"}.get(self.reason, "stopped")
        return Stopped(f"{words}; the run's state is kept. Go on with: --out {self._run.folder} --resume")

    @contextlib.contextmanager
    def worded(self) -> Iterator[None]:
        """What is broken off inside ends as Stopped."""
        try:
            yield
        except _BrokenOff:
            self._held += 1
            raise self.stopped() from None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Takes SIGTERM and SIGINT as a request to stop, and looks for the files while a step runs.

        Nothing happens outside the main thread, where signals cannot be caught, and on Windows, which has no alarm.
        """
        if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
            yield
            return
        wanted = {signal.SIGTERM: self._on_signal, signal.SIGINT: self._on_signal, signal.SIGALRM: self._on_alarm}
        before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
        self._watched = True
        looking = threading.Thread(target=self._look, daemon=True)
        looking.start()
        try:
            with self.worded():
                yield
        finally:
            self._held += 1
            self._done.set()
            looking.join()  # or its signal could come when nobody catches it any more
            self._alarm(0)
            self._watched = False
            for number, handler in before.items():
                signal.signal(number, handler)

    def _alarm(self, seconds: float) -> None:
        if self._watched:
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def _look(self) -> None:
        while not self._done.wait(LOOK_SEC):
            if self._run.asked():
                signal.raise_signal(signal.SIGTERM)
                return

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.reason is not None and number == signal.SIGINT:  # a second Ctrl-C does not wait
            raise KeyboardInterrupt
        self.reason = self._run.asked() or "signal"
        self._alarm(PATIENCE_SEC)

    def _on_alarm(self, number: int, frame: FrameType | None) -> None:
        if not self._held:
            raise _BrokenOff
