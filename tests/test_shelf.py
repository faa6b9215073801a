"""The shelf: its order and its past, files of it, and the desks of visitors."""

import base64
import io
import json
import threading
import time
import zipfile
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
import safetensors.torch
import torch

from cocktail.checkpoints import save
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from editing import shelf_files
from editing.directions import Direction
from editing.edits import Array, Code, EditRecipe, Mix, Seed
from editing.latents import codes, render
from editing.recipes import PictureRecipe, Recipe, fingerprint, to_png
from editing.shelf import MAX_NAME, MAX_PICKS, MAX_STEPS, History, Pick, Shelf
from editing.shelf_files import read_shelf, to_npz, to_safetensors
from ui import shelf as page_shelf
from ui import visitors
from ui.models import Models
from ui.visitors import MAX_DIRECTIONS, Desk, Visitors


@pytest.fixture(scope="module")
def gan(tiny) -> Gan:
    return tiny(("cat", "dog"), discriminator=False)


def entry(name: str, made: Recipe | None = None, ws: torch.Tensor | None = None) -> Pick:
    made = made or PictureRecipe("tiny", "f" * 32, ("cat",), (3,))
    return Pick(name, name, "tiny", made.label, torch.zeros(4, 8) if ws is None else ws, made, b"")


A, B, C = (entry(name) for name in "abc")
FULL = Shelf(tuple(entry(f"{i}") for i in range(MAX_PICKS)))


def names(shelf: Shelf) -> str:
    return " ".join(pick.name for pick in shelf.picks)


# A shelf.


def test_a_shelf_keeps_order_ignores_doubles_and_never_changes_in_place():
    empty = Shelf()
    shelf = empty.add(A, B).add(C, A)
    assert names(shelf) == "a b c" and "a" in shelf and "d" not in shelf
    assert names(shelf.remove("b")) == "a c" and names(shelf.remove("d")) == "a b c"
    assert names(shelf) == "a b c" and empty.picks == ()


def test_a_pick_says_how_it_was_made():
    assert A.made == "cat, seed 3, psi 1"


def test_a_full_shelf_says_so_and_takes_none_of_several():
    with pytest.raises(CocktailError, match=f"holds {MAX_PICKS} pictures and is full; 1 more"):
        FULL.add(A)
    nearly = FULL.remove("0")
    with pytest.raises(CocktailError, match=f"has {MAX_PICKS - 1}; 2 more do not fit"):
        nearly.add(A, B)
    assert len(nearly.add(A, A).picks) == MAX_PICKS, "a double takes no place"
    assert FULL.add(FULL.picks[7]) == FULL


def test_a_name_is_changed_trimmed_and_brought_back_by_an_empty_one():
    shelf = Shelf((A, B))
    renamed = shelf.rename("a", "  my \n  cat ")
    assert [pick.name for pick in renamed.picks] == ["my cat", "b"] and renamed.picks[1] is B
    assert [pick.name for pick in renamed.rename("a", " ").picks] == ["cat, seed 3, psi 1", "b"]
    assert names(shelf) == "a b" and renamed.picks[0].id == "a"


def test_a_long_name_is_refused_with_its_length():
    assert Shelf((A,)).rename("a", "x" * MAX_NAME).picks[0].name == "x" * MAX_NAME
    with pytest.raises(CocktailError, match=f"{MAX_NAME + 1} letters; at most {MAX_NAME}"):
        Shelf((A,)).rename("a", "x" * (MAX_NAME + 1))


@pytest.mark.parametrize(
    "pick, place, found",
    [("a", 0, "a b c"), ("a", 1, "b a c"), ("a", 2, "b c a"), ("c", 0, "c a b"), ("b", 99, "a c b"),
     ("b", -5, "b a c"), ("d", 0, "a b c")],
)  # fmt: skip
def test_a_pick_moves_to_a_place_and_beyond_the_ends_is_at_the_end(pick, place, found):
    assert names(Shelf((A, B, C)).move(pick, place)) == found


# Its past.


