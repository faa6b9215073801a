"""What this machine offers: threads, devices, and their names for a card."""

import os
import platform
from pathlib import Path

import torch

from cocktail.errors import CocktailError


def available_threads() -> int:
    """The processor cores that this process may use: affinity and the container's share, whichever is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):  # no control groups here, or "max": no limit
        pass
    return count


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
    """What a result was made on."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{device}, {platform.machine()}, {torch.get_num_threads()} threads"
