"""Before a merge: what is found wrong and how it is told, and what the merge will take."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cocktail import checkpoints, hardware
from cocktail.commands.base import drain
from cocktail.errors import CocktailError
from cocktail.methods.cocktail import CocktailConfig
from cocktail.methods.registry import METHODS, get
from cocktail.preflight import Estimate, Finding, check, estimate, probe
from cocktail.preflight.probe import Memory, mean_step
from cocktail.recipe import Recipe, Source
from cocktail.sources import FolderSource, GanSource
from cocktail.training import TrainConfig
from cocktail.warmstart import WarmStartConfig
from tests.drawn import drawn

STAGE = TrainConfig(total_kimg=2.0, batch=4)
CONFIG = CocktailConfig(STAGE, replace(STAGE, total_kimg=4.0))
GIB = 1 << 30


@pytest.fixture(scope="module")
def refs(tiny, tmp_path_factory):
    """Models to merge: alike, or each with something of its own."""
    folder = tmp_path_factory.mktemp("sources")
    models = {
        "cat": tiny(),
        "dog": tiny(seed=1),
        "cow": tiny(seed=2),
        "big": tiny(resolution=16),
        "plain": tiny(architecture="custom", resolution=8),
        "blind": tiny(discriminator=False),
        "pets": tiny(("cat", "hen")),
        "grey": tiny(img_channels=1, discriminator=False),
        "free": tiny(),
        "closed": tiny(),
        "silent": tiny(),
    }
    licences = {"closed": "CC-BY-NC-4.0", "silent": None, "free": "mit"}
    for name, gan in models.items():
        gan.card = {"licence": licences.get(name, "apache-2.0")}
        checkpoints.save(gan, folder / name)
    return {name: str(folder / name) for name in models}


@pytest.fixture
def recipe(refs):
    def make(*names, **fields):
        sources = tuple(name if isinstance(name, Source) else Source(refs[name]) for name in names)
        return Recipe(sources, **{"threads": 1, "config": CONFIG} | fields)

    return make


def told(findings, level):
    return [(finding.source, finding.text, finding.mend) for finding in findings if finding.level == level]


# --- findings


def test_models_that_go_together_are_all_well(recipe, refs):
    found = check(recipe("cat", "dog"))
    assert [(finding.level, finding.source) for finding in found] == [("ok", refs["cat"]), ("ok", refs["dog"])]
    assert found[0].text == "cat: 8 px, 3 channels, stylegan2, a discriminator, licence apache-2.0"


@pytest.mark.parametrize(
    "names, source, text, mend",
    [
        (("cat", "big"), "big", "16 px; the root has 8 px: samples are resized to 8", ""),
        (("cat", "plain"), "plain", "its architecture is custom, the root's stylegan2", ""),
        (("blind", "dog"), "blind", "the root has no discriminator: a new, untrained one", "the root: {dog}"),
        (("cat", "silent"), "silent", "no licence is stated", "ask whoever made it"),
        (("cat", "free"), "", "strictest of apache-2.0 ({cat}), mit ({free})", ""),
        (("cat", "closed"), "", "CC-BY-NC-4.0 ({closed}); {closed} forbids commercial use", ""),
    ],
)
def test_what_should_be_known_is_a_note(recipe, refs, names, source, text, mend):
    found = check(recipe(*names))
    assert told(found, "error") == []
    ((ref, note, remedy),) = told(found, "note")
    assert ref == refs.get(source, "") and text.format(**refs) in note and mend.format(**refs) in remedy


def test_a_discriminator_is_asked_of_the_root_only(recipe):
    assert told(check(recipe("cat", "blind")), "note") == []
    assert told(check(recipe("blind", "cat", root=1)), "note") == []


def test_the_root_of_the_recipe_is_what_others_are_compared_with(recipe, refs):
    ((ref, text, _),) = told(check(recipe("cat", "big", root=1)), "note")
    assert ref == refs["cat"] and text.startswith("8 px; the root has 16 px")


def test_class_names_that_occur_twice_are_an_error_that_says_how_to_mend_it(recipe, refs):
    ((ref, text, mend),) = told(check(recipe("cat", "pets")), "error")
    assert ref == refs["pets"] and "class name cat is given 2 times" in text and refs["cat"] in text
    assert "cat 2" in mend
    assert told(check(recipe("cat", Source(refs["pets"], (), ("tom", "hen")))), "error") == []


def test_a_root_must_give_all_its_classes(recipe, refs):
    half = Source(refs["pets"], ("hen",))
    ((ref, text, mend),) = told(check(recipe(half, "dog")), "error")
    assert ref == refs["pets"] and "picks hen" in text and "take all classes" in mend
    assert told(check(recipe("dog", half)), "error") == []


def test_other_channels_than_three_are_an_error(recipe, refs):
    ((ref, text, _),) = told(check(recipe("cat", "grey")), "error")
    assert ref == refs["grey"] and "1 channels" in text


@pytest.mark.parametrize("ref, text", [("nowhere/at/all", "neither a path"), ("pets", "Unknown class 'cow'")])
def test_a_model_that_cannot_be_used_is_an_error_and_the_others_are_checked_all_the_same(recipe, refs, ref, text):
    found = check(recipe("cat", Source(refs.get(ref, ref), ("cow",) if ref == "pets" else ()), "big"))
    ((source, error, _),) = told(found, "error")
    assert source == refs.get(ref, ref) and text in error
    assert any("16 px" in note for _, note, _ in told(found, "note"))


def test_a_device_and_threads_that_are_not_there_are_told(recipe):
    offered = hardware.available_threads()
    found = check(recipe("cat", "dog", device="nonsense", threads=offered + 3))
    assert "nonsense" in told(found, "error")[0][1]
    ((_, text, mend),) = told(found, "note")
    assert f"threads is {offered + 3}, but this machine offers {offered}" in text and f"threads to {offered}" in mend


def test_errors_come_first_then_notes_then_what_is_well(recipe, refs):
    found = check(recipe("cat", "big", "silent", Source("nowhere/at/all")))
    levels = [finding.level for finding in found]
    assert levels == sorted(levels, key=("error", "note", "ok").index) and set(levels) == {"error", "note", "ok"}
    assert isinstance(found[0], Finding) and "nowhere" in found[0].text


# --- pictures


@pytest.fixture(scope="module")
def fox(tmp_path_factory):
    return Source(str(drawn(tmp_path_factory.mktemp("pictures") / "foxes", 12, 16)), names=("fox",))


def test_pictures_are_told_with_number_and_size_and_what_speaks_against_so_few(recipe, refs, fox):
    found = check(recipe("cat", fox))
    assert told(found, "error") == []
    assert told(found, "ok")[1] == (fox.ref, "fox: 12 pictures, smallest 16 x 16 px", "")
    few, licence = told(found, "note")
    assert few == (fox.ref, "12 pictures of fox are few: it will learn them by heart", "give 1000 or more")
    assert licence[:2] == (fox.ref, "no licence is stated")


def test_pictures_smaller_than_the_root_are_a_note(recipe, tmp_path):
    small = Source(str(drawn(tmp_path / "a", 10, 8)))
    notes = [text for _, text, _ in told(check(recipe("big", small)), "note")]
    assert "pictures of a smaller than the root's 16 px are enlarged, and blurred thereby" in notes
    assert not any("smaller" in text for _, text, _ in told(check(recipe("cat", small)), "note"))


def test_an_aligned_merge_says_what_pictures_of_a_class_are_used_for(recipe, fox):
    text = "pictures of fox have no latents: in the merge the class follows the model rooted on them"
    for align in (True, False):
        notes = [note for _, note, _ in told(check(recipe("cat", fox, config=replace(CONFIG, align=align))), "note")]
        assert (text in notes) == align


def test_pictures_as_the_root_are_an_error_that_names_models_instead(recipe, refs, fox):
    ((ref, text, mend),) = told(check(recipe("cat", fox, root=1)), "error")
    assert ref == fox.ref and text == "pictures of fox cannot be the root." and refs["cat"] in mend
    with pytest.raises(CocktailError, match="cannot be the root"):
        estimated(recipe("cat", fox, root=1))
    mends = {ref: mend for ref, _, mend in told(check(recipe(fox, Source("nowhere/at/all"))), "error")}
    assert mends[fox.ref] == "add a model and make it the root"


def test_pictures_are_no_discriminator_for_a_root_that_lacks_one(recipe, fox):
    missing = [mend for _, text, mend in told(check(recipe("blind", fox)), "note") if "no discriminator" in text]
    assert missing == [""]


def test_a_broken_picture_is_an_error_before_the_merge(recipe, tmp_path):
    folder = drawn(tmp_path / "foxes")
    (folder / "5.png").write_bytes(b"words")
    ((ref, text, _),) = told(check(recipe("cat", Source(str(folder)))), "error")
    assert ref == str(folder) and "5.png is not a readable picture" in text


@pytest.mark.parametrize("align", [False, True])
def test_an_estimate_measures_pictures_in_rooting_and_what_stands_for_them_in_the_merge(
    recipe, fox, align, monkeypatch
):
    seen, real = [], probe.finetune

    def finetune(student, source, *options, **more):
        seen.append([type(part) for part in source.sources])
        yield from real(student, source, *options, **more)

    monkeypatch.setattr(probe, "finetune", finetune)
    fit = WarmStartConfig(stage_kimg=(8.0,), batch=4)
    found, stages = estimated(recipe("cat", fox, "dog", config=replace(CONFIG, align=align, warm=fit)))
    assert stages == ["loading", "root/fox", "root/dog", *(["distill"] if align else []), "merge", "measuring"]
    assert seen == [[FolderSource], [GanSource], [GanSource, GanSource if align else FolderSource, GanSource]]
    assert all(0 < low < high for low, high in found.seconds.values()) and ("alignment" in found.seconds) == align


# --- estimates


def estimated(recipe, **options):
    """The estimate and the names of what was measured."""
    seen = []
    return drain(estimate(recipe, budget_sec=0.2, **options), seen.append), seen


def test_every_planned_stage_has_a_rate_and_a_range_of_time(recipe):
    merge = recipe("cat", "dog", "cow")
    found, seen = estimated(merge)
    planned = [s.name for s in get("cocktail").plan([["cat"], ["dog"], ["cow"]], CONFIG)]
    assert list(found.rates) == planned == ["root/dog", "root/cow", "merge"]
    assert list(found.seconds) == [*planned, "measuring"]
    assert seen == ["loading", "root/dog", "merge", "measuring"], "the same work is measured once"
    low, high = found.seconds["merge"]
    assert low == pytest.approx(0.8 * 4000 / found.rates["merge"]) and high / low == pytest.approx(1.3 / 0.8)
    assert found.total_sec[0] == pytest.approx(sum(low for low, _ in found.seconds.values()))


def test_a_model_of_another_size_is_measured_apart(recipe):
    assert estimated(recipe("cat", "dog", "big"))[1] == ["loading", "root/dog", "root/big", "merge", "measuring"]


@pytest.mark.parametrize("contrasts", [0.0, 1.0])
def test_an_aligned_merge_has_a_fit_and_a_search_for_latents(recipe, contrasts):
    fit = WarmStartConfig(stage_kimg=(8.0,), batch=4, contrast_weight=contrasts)
    found, seen = estimated(recipe("cat", "dog", config=replace(CONFIG, align=True, warm=fit)))
    assert list(found.rates) == ["root/dog", "distill", "merge"] and "distill" in seen
    assert list(found.seconds) == ["root/dog", "distill", "merge", "measuring", "alignment"]


def test_distillation_is_measured_with_anchors(recipe, monkeypatch):
    seen = []

    def finetune(student, source, config, *, anchors=None, report_images=0):
        seen.append((source.classes, anchors and tuple(anchors)))
        yield from range(9)

    monkeypatch.setattr(probe, "finetune", finetune)
    estimated(recipe("cat", "dog", config=replace(CONFIG, distill=True)))
    assert seen == [(("dog",), None), (("cat", "dog"), ("cat", "dog"))]


@pytest.mark.parametrize("method", METHODS)
def test_every_method_can_be_estimated(recipe, method):
    config = METHODS[method].presets["try"]
    found, _ = estimated(replace(recipe("cat", "dog"), method=method, config=config))
    planned = METHODS[method].plan([["cat"], ["dog"]], config)
    assert list(found.rates) == [stage.name for stage in planned] and all(rate > 0 for rate in found.rates.values())
    assert all(0 < low < high for low, high in found.seconds.values())


def test_threads_and_random_state_are_as_before_whenever_the_estimate_waits(recipe):
    torch.set_num_threads(2)
    before = torch.get_rng_state()
    for _ in estimate(recipe("cat", "dog", threads=1), budget_sec=0.1):
        assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == 2 and torch.equal(torch.get_rng_state(), before)


def test_an_error_leaves_the_threads_as_before(recipe):
    torch.set_num_threads(2)
    with pytest.raises(CocktailError, match="class names must differ"):
        estimated(recipe("cat", "cat", threads=1))
    assert torch.get_num_threads() == 2


def test_memory_and_disk_hold_at_least_what_is_known(recipe, refs, tmp_path):
    found, _ = estimated(recipe("cat", "dog"), folder=tmp_path / "runs" / "new")
    model = checkpoints.load(refs["cat"])
    weights = 4 * sum(p.numel() for p in model.generator.parameters())
    judge = 4 * sum(p.numel() for p in model.discriminator.parameters())
    # Two states of 4 generators and 3 discriminators, and 4 models: of two stages, the latest, the result.
    assert 12 * weights + 10 * judge < found.disk_bytes < 3 * (12 * weights + 10 * judge)
    assert found.memory_bytes > 8 * weights and found.free_bytes > 0


def test_a_mean_step_counts_penalties_as_rarely_as_they_come():
    # Steps 0, 1, ...: R1 every 2 adds 2 s, path length every 3 adds 3 s; the first step warms up.
    times = [9.0, 1.0] + [1.0 + 2 * (i % 2 == 0) + 3 * (i % 3 == 0) for i in range(2, 30)]
    config = TrainConfig(r1_interval=16, pl_interval=4)
    assert mean_step(times, config) == pytest.approx(1 + 2 / 16 + 3 / 4)
    assert mean_step(times[:4], config) == pytest.approx(1 + 2 / 16 + 3 / 4)
    without = [1.0 + 2 * (i % 2 == 0) for i in range(12)]
    assert mean_step(without, replace(config, pl_weight=0.0)) == pytest.approx(1 + 2 / 16)
    assert mean_step([1.0] * 12, replace(config, pl_weight=0.0, gamma=0.0)) == 1


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells the peak since a moment")
def test_memory_sees_the_growth_of_the_process_and_keeps_its_peak():
    memory = Memory("cpu")
    assert memory.peak() < 50e6
    torch.ones(50_000_000).sum()  # 200 MB, gone again
    assert 190e6 < memory.peak() < 250e6


@pytest.mark.parametrize(
    "seconds, memory, disk, free, words",
    [
        ((120, 180), 0.4e9, 60e6, GIB, "about 2 to 3 minutes, 0.4 GB of memory, 60 MB on disk"),
        ((20, 33), 2.06e9, 1.5e9, 9e9, "about 20 to 33 seconds, 2.1 GB of memory, 1.5 GB on disk"),
        ((170, 200), 0.4e9, 60e6, GIB, "about 3 minutes, 0.4 GB of memory, 60 MB on disk"),
        ((3540, 5750), 0.4e9, 60e6, GIB, "about 59 to 96 minutes, 0.4 GB of memory, 60 MB on disk"),
        ((9000, 14400), 0.4e9, 60e6, GIB, "about 2 to 4 hours, 0.4 GB of memory, 60 MB on disk"),
        ((3e5, 6e5), 0.4e9, 60e6, 1e6, "about 3 to 7 days, 0.4 GB of memory, 60 MB on disk, where only 1 MB is free"),
    ],
)
def test_an_estimate_is_told_in_words(seconds, memory, disk, free, words):
    assert Estimate({}, {"merge": seconds}, int(memory), int(disk), int(free)).words() == words