def test_every_one_of_fifty_steps_can_be_undone_and_done_again():
    assert MAX_STEPS >= 50
    history = History()
    for i in range(50):
        history = history.then(Shelf((*history.shelf.picks, entry(str(i)))[-MAX_PICKS:]))
    last = history.shelf
    for _ in range(50):
        history = history.undo()
    assert history.shelf.picks == ()
    for _ in range(50):
        history = history.redo()
    assert history.shelf == last and history.future == ()


def test_a_new_step_forgets_what_was_undone():
    history = History().then(Shelf((A,))).then(Shelf((A, B))).undo().then(Shelf((A, C)))
    with pytest.raises(CocktailError, match="nothing to redo"):
        history.redo()
    assert names(history.undo().shelf) == "a"


def test_nothing_to_undo_is_said_and_old_steps_fall_off():
    with pytest.raises(CocktailError, match="nothing to undo"):
        History().undo()
    history = History()
    for i in range(MAX_STEPS + 10):
        history = history.then(Shelf((entry(str(i)),)))
    for _ in range(MAX_STEPS):
        history = history.undo()
    assert names(history.shelf) == "9"
    with pytest.raises(CocktailError, match="nothing to undo"):
        history.undo()


@pytest.mark.parametrize(
    "change",
    [lambda shelf: shelf.add(A), lambda shelf: shelf.remove("d"), lambda shelf: shelf.move("a", 0),
     (lambda shelf: shelf.rename("a", "a"))],
)  # fmt: skip
def test_a_change_that_changes_nothing_is_no_step(change):
    history = History().then(Shelf((A, B)))
    assert history.then(change(history.shelf)) is history


# Files.


@pytest.fixture
def picks(gan) -> list[Pick]:
    fp = fingerprint(gan)
    photo = Array.of(torch.randn(4, 8, generator=torch.Generator().manual_seed(0)))
    made = [PictureRecipe("tiny", fp, ("dog",), (7,), 0.7), EditRecipe("tiny", fp, Code("cat", photo, "holiday.jpg")),
            EditRecipe("tiny", fp, Mix(Seed("cat", 1), Seed("dog", 2), (0.0, 0.5, 1.0, 1.0)))]  # fmt: skip
    return [entry(f"my {i}", recipe, codes(gan, recipe)[0]) for i, recipe in enumerate(made)]


def test_a_shelf_returns_from_safetensors_with_its_names_recipes_and_order(gan, picks):
    data = to_safetensors(picks)
    found = read_shelf(data, "shelf.safetensors", "another", "0" * 32)
    assert [(each.name, each.recipe) for each in found] == [(pick.name, pick.recipe) for pick in picks]
    tensors = safetensors.torch.load(data)
    for i, pick in enumerate(picks):
        assert torch.equal(codes(gan, found[i].recipe)[0], pick.ws)
        assert torch.equal(tensors[str(i)], pick.ws), "other programs find the codes too"


def test_codes_return_from_npz_which_plain_numpy_reads(gan, picks):
    data = to_npz(picks)
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        assert archive.files == ["w"]
        assert archive["w"].shape == (3, gan.num_ws, gan.w_dim) and archive["w"].dtype == np.float32
    found = read_shelf(data, "projected_w.npz", "mine", fingerprint(gan))
    assert [each.name for each in found] == ["projected_w 1", "projected_w 2", "projected_w 3"]
    for each, pick in zip(found, picks, strict=True):
        assert (each.recipe.model, each.recipe.fingerprint) == ("mine", fingerprint(gan))
        assert torch.equal(codes(gan, each.recipe)[0], pick.ws)


def test_a_single_code_of_another_program_has_the_name_of_its_file(gan):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, w=np.full((1, 4, 8), 0.5))  # float64, as some projectors write it
    (found,) = read_shelf(buffer.getvalue(), "my.face.npz", "mine", fingerprint(gan))
    assert found.name == "my.face" and torch.equal(codes(gan, found.recipe), torch.full((1, 4, 8), 0.5))


