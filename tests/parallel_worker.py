"""What every process of the tests of `cocktail.parallel` does: trains small networks and leaves what came of it.

Run as a script, with what `torchrun` or `accelerate launch` puts into the environment: FOLDER, where students and
sources are, and MODE, "whole" or "resume". A process leaves FOLDER/<mode>-<number of processes>-<rank>.pt.
"""

import contextlib
import math
import sys
from dataclasses import replace
from pathlib import Path

import torch

from cocktail import checkpoints, parallel
from cocktail.errors import CocktailError
from cocktail.methods import alignment, visible
from cocktail.methods.alignment import AlignedSource
from cocktail.sources import DomainSource, GanSource, MixtureSource
from cocktail.training import TrainConfig, finetune, start_state
from cocktail.warmstart import FitState, WarmStartConfig, warm_start

PAPER = TrainConfig(total_kimg=0.048, batch=8, r1_interval=2, pl_weight=2.0, pl_interval=2, style_mixing=0.5,
                    ema_kimg=0.01)  # fmt: skip
SMALL = replace(PAPER, loss="relativistic", gamma=1.0, pl_weight=0.0, reuse_samples=True)
FIT = WarmStartConfig(stage_kimg=(0.048,), batch=8, ema_kimg=0.01)
CASES = {
    "paper": PAPER,
    "relativistic": SMALL,
    "anchors": replace(PAPER, anchor_weight=5.0, anchor_kimg=0.032),
    "pairs": replace(SMALL, anchor_weight=5.0, anchor_kimg=0.032),
    "fit": FIT,
    "contrasts": replace(FIT, contrast_weight=2.0),
    "growing": WarmStartConfig(start_resolution=8, stage_kimg=(0.024, 0.024), batch=8, ema_kimg=0.01),
}
SAVED = 2  # steps before the state is saved


class Notes:
    """A context that forgets."""

    seed = 0

    def record(self, name, value):
        pass


@contextlib.contextmanager
def doubles():
    """Everything in float64, also what the engine makes float32: there, a mistake cannot hide behind rounding."""
    single, torch.Tensor.float = torch.Tensor.float, torch.Tensor.double
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.Tensor.float = single
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def short_search():
    """Latents are aligned by few samples."""
    before = alignment.SAMPLES, visible.PROBES
    alignment.SAMPLES, visible.PROBES = 100, 4
    try:
        yield
    finally:
        alignment.SAMPLES, visible.PROBES = before


def load(folder, name):
    dtype = torch.get_default_dtype()
    torch.set_default_dtype(torch.float32)
    gan = checkpoints.load(folder / name)
    torch.set_default_dtype(dtype)
    gan.generator.to(dtype), gan.discriminator.to(dtype)
    return gan


def stage(case, folder):
    """Student, source and anchors of a case."""
    student, cat, dog = (load(folder, name) for name in ("student", "cat", "dog"))
    sources = [GanSource(cat, names=("cat",)), GanSource(dog, names=("dog",))]
    if case in ("fit", "contrasts", "pairs"):
        return student, AlignedSource(sources, [student, student], Notes()), {}
    if case == "growing":
        return student, DomainSource(("cat", "dog"), 16, pool=16, z_dim=student.z_dim, contrasts=("yaw",)), {}
    anchors = {"dog": student.copy().generator} if case == "anchors" else {}
    return student, MixtureSource(sources), anchors


def begin(case, folder, saved=None):
    """The steps of a case, from the start or from a saved state."""
    student, source, anchors = stage(case, folder)
    config, state = CASES[case], None
    fit = isinstance(config, WarmStartConfig)
    if saved is not None:
        state = (FitState if fit else start_state)(student, config)
        state.load_state_dict(saved)
    if fit:
        return warm_start(student, source, config, state=state, report_images=24)
    return finetune(student, source, config, anchors=anchors, state=state, report_images=24)


def finish(steps):
    """Runs steps: what is reported on the way, the state's tensors after SAVED steps and at the end."""
    reports, saved = [], None
    for index, progress in enumerate(steps, start=1):
        reports.append((progress.images, dict(progress.losses)))
        if index == SAVED:
            saved = progress.state.state_dict()
    return {"reports": reports, "saved": saved, "state": progress.state.state_dict()}


@short_search()
def perform(mode, folder, cases=tuple(CASES)):
    """All cases in float32 and float64; "resume": in float32, from what the main process of "whole" had saved."""
    if mode == "resume":
        before = torch.load(folder / "whole-2-0.pt")
        return {f"{case} float32": finish(begin(case, folder, before[f"{case} float32"]["saved"])) for case in cases}
    found = {f"{case} float32": finish(begin(case, folder)) for case in cases}
    with doubles():
        return found | {f"{case} float64": finish(begin(case, folder)) for case in cases if case != "growing"}


class Poisoned(GanSource):
    """A source whose pictures are broken."""

    def draw(self, z, labels):
        return super().draw(z, labels) * math.nan


def stopped(folder, team):
    """What a process says when the pictures of another are not finite: the second one's are broken."""
    source = (GanSource if team.main else Poisoned)(load(folder, "cat"), names=("cat",))
    try:
        list(finetune(load(folder, "student"), source, SMALL))
    except CocktailError as error:
        return str(error)


def main(folder, mode):
    torch.set_num_threads(1)
    with parallel.joined() as team:
        found = perform(mode, folder)
        mine = torch.arange(7)[list(team.share(7))] * 10
        found["team"] = {
            "gathered": team.gather(mine, 7),
            "agreed": [team.agree(team.main), team.agree(not team.main)],
            "same": team.same({"rank": team.rank}),
            "neighbours": team.neighbours,
            "stopped": stopped(folder, team),
        }
        team.barrier()
        torch.save(found, folder / f"{mode}-{team.size}-{team.rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
