"""Runs in processes of their own that begin at once: forks of the test, which has loaded everything already."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

LATEST_SEC = 30.0
MOVES = ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree")
TOUCHES = (*MOVES, "open", "os.mkdir", "os.chmod", "fcntl.flock")


def start(do: Callable[[], int | None], output: Path | None = None) -> int:
    """The number of a process that does `do`, whose result is its exit code, and writes what it prints to `output`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        if output is not None:
            with output.open("ab", buffering=0) as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
            sys.stdout, sys.stderr = (open(number, "w", closefd=False) for number in (1, 2))
        code = do() or 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def ended(pid: int) -> int:
    """Waits for a process: its exit code, negative the signal that killed it. Raises: TimeoutError, and kills it."""
    until = time.monotonic() + LATEST_SEC
    while time.monotonic() < until:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} did not end within {LATEST_SEC:g} s")


def until(condition: Callable[[], object], sec: float = LATEST_SEC) -> float:
    """Waits until something holds; the seconds that it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < sec, "it never came to that"
        time.sleep(0.005)
    return time.monotonic() - started


def die_at(event: int, folder: Path, names: tuple[str, ...] = TOUCHES) -> None:
    """Has this process killed just before it does one of these to a file of the folder, or a lock, for the event-th
    time."""
    left, here = event, str(folder)

    def hook(name: str, args: tuple) -> None:
        nonlocal left
        if name in names and (name == "fcntl.flock" or str(args[0]).startswith(here)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
