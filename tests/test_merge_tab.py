"""The Merge tab without a browser: form and recipe, who may launch, what a run looks like, how threads are shared."""

import inspect
import itertools
import json
import shutil
from dataclasses import replace

import gradio as gr
import PIL.Image
import pytest
import torch

import ui
from cocktail import checkpoints, runs
from cocktail.errors import CocktailError
from cocktail.methods.cocktail import PRESETS, CocktailConfig
from cocktail.methods.registry import METHODS
from cocktail.preflight import Finding
from cocktail.recipe import Recipe, Source
from cocktail.runs import Run
from cocktail.runs.queue import Queue
from ui import access, launching, merge_form, merge_preview, options, run_actions, run_view, sharing
from ui.merge_form import Form
from ui.models import Models

CPU = torch.device("cpu")


@pytest.fixture
def sources(tiny, tmp_path):
    """Paths of a cat, a dog and a model of two classes."""
    made = {"cat": tiny(seed=0), "dog": tiny(seed=1), "pets": tiny(("cat", "bird"), seed=2)}
    return {name: str(checkpoints.save(gan, tmp_path / "models" / name)) for name, gan in made.items()}


@pytest.fixture
def home(monkeypatch, tmp_path):
    monkeypatch.setenv("COCKTAIL_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COCKTAIL_QUEUE", str(tmp_path / "queue"))
    monkeypatch.setitem(sharing._SEEN, "at", float("-inf"))
    return tmp_path / "runs"


def form(refs, names="", **changes):
    value = options.value(PRESETS["try"])
    return Form(refs, names, changes.pop("root", refs[0] if refs else None), "cocktail", changes.pop("preset", "try"),
                value | {"changes": changes.pop("changes", {})}, 3, "cpu", changes.pop("amp", False), 1)  # fmt: skip


# --- the form


def test_the_options_form_has_every_field_of_the_config_once():
    shown = options.value(CocktailConfig())
    paths = [field["path"] for field in (*shown["budget"], *(f for g in shown["groups"] for f in g["fields"]))]
    assert len(paths) == len(set(paths))
    assert {"root.lr", "merge.total_kimg", "warm.stage_kimg", "class_w_gain", "extra_kimg"} <= set(paths)
    stages = ["Rooting", "Fitting", "Merging"]  # in the order of a run
    assert [field["label"] for field in shown["budget"]] == stages
    assert [group["title"] for group in shown["groups"]] == ["Method", *stages]
    (loss,) = [f for g in shown["groups"] for f in g["fields"] if f["path"] == "merge.loss"]
    assert loss["kind"] == "choice" and "relativistic" in loss["choices"] and loss["help"]


def test_changes_of_the_form_reach_the_config_and_nothing_else():
    changes = {"merge.batch": "24", "root.lr": "0.004", "warm.stage_kimg": "5", "extra_kimg": "1, 2.5", "align": False,
               "merge.loss": "nonsaturating"}  # fmt: skip
    base = PRESETS["small"]
    found = options.changed(base, changes)
    assert found == replace(
        base, root=replace(base.root, lr=0.004), merge=replace(base.merge, batch=24, loss="nonsaturating"),
        warm=replace(base.warm, stage_kimg=(5.0,)), extra_kimg=(1.0, 2.5), align=False,
    )  # fmt: skip
    assert options.changed(base, {}) == base


@pytest.mark.parametrize(
    "changes, message",
    [({"merge.batch": "many"}, "batch"), ({"merge.batch": "2.5"}, "batch"), ({"merge.batch": "0"}, "batch"),
     ({"root.lr": ""}, "lr"), ({"merge.loss": "hinge"}, "loss"), ({"warm.stage_kimg": "a,b"}, "stage_kimg")],
)  # fmt: skip
def test_a_change_that_cannot_be_names_its_field(changes, message):
    with pytest.raises(CocktailError, match=message):
        options.changed(PRESETS["small"], changes)