def test_an_empty_shelf_and_codes_of_two_shapes_are_not_saved(picks):
    for write in (to_safetensors, to_npz):
        with pytest.raises(CocktailError, match="empty"):
            write([])
    mixed = [*picks, entry("wide", ws=torch.zeros(6, 8))]
    with pytest.raises(CocktailError, match="different shape"):
        to_npz(mixed)
    assert len(read_shelf(to_safetensors(mixed), "shelf.safetensors", "", "")) == 4


def npz(values: np.ndarray | bytes, name: str = "w.npy", compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of one array, or of raw bytes."""
    raw = io.BytesIO()
    if isinstance(values, bytes):
        raw.write(values)
    else:
        np.save(raw, values, allow_pickle=True)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr(name, raw.getvalue())
    return buffer.getvalue()


def spoilt(data: bytes, local: dict[int, int], central: dict[int, int]) -> bytes:
    """An archive with other bytes in the headers of its one member."""
    changed, start = bytearray(data), data.index(b"PK\x01\x02")
    for place, value in [*local.items(), *((start + at, value) for at, value in central.items())]:
        changed[place] = value
    return bytes(changed)


def lying(shape: tuple[int, ...]) -> bytes:
    """An array's file whose header promises more than it holds."""
    raw = io.BytesIO()
    np.lib.format.write_array_header_1_0(raw, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return raw.getvalue() + bytes(64)


def shelf_file(about: object, *tensors: torch.Tensor, **changes: str) -> bytes:
    meta = {"format": "gan-cocktail-shelf", "version": "1", "picks": json.dumps(about)} | changes
    return safetensors.torch.save({str(i): ws.clone() for i, ws in enumerate(tensors)}, meta)


ONE = {"name": "one", "label": "cat", "recipe": A.recipe.to_json()}
CODE = torch.zeros(4, 8)
GOOD = npz(np.zeros((1, 4, 8), np.float32))
BAD = {
    "nothing": (b"", "no shelf of this program"),
    "a damaged picture": (b"\x89PNG\r\n\x1a\n" + bytes(60), "cannot be opened"),
    "a picture without settings": (to_png(PIL.Image.new("RGB", (8, 8))), "holds no settings"),
    "a photo": (b"\xff\xd8\xff\xe0" + bytes(60), "no shelf of this program"),
    "a model": (safetensors.torch.save({"w": CODE}), "format None, version None"),
    "another version": (shelf_file([ONE], CODE, version="2"), "version '2'"),
    "a damaged shelf": (shelf_file([ONE], CODE)[:-5], "damaged"),
    "a damaged header": (shelf_file([ONE], CODE)[:40], "damaged"),
    "a shelf of no picks": (shelf_file([]), "holds 0 codes"),
    "no list of picks": (shelf_file(3, CODE), "damaged"),
    "a pick without its code": (shelf_file([ONE, ONE], CODE), "damaged"),
    "a pick without a recipe": (shelf_file([{"name": "one"}], CODE), "damaged"),
    "a pick with a wrong recipe": (shelf_file([ONE | {"recipe": '{"version": 9}'}], CODE), "version 9"),
    "a shelf of NaN": (shelf_file([ONE], CODE * float("nan")), "NaN among its numbers"),
    "a shelf of flat codes": (shelf_file([ONE], CODE[0]), r"shape \[8\]"),
    "too many picks": (shelf_file([ONE] * (MAX_PICKS + 1), *[CODE] * (MAX_PICKS + 1)), f"holds {MAX_PICKS + 1} codes"),
    "half an archive": (GOOD[: len(GOOD) // 2], "no projected_w.npz"),
    "an archive of something else": (npz(np.zeros(3), "z.npy"), "keys z; expected w"),
    "an empty archive": (npz(np.zeros((0, 4, 8))), "holds 0 codes"),
    "an archive of text": (npz(b"hello", "w"), "no projected_w.npz"),
    "pickled objects": (npz(np.array([{"a": 1}], dtype=object)), "Object arrays cannot be loaded"),
    "an archive of NaN": (npz(np.full((1, 4, 8), np.nan)), "NaN among its numbers"),
    "an archive of numbers without end": (npz(np.full((1, 4, 8), np.inf)), "NaN among its numbers"),
    "an archive of one code too many": (npz(np.zeros((MAX_PICKS + 1, 4, 8))), f"holds {MAX_PICKS + 1} codes"),
    "an archive of pictures": (npz(np.zeros((1, 3, 8, 8))), r"shape \[1, 3, 8, 8\]; expected \[N, num_ws, w_dim\]"),
    "an archive of giant codes": (npz(np.zeros((1, 18, 1025), np.float32)), r"shape \[18, 1025\]"),
    "a short array": (npz(lying((9, 4, 8))), "no projected_w.npz"),
}
CRASH = {
    "an array that claims a petabyte": npz(lying((10**13, 4, 8))),
    "a damaged compressed archive": spoilt(npz(np.zeros((1, 4, 8)), compression=8), {35: 255}, {}),
    "an encrypted archive": spoilt(GOOD, {6: 1}, {8: 1}),
    "an archive of unknown compression": spoilt(GOOD, {8: 99}, {10: 99}),
}


@pytest.mark.parametrize("what", BAD)
def test_a_file_that_is_no_shelf_is_refused_with_what_was_found(what):
    data, words = BAD[what]
    with pytest.raises(CocktailError, match=f"(?s)^(mine.npz|The settings).*{words}"):
        read_shelf(data, "mine.npz", "tiny", "f" * 32)


@pytest.mark.parametrize("what", CRASH)
def test_an_archive_that_cannot_be_unpacked_is_refused(what):
    with pytest.raises(CocktailError, match="mine.npz is no projected_w.npz"):
        read_shelf(CRASH[what], "mine.npz", "tiny", "f" * 32)


@pytest.mark.parametrize("claimed", [None, 100])
def test_a_small_archive_that_unpacks_without_end_is_refused_before(monkeypatch, claimed):
    monkeypatch.setattr(shelf_files, "MAX_BYTES", 2**18)
    bomb = npz(lying((2**17, 4, 8)) + bytes(2**22), compression=zipfile.ZIP_DEFLATED)
    if claimed:  # a size that is a lie
        bomb = spoilt(bomb, {}, dict(zip(range(24, 28), claimed.to_bytes(4, "little"))))
    assert len(bomb) < 2**14
    with pytest.raises(CocktailError, match="no projected_w.npz" if claimed else "4 MB when unpacked"):
        read_shelf(bomb, "bomb.npz", "tiny", "f" * 32)


def test_a_file_of_more_than_the_limit_is_refused_unread(monkeypatch):
    monkeypatch.setattr(shelf_files, "MAX_BYTES", 2**20)
    with pytest.raises(CocktailError, match="has 2 MB; a shelf has at most 1 MB"):
        read_shelf(bytes(2**21), "large.bin", "tiny", "f" * 32)


@pytest.fixture
def models(gan, tmp_path_factory) -> Models:
    folder = save(gan, tmp_path_factory.mktemp("models") / "mine")
    return Models([str(folder)], device=torch.device("cpu"))


def upload(models: Models, key: str, data: bytes, name: str = "shelf.safetensors") -> tuple[str, dict]:
    sent = {"name": name, "data": base64.b64encode(data).decode()}
    return page_shelf.loaded_file(models, key, [], models.given[0], sent)


@pytest.fixture
def desks(monkeypatch) -> Visitors:
    own = Visitors()
    monkeypatch.setattr(page_shelf, "VISITORS", own)
    return own


def test_a_file_that_is_loaded_adds_its_pictures_in_one_step(models, picks, desks):
    key, _ = desks.change(None, lambda desk: desk.then(desk.shelf.add(A)))
    key, view = upload(models, key, to_safetensors(picks))
    assert [item["name"] for item in view["picks"]] == ["a", "my 0", "my 1", "my 2"] and view["last"] == picks[
        2
    ].recipe.key
    found = desks.enter(key)[1]
    assert all(torch.equal(new.ws, old.ws) for new, old in zip(found.shelf.picks[1:], picks, strict=True))
    assert names(found.edited({"do": "undo"}).shelf) == "a"
    assert upload(models, key, to_npz(picks), "w.npz")[1]["picks"][-1]["name"] == "w 3"


@pytest.mark.parametrize("what", BAD)
def test_a_refused_file_leaves_the_shelf_unchanged(models, desks, what):
    key, desk = desks.change(None, lambda desk: desk.then(desk.shelf.add(A, B)))
    with pytest.raises(CocktailError):
        upload(models, key, BAD[what][0])
    assert desks.enter(key) == (key, desk)


def test_a_file_that_fits_only_in_part_adds_nothing(models, picks, desks):
    key, desk = desks.change(None, lambda desk: desk.then(FULL.remove("0").remove("1")))
    foreign = entry("foreign", replace(picks[0].recipe, fingerprint="0" * 32))
    for file, words in ((picks, "3 more do not fit"), ([picks[0], foreign], "not open here")):
        with pytest.raises(CocktailError, match=words):
            upload(models, key, to_safetensors(file))
    with pytest.raises(CocktailError, match="did not arrive whole"):
        page_shelf.loaded_file(models, key, [], models.given[0], {"name": "x", "data": "%%%"})
    with pytest.raises(CocktailError, match=r"shape \[6, 8\]; this model needs \[4, 8\]"):
        upload(models, key, npz(np.zeros((1, 6, 8))))
    assert desks.enter(key) == (key, desk)


def test_a_sheet_on_a_shelf_file_is_refused(models, picks, desks):
    sheet = replace(picks[0].recipe, seeds=(1, 2))
    with pytest.raises(CocktailError, match="sheet of 2 pictures"):
        upload(models, "", to_safetensors([entry("sheet", sheet)]))


def test_a_png_is_put_on_the_shelf_by_its_settings_and_a_sheet_picture_by_picture(models, picks, desks):
    loaded = models.get(models.given[0])
    _, view = upload(models, "", page_shelf.pick(loaded, picks[2].recipe).thumbnail, "edited.png")
    assert [item["id"] for item in view["picks"]] == [picks[2].recipe.key]
    sheet = replace(picks[0].recipe, labels=("cat", "dog"), seeds=(1, 2))
    _, view = upload(models, "", to_png(render(loaded.gan, sheet, loaded.fingerprint), sheet), "sheet.png")
    assert [item["id"] for item in view["picks"]] == [cell.key for cell in sheet.cells()]
    assert [item["name"] for item in view["picks"]] == ["cat #1", "cat #2", "dog #1", "dog #2"]
    many = replace(sheet, seeds=tuple(range(MAX_PICKS)))
    with pytest.raises(CocktailError, match=f"The sheet holds {2 * MAX_PICKS} codes"):
        upload(models, "", to_png(PIL.Image.new("RGB", (8, 8)), many), "sheet.png")


def test_a_shelf_is_delivered_as_a_file(picks):
    for kind, name, write in (("npz", "projected_w.npz", to_npz), (None, "shelf.safetensors", to_safetensors)):
        sent = page_shelf.file_of(Shelf(tuple(picks)), kind)
        assert sent["name"] == name and len(base64.b64decode(sent["data"])) == len(write(picks))


# Visitors.


def test_every_visitor_has_a_desk_under_a_key_that_cannot_be_guessed_or_planted():
    desks = Visitors()
    keys = [desks.enter(key)[0] for key in ("", None, "chosen-by-somebody", 3, ["a"])]
    assert len(set(keys)) == 5 and all(len(key) >= 32 for key in keys)
    assert desks.enter(keys[0])[0] == keys[0]


def test_what_one_visitor_does_no_other_sees():
    desks = Visitors()
    mine, _ = desks.change(None, lambda desk: desk.then(Shelf((A,))))
    yours, desk = desks.enter(None)
    assert mine != yours and desk.shelf.picks == ()
    assert names(desks.enter(mine)[1].shelf) == "a"


def test_a_desk_is_forgotten_after_its_time_and_a_visit_keeps_it(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(visitors.time, "monotonic", lambda: now[0])
    desks = Visitors(lifetime_sec=60)
    key, _ = desks.change(None, lambda desk: desk.then(Shelf((A,))))
    for _ in range(3):
        now[0] += 50
        assert desks.enter(key)[0] == key
    now[0] += 61
    other, desk = desks.enter(key)
    assert other != key and desk.shelf.picks == ()


def test_the_visitor_who_was_away_longest_goes_first_when_the_house_is_full(monkeypatch):
    monkeypatch.setattr(visitors, "CAPACITY", 3)
    desks = Visitors()
    first, second, third = (desks.enter(None)[0] for _ in range(3))
    desks.enter(first)
    desks.enter(None)  # one too many: the next who enters finds the oldest gone
    assert desks.enter(first)[0] == first and desks.enter(third)[0] == third
    assert desks.enter(second)[0] != second


def test_changes_of_twenty_threads_at_once_lose_nothing():
    desks = Visitors()
    key, _ = desks.enter(None)
    start = threading.Barrier(20)

    def slowly(desk: Desk, pick: Pick) -> Desk:
        shelf = desk.shelf
        time.sleep(0.001)  # another thread's turn
        return desk.then(shelf.add(pick))

    def work(number: int) -> None:
        start.wait()
        for pick in (entry(f"{number}-0"), entry(f"{number}-1")):
            desks.change(key, lambda desk, pick=pick: slowly(desk, pick))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    desk = desks.enter(key)[1]
    assert {pick.name for pick in desk.shelf.picks} == {f"{number}-{i}" for number in range(20) for i in (0, 1)}
    assert len(desk.history.past) == 40


def test_a_step_that_fails_changes_nothing():
    desks = Visitors()
    key, before = desks.change(None, lambda desk: desk.then(FULL))
    with pytest.raises(CocktailError, match="full"):
        desks.change(key, lambda desk: desk.then(desk.shelf.add(A)))
    assert desks.enter(key) == (key, before)


def test_the_buttons_of_the_shelf_do_what_they_say():
    desk = Desk().then(Shelf((A, B, C)))
    for wish, found in (({"do": "remove", "id": "b"}, "a c"), ({"do": "rename", "id": "b", "name": "x"}, "a x c"),
                        ({"do": "move", "id": "c", "place": 0}, "c a b"), ({"do": "clear"}, ""),
                        ({"do": "undo"}, "")):  # fmt: skip
        changed = desk.edited(wish)
        assert names(changed.shelf) == found
        back = changed.edited({"do": "redo" if wish["do"] == "undo" else "undo"})
        assert names(back.shelf) == "a b c"


@pytest.mark.parametrize("wish", [{}, {"do": "explode"}, {"do": "redo"}, {"do": "rename", "id": "a", "name": "x" * 61}])
def test_a_button_that_cannot_do_it_says_why(wish):
    with pytest.raises(CocktailError):
        Desk().then(Shelf((A,))).edited(wish)


@pytest.mark.parametrize("wish", [{"do": "move", "id": "a", "place": "left"}, {"do": ["undo"]}])
def test_a_wish_that_no_button_sends_is_refused(wish):
    with pytest.raises(CocktailError):
        Desk().then(Shelf((A,))).edited(wish)


def direction(name: str, model: str = "f" * 32) -> Direction:
    return Direction(name, torch.eye(8)[0], 1.0, "tiny", model, "by hand", (0, 3))


def test_a_direction_gives_way_to_one_of_its_name_and_model_only():
    first, second, other = direction("smile"), direction("smile"), direction("smile", "0" * 32)
    desk = Desk().with_directions([first, other]).with_directions([second])
    assert desk.directions == (other, second)
    assert desk.without_direction("smile", "f" * 32).directions == (other,)
    for i in range(MAX_DIRECTIONS - 2):
        desk = desk.with_directions([direction(f"{i}")])
    assert len(desk.with_directions([direction("smile")]).directions) == MAX_DIRECTIONS
    with pytest.raises(CocktailError, match=f"{MAX_DIRECTIONS} directions are kept"):
        desk.with_directions([direction("frown")])
