"""Several processes that share a batch: who takes which rows, and how they come to the same weights.

Every process draws the random numbers of the whole batch and takes its rows, gradients are averaged before each step,
and everything else is computed alike by all. So P processes train what one would, up to rounding, and stay equal to
each other to the bit. Only the main process writes files.
"""

import contextlib
import datetime
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from cocktail import ops
from cocktail.errors import CocktailError

PATIENCE = datetime.timedelta(hours=2)  # how long the others wait while the main process measures or saves
T = TypeVar("T")


@dataclass(frozen=True)
class RowsRng:
    """A random generator for some `rows`, int64 [n], of a batch of `size`: it gives what the whole batch would get."""

    generator: torch.Generator
    size: int
    rows: Tensor


def randn(rng: torch.Generator | RowsRng | None, n: int, *shape: int, device: torch.device | str = "cpu") -> Tensor:
    """Standard normal numbers [n, *shape] in torch's default dtype."""
    if isinstance(rng, RowsRng):
        whole = torch.randn(rng.size, *shape, device=device, generator=rng.generator)
        return whole[rng.rows.to(device)]
    return torch.randn(n, *shape, device=device, generator=rng)


@dataclass(frozen=True)
class Team:
    """The processes that share the work, seen from one of them; `neighbours` of them run on its machine."""

    rank: int = 0
    size: int = 1
    device: str = "cpu"
    neighbours: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the one process that writes files and talks to people."""
        return self.rank == 0

    def rows(self, n: int, limit: int = 1) -> Tensor:
        """The rows int64 of a batch of n that this process takes, as many as every other.

        Groups of up to `limit` pictures that share a standard deviation (`ops.group_size`) stay together, so that each
        process finds in its rows the very groups that the whole batch has.

        Raises:
            CocktailError: n cannot be shared evenly; names batches that can.
        """
        group = ops.group_size(n, limit)
        if n // group % self.size:
            step = limit * self.size
            near = [size for size in (n // step * step, (n // step + 1) * step) if size]
            together = f", groups of {group} kept together" if group > 1 else ""
            raise CocktailError(
                f"{self.size} processes cannot share {n} pictures evenly{together}; "
                f"{' or '.join(map(str, near))} would do. Change the batch or the number of processes."
            )
        return torch.arange(n).reshape(group, self.size, -1)[:, self.rank].flatten()

    def part(self, n: int, limit: int = 1) -> "Part":
        """What this process takes of a batch of n; see `rows`."""
        return Part(self, n, limit, self.rows(n, limit))

    def share(self, n: int) -> range:
        """Which of n independent things, such as samples for a metric, this process does; counts differ by at most 1.

        `gather` brings the results together.
        """
        return range(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def gather(self, mine: Tensor, n: int) -> Tensor:
        """The results [n, ...] of all processes in order, of which `mine` [len(share(n)), ...] are from here."""
        if self.size == 1:
            return mine
        most = -(-n // self.size)
        padded = mine.new_zeros(most, *mine.shape[1:], device=self.device)
        padded[: len(mine)] = mine
        found = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(found, padded)
        shares = [Team(rank, self.size).share(n) for rank in range(self.size)]
        return torch.cat([part[: len(share)] for part, share in zip(found, shares, strict=True)]).to(mine.device)

    @torch.no_grad()
    def mean_(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors, in place, by their means over all processes; they are sent as one."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([tensor.flatten().to(self.device) for tensor in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def agree(self, flag: bool) -> bool:
        """The main process's flag, for all: whether to stop, to save, to pause."""
        if self.size == 1:
            return flag
        told = torch.tensor([flag], dtype=torch.uint8, device=self.device)
        dist.broadcast(told, 0)
        return bool(told.item())

    def same(self, value: T) -> T:
        """The main process's value, any plain data or tensors on the CPU, for all."""
        if self.size == 1:
            return value
        told = [value]
        dist.broadcast_object_list(told, 0, device=torch.device(self.device))
        return told[0]

    def barrier(self) -> None:
        """Waits until all processes have come this far."""
        if self.size > 1:
            dist.barrier()