def test_a_form_becomes_a_recipe_and_a_recipe_fills_the_form(sources):
    refs = [sources["dog"], sources["pets"]]
    filled = form(refs, "dog, cat, bird", root=sources["pets"], changes={"merge.total_kimg": "7", "root.batch": 4})
    recipe = merge_form.recipe_of(filled)
    assert [source.names for source in recipe.sources] == [("dog",), ("cat", "bird")]
    assert (recipe.root, recipe.seed, recipe.threads) == (1, 3, 1)
    assert recipe.config.merge.total_kimg == 7 and recipe.config.root.batch == 4
    assert merge_form.read_text(recipe.to_yaml()) == recipe
    again = merge_form.form_of(recipe)
    assert again.options["changes"].keys() == {"merge.total_kimg", "root.batch"} and again.preset == "try"
    assert merge_form.recipe_of(again) == recipe


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_comes_back_from_its_recipe(sources, preset):
    recipe = merge_form.recipe_of(form([sources["cat"], sources["dog"]], preset=preset))
    assert recipe.config == PRESETS[preset]
    again = merge_form.form_of(recipe)
    assert again.preset == preset and again.options["changes"] == {} and merge_form.recipe_of(again) == recipe


@pytest.mark.parametrize("method", METHODS)
def test_the_form_of_every_method_shows_what_its_recipe_says(sources, method):
    """Also lists of numbers and of words, like the shares of an average and the pictures of the upper bound."""
    config = METHODS[method].presets["try"]
    lists = {"pictures": ("face", "my cats"), "shares": (1.0, 2.5)}
    given = {name: value for name, value in lists.items() if hasattr(config, name)}
    recipe = Recipe((Source(sources["cat"]), Source(sources["dog"])), method, config=replace(config, **given))
    again = merge_form.form_of(recipe)
    assert (again.method, again.preset) == (method, "try") and again.options["changes"].keys() == given.keys()
    assert merge_form.recipe_of(again).config == recipe.config


def test_mixed_precision_reaches_every_stage_of_training(sources):
    recipe = merge_form.recipe_of(form([sources["cat"], sources["dog"]], amp=True))
    assert recipe.config.root.amp and recipe.config.merge.amp


@pytest.mark.parametrize(
    "picked, names, message",
    [(["cat"], "", "two models or more"), (["cat", "cat"], "", "picked twice"),
     (["cat", "pets"], "a, b", "2 names for 3"),
     (["cat", "nowhere"], "", "nowhere")],
)  # fmt: skip
def test_a_form_that_is_no_merge_says_what_is_missing(sources, picked, names, message):
    with pytest.raises(CocktailError, match=message):
        merge_form.recipe_of(form([sources.get(name, "/no/such/nowhere") for name in picked], names))


def test_a_root_that_is_not_merged_is_refused(sources):
    with pytest.raises(CocktailError, match="pick one of the models"):
        merge_form.recipe_of(form([sources["cat"], sources["dog"]], root=sources["pets"]))


def test_names_that_come_twice_are_told_apart(sources):
    assert merge_form.default_names([sources["cat"], sources["pets"]]) == "cat, cat 2, bird"


def test_a_run_gets_a_name_that_is_free(tmp_path):
    assert merge_form.free_name(tmp_path, "cat, dog") == "cat+dog"
    (tmp_path / "cat+dog").mkdir()
    assert merge_form.free_name(tmp_path, "cat, dog") == "cat+dog 2"
    for odd in ("../../etc, x", "", " , ", "<b>, ü/é", "." * 60):
        runs.control.named(merge_form.free_name(tmp_path, odd))  # or it raises


@pytest.mark.parametrize("text", ["sources: [", "- a\n- b", "", "sources: []\nmethod: magic"])
def test_a_text_that_is_no_recipe_is_refused(text):
    with pytest.raises(CocktailError):
        merge_form.read_text(text)


def test_findings_put_the_text_of_others_into_the_page_harmlessly():
    shown = merge_form.findings([Finding("error", "<i>x</i>", "broken <script>", "mend & go")], "about <1 minute")
    assert "<script>" not in shown and "<i>x" not in shown and "&lt;script&gt;" in shown and "mend &amp; go" in shown


# --- starting


def test_a_recipe_with_an_error_is_not_started_and_leaves_nothing(home, sources):
    recipe = Recipe((Source(sources["cat"], names=("cat",)), Source(sources["dog"], names=("cat",))))
    with pytest.raises(CocktailError, match="cat"):
        launching.start(recipe.to_yaml(), "twice", {})
    assert not (home / "twice").exists()


@pytest.mark.parametrize("name", ["../outside", "a/b", "", "-rf", "x\0y", ".hidden", "n" * 200])
def test_a_name_that_is_a_path_is_refused(home, sources, name):
    recipe = merge_form.recipe_of(form([sources["cat"], sources["dog"]]))
    with pytest.raises(CocktailError, match="cannot name a run"):
        launching.start(recipe.to_yaml(), name, {})
    assert not home.exists() or not list(home.iterdir())


