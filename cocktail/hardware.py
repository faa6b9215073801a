"""What this machine offers: threads, devices, and their names for a card."""

import ctypes
import os
import platform
import sys
from pathlib import Path

import torch

from cocktail.errors import CocktailError

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
LARGEST = 32 << 20  # bytes; above it glibc takes memory from the system in any case


def available_threads() -> int:
    """The processor cores that this process may use: affinity and the container's share, whichever is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups here, or "max": no limit
        pass
    return count


def keep_memory() -> None:
    """Has this process keep the memory that it frees, for the next step of a training to use.

    As it is, glibc hands large blocks back to the system, and each comes anew as thousands of empty pages: a tenth of
    the time of a step. Where the C library is another one nothing changes.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGEST)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)


def check_device(name: str, setting: str = "device") -> str:
    """Gives the name of a device back if this machine offers it; `setting` is what a message calls it.

    Raises:
        CocktailError: torch does not know the device, or cannot reach it.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise CocktailError(f"{setting} is {name!r}, which this machine does not offer ({reason}); try cpu.") from error
    return name


def describe(device: str) -> str:
    """What a result was made on: CPUs round according to the instructions that they have."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    capability, threads = torch.backends.cpu.get_cpu_capability(), torch.get_num_threads()
    return f"{device}, {platform.machine()} {capability}, {threads} thread{'s' * (threads != 1)}"