@dataclass(frozen=True, eq=False)
class Part:
    """What one process takes of a batch of `size`: its `rows`, int64."""

    team: Team
    size: int
    limit: int
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def asked(self) -> tuple[Tensor, ...]:
        """The last argument for a source: its rows, or nothing where they are all, as every source understands."""
        return () if self.team.size == 1 else (self.rows,)

    def take(self, batch: Tensor) -> Tensor:
        """The own rows of [size, ...]."""
        return batch if self.team.size == 1 else batch[self.rows.to(batch.device)]

    def gather(self, mine: Tensor) -> Tensor:
        """The whole batch [size, ...] in order, from what every process has of it."""
        if self.team.size == 1:
            return mine
        found = self.team.gather(mine, self.size)
        order = torch.cat([Team(rank, self.team.size).rows(self.size, self.limit) for rank in range(self.team.size)])
        return found[order.argsort().to(found.device)]

    def rng(self, generator: torch.Generator) -> torch.Generator | RowsRng:
        """The generator for the own rows: it draws what one process would for the whole batch."""
        return generator if self.team.size == 1 else RowsRng(generator, self.size, self.rows)


ALONE = Team()
_current = ALONE


def current() -> Team:
    """The team that this process belongs to: a team of one, except inside `joined`."""
    return _current


def speaks() -> bool:
    """Whether this process is the one of those started together that talks to people; known before they are joined."""
    return int(os.environ.get("RANK") or 0) == 0


@contextlib.contextmanager
def joined(device: str = "cpu") -> Iterator[Team]:
    """Joins the other processes that `accelerate launch` or `torchrun` started, if any, for the time of a with block.

    `device` is the kind that is wanted, such as "cuda"; the team's device is this process's own, such as "cuda:1".

    Raises:
        CocktailError: Accelerate is missing, or the processes do not find each other.
    """
    global _current
    count = _count()
    if count == 1:
        yield Team(device=device)
        return
    _current = _join(count, torch.device(device).type)
    try:
        yield _current
        # Not after an error: the others may be waiting for something else, and the launcher ends them.
        dist.destroy_process_group()
    finally:
        _current = ALONE


def _count() -> int:
    """How many processes were started together."""
    count = os.environ.get("WORLD_SIZE") or os.environ.get("OMPI_COMM_WORLD_SIZE")
    # With --cpu alone, Accelerate starts one process whatever --num_processes says, but prepares it for company.
    if not count and os.environ.get("ACCELERATE_USE_CPU", "").lower() == "true" and "MASTER_ADDR" in os.environ:
        raise CocktailError(
            "`accelerate launch --cpu` starts one process only, unless mpirun does it. Leave --cpu out and give "
            "--multi_gpu, which needs no GPU where the recipe's device is cpu; or take `torchrun --nproc_per_node`."
        )
    return int(count or 1)


def _join(count: int, kind: str) -> Team:
    try:
        from accelerate import PartialState
    except ImportError as error:
        raise CocktailError(
            f"WORLD_SIZE is {count}: several processes need Accelerate. Run pip install accelerate."
        ) from error
    try:
        state = PartialState(cpu=kind == "cpu", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise CocktailError(f"{count} processes did not find each other ({error}). Check address and port.") from error
    if state.num_processes != count or state.device.type != kind:
        raise CocktailError(
            f"WORLD_SIZE is {count} and the device {kind}, but Accelerate found {state.num_processes} processes on "
            f"{state.device.type}. Start them with `accelerate launch` or `torchrun`."
        )
    neighbours = int(os.environ.get("LOCAL_WORLD_SIZE") or 1)  # Accelerate sets it where the launcher did not
    return Team(state.process_index, count, str(state.device), neighbours)