def test_the_speeds_of_a_check_are_kept_only_for_the_recipe_that_was_checked(home, sources, monkeypatch):
    given = []
    monkeypatch.setattr(runs, "start", lambda recipe, folder, estimate: given.append(estimate))
    text = merge_form.recipe_of(form([sources["cat"], sources["dog"]])).to_yaml()
    launching.start(text, "one", {"text": text, "estimate": "probed"})
    launching.start(text, "two", {"text": "another", "estimate": "probed"})
    assert given == ["probed", None]


# --- who may


@pytest.mark.parametrize(
    "public, owner, user, zero, words",
    [(False, None, None, False, ""), (True, None, None, False, "public"), (True, "ann", None, False, "sign in"),
     (True, "ann", "bob", False, "ann"), (True, "ann", "ann", False, ""), (True, "ann", "ann", True, "ZeroGPU"),
     (True, None, "bob", False, "public")],
)  # fmt: skip
def test_only_who_sits_here_or_owns_the_space_may_launch(monkeypatch, public, owner, user, zero, words):
    for name, value in ((access.OWNER, owner), (access.ZERO, "true" if zero else None)):
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    reason = access.refusal(Models(public=public, device=CPU), user)
    assert words in reason if words else reason == ""


def test_every_handler_that_changes_a_run_asks_who_it_is(home, monkeypatch, sources):
    """Called as a stranger on a public page would call them, past the buttons."""
    monkeypatch.delenv(access.OWNER, raising=False)
    blocks = ui.build(Models(public=True, device=CPU))
    guarded = {
        "acted",
        "recipe_loaded",
        "started",
        "extended",
        "branched",
        "deleted",
        "opened",
        "edited",
        "recommended",
        "checked",
    }
    found = [fn for fn in blocks.fns.values() if fn.name in guarded]
    assert {fn.name for fn in found} == guarded and sum(fn.name == "acted" for fn in found) == 3
    for fn in found:
        values = [component.value if hasattr(component, "value") else None for component in fn.inputs]
        first = list(inspect.signature(fn.fn).parameters)[0] == "request"
        with pytest.raises(gr.Error, match="merging is off"):
            result = fn.fn(gr.Request(), *values) if first else fn.fn(*values, gr.Request())
            list(result) if hasattr(result, "__next__") else None


# --- what is shown


@pytest.fixture
def run(home, sources):
    """A run in the middle of its second stage, as its process would have left it."""
    folder = home / "half"
    folder.mkdir(parents=True)
    recipe = merge_form.recipe_of(form([sources["cat"], sources["dog"]]))
    (folder / "recipe.yaml").write_text(recipe.to_yaml())
    (folder / "samples").mkdir()
    (folder / "samples" / "merge-00000100.png").write_bytes(b"picture")
    (folder / "secret.png").write_bytes(b"secret")
    plan = [{"name": "root/dog", "images": 100, "classes": 1, "fit": False},
            {"name": "merge", "images": 300, "classes": 2, "fit": False}]  # fmt: skip
    entries = [
        {"session": "now"}, {"plan": plan, "features": "pixels", "floors": {"cat": 0.1, "dog": 0.2}},
        *({"stage": "root/dog", "images": 10 * i, "total": 100, "sec": float(i), "losses": {"g": 1.0, "real": 9.0}}
          for i in range(1, 11)),
        {"note": "distance/x", "value": 0.5},
        {"stage": "merge", "images": 100, "total": 300, "sec": 10.0, "losses": {"g": 0.5, "d": 0.25}, "x": "<b>"},
        {"stage": "merge", "images": 100, "total": 300, "sec": 10.0, "picture": "merge-00000100.png", "memory": 2**30,
         "scores": {"cat": {"frechet": 0.4, "spread": 1.0}, "dog": {"frechet": 0.8, "spread": 0.9}}},
    ]  # fmt: skip
    (folder / "log.jsonl").write_text("".join(json.dumps({"time": 1.0, **entry}) + "\n" for entry in entries))
    checkpoints.save(checkpoints.load(sources["cat"]), folder / "stages" / "root" / "dog")
    return Run(folder)


