"""The tables: budgets are equal, cells have names of their own, figures are read as they were measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from benchmarks import cells, measuring, sources, tables, tables_figures, tables_known, tables_report, variants
from benchmarks.tables_known import Known, best_of, gap
from benchmarks.tables_report import section
from benchmarks.ways import AIDED, BASELINES, FIT_SHARE, PER_CLASS, ROOT_KIMG, TITLES, ways
from cocktail import checkpoints
from cocktail.errors import CocktailError
from cocktail.methods.registry import METHODS, get

PAIR = ("cat", "face")


def record(way, score, seed=1, classes=PAIR, resolution=32, **more):
    rows = {
        name: {"frechet": score + i, "interval": [score + i - 1, score + i + 1]}
        for i, name in enumerate((*classes, "all"))
    }
    yaw = dict.fromkeys(classes, {"slope": 0.1, "correlation": 0.9, "random": 0.01, "largest": 0.03})
    curve = [{"stage": "merge", "images": 6000, "frechet": dict.fromkeys((*classes, "all"), score)}]
    return {
        "classes": list(classes), "way": way, "seed": seed, "resolution": resolution, "curve": curve, "minutes": 30,
        "kimg": {"root/face": 4.0, "merge": 12.0}, "drawings": rows, "sources": dict.fromkeys(rows, score), "yaw": yaw,
        "notes": {},
    } | more  # fmt: skip


def known(*rows):
    return {f"{'+'.join(r['classes'])} {r['resolution']} {r['way']} seed {r['seed']}": r for r in rows}


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_every_way_shows_as_many_pictures_in_its_merge(classes):
    names = [(str(i),) for i in range(classes)]
    for way, (method, config) in ways(classes).items():
        stages = {stage.name: stage.images for stage in get(method).plan(names, config, 1)}
        merging = sum(images for name, images in stages.items() if not name.startswith("root"))
        assert merging == pytest.approx(1000 * PER_CLASS * classes, abs=2), way
        roots = [images for name, images in stages.items() if name.startswith("root")]
        assert roots in ([], [1000 * ROOT_KIMG] * (classes - 1))


def test_every_baseline_trains_with_the_settings_of_our_merge():
    ours = ways(2)["ours"][1].merge
    for way in (*BASELINES, *AIDED, "plain", "upper"):
        merge = ways(2)[way][1].merge
        assert (merge.batch, merge.lr, merge.loss, merge.gamma, merge.lr_decay, merge.ema_kimg) == (
            ours.batch, ours.lr, ours.loss, ours.gamma, ours.lr_decay, ours.ema_kimg), way  # fmt: skip
    assert set(ways(2)) == set(TITLES) and {method for method, _ in ways(2).values()} == set(METHODS)


@pytest.mark.parametrize("table", tables.TABLES)
def test_the_cells_of_a_table_differ_in_name_and_the_same_name_means_the_same_cell(table):
    found, makers = {}, tables.TABLES.values()
    for cell in (cell for make in makers for size in FIT_SHARE for cell in make([1, 2], size)):
        assert found.setdefault(cell.name, cell) == cell
    assert {cell.resolution for cell in tables.TABLES[table]([1], 32)} == ({16, 32, 64} if table == "11" else {32})
    assert len({cell.name for cell in tables.TABLES[table]([1, 2])}) > 1


@pytest.mark.parametrize(("resolution", "of_fit"), [(32, "no fit"), (64, "with a fit")])
def test_each_ablation_changes_the_recipe_and_keeps_the_budget(resolution, of_fit):
    config = ways(2, resolution=resolution)["ours"][1]
    others = tables.without(config)
    assert {"no fit", "with a fit"} & set(others) == {of_fit}
    total = config.merge.total_kimg + sum(config.warm.stage_kimg)
    assert len(others) >= 8 and all(other != config for other in others.values())
    for title, other in others.items():
        stages = get("cocktail").plan([("a",), ("b",)], other, 1)
        merging = sum(stage.images for stage in stages if not stage.name.startswith("root"))
        assert merging == pytest.approx(1000 * total, abs=2), title


def test_what_was_tried_beside_the_recipe_differs_from_it_and_keeps_the_budget():
    config = ways(3)["ours"][1]
    others = tables.variations(config, 3)
    assert len(others) >= 5 and all(other != config for other in others.values())
    assert {other.merge.total_kimg for other in others.values()} == {config.merge.total_kimg}
    rows = known(record("ours", 6.0), record("tried, more", 5.0), record("ours, less", 9.0))
    text = section(rows)
    assert "| more | 7.00 | 0.10 |" in text and "| less | 11.00 | 0.10 |" in text


def test_the_gap_closed_is_that_of_the_issue():
    rows = known(record("transfer", 10.0), record("scratch", 30.0), record("ours", 6.0), record("upper", 4.0))
    # best baseline 10, ours 6, upper bound 4, each 2 more over all classes
    assert gap(Known(rows), PAIR, BASELINES) == pytest.approx(100 * 4 / 6)
    assert best_of(Known(rows), PAIR, BASELINES) == ("transfer", 12.0)
    assert gap(Known(known(record("transfer", 10.0), record("ours", 6.0))), PAIR, BASELINES) is None


def test_the_page_has_means_over_seeds_and_says_what_was_not_run():
    scores = {"transfer": 10.0, "ours": 6.0, "upper": 4.0}
    text = section(known(*(record(way, scores[way], seed) for way in scores for seed in (1, 2))))
    assert "| cat+face | 12.00 ± 0.00 (2) | 8.00 ± 0.00 (2) | 6.00 ± 0.00 (2) |" in text
    assert "| cat+dog" not in text and "Freeze-D" not in text and "### The choice of the root" not in text
    assert "6 merges" in text and "3.0 hours" in text
    assert "| cat+face | TransferGAN 12.00 | 6.00 | 8.00 | 67 %, reached | 33 % |" in text


def test_the_page_begins_with_where_ours_is_lower_and_where_it_is_not():
    far = ("cat", "dog")
    text = section(known(record("ours", 6.0), record("ewc", 14.0), record("transfer+ +4 kimg", 10.0),
                         record("ours", 10.0, classes=far), record("ewc", 6.0, classes=far)))  # fmt: skip
    assert "equal merge budgets: lower on cat+face by 50 %; **higher** on cat+dog by 50 %." in text
    assert "Against the better of these, the roots' pictures counted: lower on cat+face by 33 %." in text
    assert "Against TransferGAN" not in text and "In short" not in section(known(record("ours", 6.0)))


def test_without_rooting_ours_is_compared_on_the_seeds_that_both_were_run_with():
    off = "ours, no rooting"
    rows = known(record("ours", 6.0), record("ours", 30.0, seed=2), record(off, 14.0), record(off, 0.0, seed=3))
    text = section(rows)
    assert "| cat+face, 32 px, no rooting | 8.00 | 16.00 |" in text and "### What rooting and averaging give" in text
    assert "Against itself without rooting, which saves the roots' pictures: lower on cat+face by 50 %." in text
    assert "Ours beside no rooting, 32 px: lower on cat+face by 50 %." in text and "the other way: nowhere." in text
    yaw = dict.fromkeys(PAIR, {"slope": -0.1, "correlation": -0.9, "random": 0.01, "largest": 0.03})
    text = section(known(record("ours", 6.0), record(off, 14.0, yaw=yaw)))
    assert "the other way: cat+face, 32 px, no rooting." in text
    assert "### What rooting" not in section(known(record("ours", 6.0)))


def test_64_px_has_lines_of_its_own():
    run = {"ours": 6.0, "transfer+": 8.0, "transfer": 14.0, "upper": 13.0, "plain": 18.0}
    large = [record(way, score, resolution=64) for way, score in run.items()]
    text = section(known(record("ours", 2.0), *large))
    assert "At 64 px, from the bundled models, against the paper's own recipe: lower on cat+face by 60 %." in text
    assert "There, against the best baseline of the paper: lower on cat+face by 50 %." in text
    assert "There, against the better of the aided baselines: lower on cat+face by 20 %." in text
    assert "At 64 px, from the bundled models:\n\n| score against drawings | TransferGAN |" in text
    assert "| cat+face | TransferGAN 16.00 | 15.00 | 8.00 | -400 % | 800 %, reached | 50 % |" in text
    assert "| 32 px | - | - | 4.00 |" in text and "| 64 px | 16.00 | 20.00 | 8.00 |" in text
    assert "### Resolution" not in section(known(record("ours", 2.0), record("plain", 2.0)))


def test_a_chapter_without_merges_at_32_px_keeps_its_words():
    text = section(known(record("transfer", 8.0, resolution=64), record("upper", 9.0, resolution=64),
                         record("ours", 6.0, resolution=64)))  # fmt: skip
    assert "### Gap closed\n\n(best baseline - ours)" in text and "which is TransferGAN on drawings" not in text


def test_the_choice_of_the_root_counts_who_picked_the_best_union_of_one_seed():
    swapped = ("face", "cat")
    rows = known(record("ours", 6.0), record("ours", 1.0, seed=2), record("ours", 4.0, classes=swapped))
    rows["roots cat+face 32"] = {"picks": {"recall": "face", "diversity": "cat"}}
    rows["roots cat+face 64"] = {"picks": {"recall": "cat"}}  # as those of all of these, its unions were not made
    rows["roots cat+dog 32"] = {"picks": {"recall": "dog", "diversity": "dog"}}
    text = section(rows)
    assert "| cat+face | cat 8.00, face 6.00 | face | recall: face, diversity: cat |" in text
    assert "At 32 px recall is right in 1 of 1; diversity is right in 0 of 1; a guess would be in 50%." in text
    assert "The best root is cat in 0 of 1, face in 1 of 1 unions that have it. The worst gives up to 1.3 times" in text
    assert "At 64 px recall" not in text


def test_counted_budgets_are_won_only_beyond_the_intervals():
    def scored(way, score, low, high):
        row = record(way, score)
        row["drawings"]["all"]["interval"] = [low, high]
        return row

    mine, other = scored("ours", 6.0, 7.0, 9.0), scored("transfer +4 kimg", 10.0, 11.0, 13.0)
    assert "| cat+face | 8.00 [7.00, 9.00] | 12.00 [11.00, 13.00] | reached |" in section(known(mine, other))
    other["drawings"]["all"]["interval"][0] = 8.5
    assert "| cat+face | 8.00 [7.00, 9.00] | 12.00 [8.50, 13.00] | **missed** |" in section(known(mine, other))


def test_counted_budgets_tell_the_baseline_from_the_aided_ones():
    rows = known(record("ours", 6.0), record("transfer +4 kimg", 10.0), record("distillation +4 kimg", 5.0))
    assert section(rows).count("| reached | **missed** |") == 1


def test_the_page_tells_what_the_sources_themselves_score_and_the_best_point_of_each_curve():
    rows = known(record("transfer", 10.0), record("ours", 6.0), record("upper", 4.0))
    assert "sources themselves" not in section(rows)
    text = section(rows | {"source cat 32": {"drawings": {"frechet": 0.5, "floor": 0.25}}})
    assert "the sources themselves score cat 0.50 (floor 0.25). So the upper bound" in text
    rows["cat+face 32 transfer seed 1"]["curve"][0]["frechet"]["all"] = 3.0
    assert "| cat+face | 3.00 | 6.00 | 4.00 |" in section(rows)


def test_a_union_is_not_taken_for_one_whose_name_begins_alike():
    rows = Known(known(record("ours", 1.0), record("ours", 2.0, classes=("cat", "face", "dog"))))
    assert len(rows.cells(PAIR, "ours")) == 1 and len(rows.cells(PAIR, "ours, no fit")) == 0


def test_a_curve_counts_the_roots_where_it_is_asked_to():
    row = record("ours", 1.0)
    row["kimg"] = {"root/face": 4.0, "distill": 8.0, "merge": 4.0}
    ends = (("distill", 8000, 3), ("merge", 4000, 2))
    row["curve"] = [{"stage": stage, "images": n, "frechet": {"all": value}} for stage, n, value in ends]
    assert list(tables_figures.points(row, "all", False)) == [(8.0, 3), (12.0, 2)]
    assert list(tables_figures.points(row, "all", True)) == [(12.0, 3), (16.0, 2)]


def test_both_panels_of_the_budgets_have_the_same_axes():
    rows = known(*(record("ours", score, seed, resolution=64) for seed, score in ((1, 1.0), (2, 3.0))))
    figure = tables_figures.budgets(Known(rows, 64))
    assert [(*line.x, *line.y) for line in figure.data] == [(12.0, 4.0), (16.0, 4.0)], "the mean, 2 more over all"
    assert {axis.type for axis in figure.select_yaxes()} == {axis.type for axis in figure.select_xaxes()} == {"log"}


def test_a_sheet_of_samples_is_left_alone_until_every_merge_of_it_is_on_this_disk(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "WORK", tmp_path)
    monkeypatch.setattr(tables_known, "PICTURES", tmp_path)
    rows, sheet = Known(known(record("transfer", 2.0), record("ours", 1.0))), tmp_path / "methods-cat+face.png"
    checkpoints.save(tiny(PAIR), cells.cell_folder("cat+face 32 ours seed 1") / "result")
    tables_figures.side_by_side(rows, PAIR)
    assert not sheet.exists()
    checkpoints.save(tiny(PAIR), cells.cell_folder("cat+face 32 transfer seed 1") / "result")
    tables_figures.side_by_side(rows, PAIR)
    assert sheet.exists()


def test_the_command_works_by_its_path_too(tmp_path):
    script = Path(tables.__file__)
    done = subprocess.run([sys.executable, script, "--help"], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and "--table" in done.stdout, done.stderr


def test_records_are_kept_one_a_line_and_can_be_forgotten(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "OUT", tmp_path / "tables.json")
    monkeypatch.setattr(cells, "WORK", tmp_path)
    first, second = (tables.cell(PAIR, "ours", seed) for seed in (1, 2))
    for cell in (second, first):
        cells.keep(cell.name, {"score": 1.23456789, "classes": ["cat"]})
    assert cells.results() == {c.name: {"score": 1.2346, "classes": ["cat"]} for c in (first, second)}
    lines = (tmp_path / "tables.json").read_text().splitlines()
    assert len(lines) == 4 and lines[1].startswith(json.dumps(first.name))
    cells.forget([first])
    assert list(cells.results()) == [second.name]


def test_what_is_known_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "OUT", tmp_path / "tables.json")
    monkeypatch.setattr(cells, "WORK", tmp_path)
    cell = tables.cell(PAIR, "ours")
    cells.keep(cell.name, {})
    monkeypatch.setattr(cells, "_merge", lambda *_: pytest.fail("it was run"))
    cells.run(cell)


def test_the_command_tells_how_much_is_known(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(cells, "OUT", tmp_path / "tables.json")
    for module in (cells, tables):
        monkeypatch.setattr(module, "WORK", tmp_path)
    monkeypatch.setattr(tables, "run", lambda found: ran.append(found.name))
    cells.keep("cat+face 64 ours seed 1", {})
    for resolution, known in ((64, 1), (32, 0)):
        ran = []
        asked = f"--table 3 --only ours --resolution {resolution} --unions cat+face cat+dog".split()
        monkeypatch.setattr(sys, "argv", ["tables", *asked])
        tables.main()
        assert ran == [f"{union} {resolution} ours seed 1" for union in ("cat+face", "cat+dog")]
        assert capsys.readouterr().out == f"2 merges, {known} of them known\n"


def test_cells_are_not_mixed_with_those_of_a_source_that_scores_otherwise(tmp_path, monkeypatch):
    for module, name, value in (
        (cells, "OUT", tmp_path / "out.json"),
        (cells, "WORK", tmp_path),
        (sources, "WORK", tmp_path),
    ):
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(measuring, "source_score", lambda ref, *_: {"frechet": scored.pop(ref)})
    folders = [tmp_path / "cat-32", tmp_path / "cat-32-0.1"]
    scored = dict(zip((str(folder / "result") for folder in folders), (0.48717, 9.5), strict=True))
    for folder, share in zip(folders, (1.0, 0.1), strict=True):
        folder.mkdir()
        for _ in range(2):  # it is scored once
            cells.check_source("cat", 32, share, None)
    assert {name: row["drawings"]["frechet"] for name, row in cells.results().items()} == {
        "source cat 32": 0.48717, "source cat*0.1 32": 9.5,
    }  # fmt: skip
    cells.check_source("cat", 64, 1.0, None)  # bundled
    (folders[0] / "score.json").unlink()
    scored[str(folders[0] / "result")] = 0.37677
    with pytest.raises(CocktailError, match=r"cat-32 scores 0\.3768 here .*, 0\.4872 where the cells"):
        cells.check_source("cat", 32, 1.0, None)


def test_the_committed_figures_make_the_page():
    assert tables_report.section(cells.results()).startswith("## Against the baselines")


def test_a_variant_draws_and_judges_with_red_and_blue_swapped(tiny):
    gan = tiny(("cat", "dog"))
    other, img = variants.swapped(gan), gan.sample(range(4), "cat")
    assert torch.equal(other.sample(range(4), "cat"), variants.as_domain(img, "blue-cat"))
    assert not torch.equal(img, img.flip(1))
    c = gan.one_hot("cat", 4)
    with torch.no_grad():
        assert torch.allclose(other.discriminator(img.flip(1), c), gan.discriminator(img, c), atol=1e-5)
    assert torch.equal(gan.sample(range(4), "cat"), img), "the model itself stays"
    assert variants.domain("blue-cat") == "cat" == variants.domain("cat") and not variants.is_variant("cat")


def test_the_source_of_a_variant_is_made_from_that_of_its_domain(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "WORK", tmp_path)
    gan = tiny()
    checkpoints.save(gan, tmp_path / "cat-32" / "result")
    ref = sources.make("blue-cat", 32)
    assert ref == sources.ref("blue-cat", 32) == str(tmp_path / "blue-cat-32" / "result")
    assert torch.equal(checkpoints.load(ref).sample(range(2)), gan.sample(range(2)).flip(1))
    assert sources.ref("cat", 64) == "bundled/cat" and sources.ref("blue-cat", 64) != "bundled/blue-cat"
