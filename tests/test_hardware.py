"""What the machine offers, and how a training uses its memory."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
from cocktail.hardware import keep_memory
if {kept}:
    keep_memory()
def step():
    return [torch.ones(1 << 22) for _ in range(8)]  # 16 MB each
for _ in range(3):
    step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
def test_memory_that_a_step_frees_is_kept_for_the_next():
    usual = os.environ | {"MALLOC_MMAP_THRESHOLD_": "131072"}  # glibc's own, which it then does not adapt as it goes
    kept, given_back = (
        int(subprocess.run([sys.executable, "-c", FAULTS.format(kept=kept)], env=usual, capture_output=True, text=True,
                           check=True).stdout)
        for kept in (True, False)
    )  # fmt: skip
    assert kept < given_back / 10