def test_a_run_is_shown_as_its_folder_tells_it(run):
    status = runs.read(run.folder)
    value = run_view.view(status, [status])
    assert json.loads(json.dumps(value)) == value, "the browser gets plain data"
    shown = value["run"]
    assert [(s["title"], s["done"]) for s in shown["stages"]] == [("rooting dog", True), ("merging", False)]
    assert shown["stages"][1]["share"] == pytest.approx(1 / 3) and shown["state"] == "interrupted"
    assert [frame["picture"] for frame in shown["frames"]] == ["merge-00000100.png"] and not shown["average"]
    assert "1.1 GB at the peak" in shown["facts"] and any("merge" in line and "0.25" in line for line in shown["log"])


def test_curves_stand_where_their_stage_begins_beside_the_sources_own_score(run):
    status = runs.read(run.folder)
    figure = run_view.scores(status)
    assert {trace.name: (list(trace.x), list(trace.y)) for trace in figure.data} == {
        "cat": ([0.2], [0.4]), "dog": ([0.2], [0.8])}  # fmt: skip
    assert sorted(shape.y0 for shape in figure.layout.shapes if shape.y0 == shape.y1) == [0.1, 0.2]
    traces = {trace.name: trace for trace in run_view.losses(status).data}
    assert [x for x in traces["g"].x if x is not None] == pytest.approx([0.01 * i for i in range(1, 11)] + [0.2])
    assert traces["real"].visible == "legendonly" and traces["d"].visible is True


def test_two_runs_are_compared_in_one_figure(run):
    status = runs.read(run.folder)
    assert len(run_view.scores(status, status).data) == 4
    assert {trace.line.dash for trace in run_view.scores(status, status).data} == {"solid", "dot"}


def test_pictures_of_a_run_are_given_and_no_other_file(run, tmp_path):
    folder = str(run.folder)
    assert run_view.frame({"run": folder, "picture": "merge-00000100.png"})["src"].startswith("data:image/png;base64,")
    for picture in ("../secret.png", "secret.png", "../recipe.yaml", "/etc/passwd", "", None):
        assert "error" in run_view.frame({"run": folder, "picture": picture})
    assert "error" in run_view.frame({"run": str(tmp_path), "picture": "merge-00000100.png"})


def look(*asked):
    return run_actions.look(run_view.statuses(runs.listed(runs.home())), *asked)


def test_nothing_is_sent_again_while_nothing_changes(run):
    first = look("", None, "")
    assert first[0] == str(run.folder) and first[2]["run"]["name"] == "half"
    assert all(entry == gr.skip() for entry in look(first[0], None, first[1]))
    run.log(warning="something")
    assert look(first[0], None, first[1])[2]["run"]["warnings"] == ["something"]


def test_what_a_run_cannot_be_compared_with_is_taken_out_of_the_list(home, run):
    first = look("", None, "")
    for other in (first[0], str(home / "gone")):  # itself, as right after one has switched to it
        assert look(first[0], other, first[1])[-1].value == ""
    assert all(entry == gr.skip() for entry in look(first[0], "", first[1]))


def test_a_run_that_is_gone_gives_way_to_another(home):
    assert look(str(home / "gone"), None, "")[2]["run"] is None
    with pytest.raises(CocktailError, match="not there"):
        run_actions.run_of("/etc")


def test_the_chip_counts_the_runs_at_work_alone(run):
    status = runs.read(run.folder)
    assert run_view.chip([status]) == ""
    busy = replace(status, state="running", left_sec=150.0)
    assert run_view.chip([status, busy, replace(busy, state="waiting")]).startswith("2 merges, ")
    assert "2 to 3 minutes left" in run_view.chip([busy])


# --- sharing


def test_the_page_takes_the_threads_that_a_run_leaves(home, run, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    assert sharing._left() == 4
    with Queue("cpu").ticket(run.folder):
        assert sharing._left() == 3  # its recipe takes one
        recipe = run.recipe()
        (run.folder / "recipe.yaml").write_text(replace(recipe, threads=9).to_yaml())
        assert sharing._left() == 1
    assert sharing._left() == 4


def test_threads_are_looked_up_now_and_then_and_set_where_they_are_used(home, monkeypatch):
    before = torch.get_num_threads()
    asked = []
    monkeypatch.setattr(sharing, "_left", lambda: asked.append(1) or 1)
    sharing.apply()
    sharing.apply()
    assert torch.get_num_threads() == 1 and len(asked) == 1
    torch.set_num_threads(before)


def test_what_goes_in_is_shown_models_folders_and_what_is_neither(home, sources, tmp_path):
    folder = tmp_path / "foxes"
    folder.mkdir()
    for i in range(3):
        PIL.Image.new("RGB", (20, 30), (200, 80 * i, 0)).save(folder / f"{i}.png")
    models = Models(device=CPU)
    shown = merge_preview.preview(models, [sources["pets"], str(folder), "/no/such"], str(folder))
    model, pictures, nothing = shown.split("<section")[1:]
    assert model.count("<img") == 6 and "root" not in model
    assert pictures.count("<img") == 3 and "root" in pictures
    assert "<img" not in nothing and "neither a path" in nothing
    stranger = merge_preview.preview(Models(public=True, device=CPU), [str(folder)], None)
    assert "<img" not in stranger and "public" in stranger


def test_a_stranger_on_a_public_page_names_no_paths(home, monkeypatch, sources):
    monkeypatch.delenv(access.OWNER, raising=False)
    known = sources["cat"]
    models = Models([known], public=True, device=CPU)
    access.check_refs(models, [known], None)
    with pytest.raises(CocktailError, match="not one of the models"):
        access.check_refs(models, [known, sources["dog"]], None)
    access.check_refs(Models(device=CPU), [sources["dog"]], None)
    found = {fn.name: fn.fn for fn in ui.build(models).fns.values() if fn.name in ("compose", "picked")}
    monkeypatch.setattr(checkpoints, "load", lambda ref: pytest.fail(f"{ref} was read"))
    refs = [known, sources["dog"]]
    (told,) = found["compose"](gr.Request(), "", "", {}, *vars(form(refs)).values()).values()
    assert "not one of the models" in told
    with pytest.raises(gr.Error, match="not one of the models"):
        found["picked"](refs, known, {}, gr.Request())


def test_a_stranger_reads_why_and_finds_the_buttons_off(home, monkeypatch):
    monkeypatch.delenv(access.OWNER, raising=False)
    for public in (True, False):
        (greeted,) = [fn.fn for fn in ui.build(Models(public=public, device=CPU)).fns.values() if fn.name == "greeted"]
        reason, *buttons = greeted(gr.Request()).values()
        assert ("merging is off" in reason) == public
        assert [button.interactive for button in buttons] == [not public] * 3


def test_a_run_at_rest_is_read_again_only_when_its_files_change(run, monkeypatch):
    asked, read = [], runs.read
    monkeypatch.setattr(runs, "read", lambda folder: asked.append(folder) or read(folder))
    monkeypatch.setattr(run_view, "AT_REST", {})
    for _ in range(3):
        run_view.statuses([run])
    assert len(asked) == 1
    run.log(warning="something")
    assert run_view.statuses([run])[0].warnings == ("something",) and len(asked) == 2


def test_a_run_elsewhere_is_listed_while_it_waits_for_any_device(home, run, tmp_path):
    other = tmp_path / "elsewhere" / "mine"
    shutil.copytree(run.folder, other)
    with Queue("cuda:1").ticket(other):
        assert {found.folder.resolve() for found in runs.listed(home)} == {run.folder.resolve(), other.resolve()}
    assert [found.folder for found in runs.listed(home)] == [run.folder]


def test_what_runs_is_what_the_form_says_now_unless_somebody_wrote_the_recipe(sources):
    earlier, now = (form([sources["cat"], sources["dog"]], names) for names in ("cat, dog", "cat, wolf"))
    texts = [merge_form.recipe_of(earlier).to_yaml(), merge_form.recipe_of(now).to_yaml()]
    on_page = gr.Code(language="yaml").postprocess(texts[0])
    assert on_page != texts[0]
    for text, known in itertools.product((texts[0], on_page), (texts[:1], texts)):
        # The page may show an older text than the form wrote last.
        assert "wolf" in launching.newest(text, {"texts": known}, now)
    assert launching.newest("by hand", {"texts": texts}, now) == "by hand"


def test_a_name_that_somebody_typed_stays_and_a_proposed_one_follows(home, sources):
    (compose,) = {fn.name: fn.fn for fn in ui.build(Models(device=CPU)).fns.values() if fn.name == "compose"}.values()
    values = vars(form([sources["cat"], sources["dog"]], "cat, wolf")).values()
    for now, called in (("", "cat+wolf"), ("cat+dog", "cat+wolf"), ("mine", gr.skip())):
        shown = compose(gr.Request(), "", now, {"texts": [""], "name": "cat+dog"}, *values)
        assert called in shown.values()


def test_a_dash_leaves_a_class_out_of_the_merge(sources):
    refs = [sources["dog"], sources["pets"]]
    recipe = merge_form.recipe_of(form(refs, "dog, -, parrot"))
    assert recipe.sources[1] == Source(sources["pets"], ("bird",), ("parrot",))
    again = merge_form.form_of(recipe)
    assert again.names == "dog, -, parrot" and merge_form.recipe_of(again) == recipe
    with pytest.raises(CocktailError, match="every class is left out"):
        merge_form.recipe_of(form(refs, "dog, -, -"))


def test_a_recipe_fills_the_form_and_stays_the_text_that_runs(sources):
    recipe = merge_form.recipe_of(form([sources["cat"], sources["dog"]], "tom, rex", changes={"merge.lr": 0.003}))
    text, written, named, *values = launching.filled("# mine\n" + recipe.to_yaml())
    shown = dict(zip(vars(form([sources["cat"]])), values, strict=True))
    assert shown["names"] == "tom, rex" and shown["options"]["changes"] == {"merge.lr": 0.003}
    assert named == shown["refs"] == [sources["cat"], sources["dog"]]
    assert launching.newest(text, written, Form(**shown | {"root": sources["cat"]})) == text
    assert "seed: 5" in launching.newest(text, written, Form(**shown | {"root": sources["cat"], "seed": 5}))
    assert launching.rewritten(text, recipe) == text
    assert launching.rewritten(text, replace(recipe, seed=5)) == replace(recipe, seed=5).to_yaml()
    assert launching.rewritten("no: [yaml", recipe) == recipe.to_yaml()


def test_a_stranger_sees_no_runs_and_the_owner_does(run, monkeypatch):
    monkeypatch.delenv(access.OWNER, raising=False)
    for public in (True, False):
        again = next(fn.fn for fn in ui.build(Models(public=public, device=CPU)).fns.values() if fn.name == "again")
        (value,) = [v for v in again("", None, gr.Request()).values() if isinstance(v, dict) and "runs" in v]
        assert (value["run"] is None and value["runs"] == []) == public


def test_the_student_of_a_run_at_work_goes_before_an_older_result(run, sources):
    with pytest.raises(CocktailError, match="not saved anything yet"):
        run_actions.result_of(run)
    checkpoints.save(checkpoints.load(sources["cat"]), run.result)
    assert run_actions.result_of(run) == str(run.result)
    checkpoints.save(checkpoints.load(sources["cat"]), run.latest)
    assert run_actions.result_of(run) == str(run.latest)


def test_a_branch_takes_the_recipe_of_the_form_if_it_was_taken_from_that_run(home, run):
    (branched,) = [fn.fn for fn in ui.build(Models(device=CPU)).fns.values() if fn.name == "branched"]
    text = run.recipe().to_yaml()
    longer = text.replace("total_kimg: 3.0", "total_kimg: 9.0")
    assert longer != text
    # What somebody wrote counts; else what was changed in the form, though its text does not say so yet.
    late = vars(merge_form.form_of(merge_form.read_text(longer))).values()
    for name, of, told, kimg in (("same", "", longer, 3.0), ("other", str(run.folder), longer, 9.0),
                                 ("late", str(run.folder), text, 9.0)):  # fmt: skip
        branched(gr.Request(), str(run.folder), name, of, told, {"texts": [text]}, None, *late)
        assert Run(home / name).recipe().config.merge.total_kimg == kimg


def test_another_run_is_shown_beside_at_its_own_moments(run):
    status = runs.read(run.folder)
    assert run_view.view(status, [status])["other"] is None
    beside = run_view.view(status, [status], status)["other"]
    assert beside["name"] == "half" and [f["stage"] for f in beside["frames"]] == ["merge"]


def test_losses_of_a_stage_that_is_not_planned_are_left_out(run):
    run.log(stage="elsewhere", images=5, total=9, sec=1.0, losses={"g": 7.0})
    traces = {trace.name: trace for trace in run_view.losses(runs.read(run.folder)).data}
    assert 7.0 not in traces["g"].y
