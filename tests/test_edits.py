"""Edited pictures from their settings: every kind of step, what is refused, PNG files, and the command `edit`."""

import base64
import json
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from cocktail import checkpoints
from cocktail.__main__ import main
from cocktail.errors import CocktailError
from cocktail.gan import Gan
from cocktail.images import to_pil
from editing.edits import MAX_DEPTH, MAX_NODES, Array, Blend, Code, EditRecipe, Mix, Move, Seed, Way
from editing.latents import codes, draw, render
from editing.nodes import KINDS, children, count_nodes
from editing.recipes import MAX_LETTERS, PictureRecipe, fingerprint, from_png, node_of, read, to_png


def array(*shape: int, seed: int = 0) -> Array:
    return Array.of(torch.randn(shape, generator=torch.Generator().manual_seed(seed)))


def axis(seed: int = 1) -> Array:
    vector = array(8, seed=seed).tensor()
    return Array.of(vector / vector.norm())


CAT, DOG = Seed("cat", 3, 0.8), Seed("dog", 5, 0.7, 2)
PHOTO = Code("dog", array(4, 8), "holiday.jpg")
NODES = {
    "seed": DOG,
    "code": PHOTO,
    "way": Way((CAT, PHOTO, DOG), 0.7, easing="smooth", closed=True, stagger=0.4),
    "way in w": Way((CAT, DOG), 0.3, "w"),
    "way in z": Way((CAT, DOG), 0.3, "z"),
    "blend": Blend((CAT, PHOTO, DOG), (1.0, 0.0, 2.5)),
    "mix": Mix(CAT, PHOTO, (0.0, 0.0, 1.0, 0.5)),
    "move": Move(DOG, "smile", axis(), 1.5, 2.0, 1, 2),
}
NODES["nested"] = Move(
    Mix(Way((NODES["blend"], NODES["move"]), 0.25), NODES["way in z"], (0.1,) * 4), "turn", axis(2), -0.5, -1.0, 0, 3
)


@pytest.fixture(scope="module")
def gan(tiny) -> Gan:
    return tiny(("cat", "dog"), discriminator=False)


@pytest.fixture
def recipe(gan) -> EditRecipe:
    return EditRecipe("tiny", fingerprint(gan), NODES["nested"])


def plain(node=DOG, **changes: object) -> dict:
    """A recipe as JSON data; a change "a.0.b" is made inside of the edit."""
    data = json.loads(EditRecipe("tiny", "f" * 32, node).to_json())
    for path, value in changes.items():
        *way, last = path.split(".")
        place = reduce(lambda part, key: part[int(key) if isinstance(part, list) else key], way, data["edit"])
        if value is ...:
            del place[last]
        else:
            place[int(last) if isinstance(place, list) else last] = value
    return data


def pixels(image: PIL.Image.Image) -> list:
    return np.asarray(image).tolist()


# There and back.


def test_the_nodes_here_are_of_every_kind():
    assert {node.kind for node in NODES.values()} == set(KINDS)


@pytest.mark.parametrize("name", NODES)
def test_a_recipe_returns_from_json_as_it_was_and_gives_the_same_code_bit_by_bit(gan, name):
    recipe = EditRecipe("tiny", fingerprint(gan), NODES[name], "none")
    again = read(recipe.to_json())
    assert again == recipe and again.key == recipe.key and again.to_json() == recipe.to_json()
    assert again.label == recipe.label in gan.classes
    first, second = codes(gan, recipe), codes(gan, again)
    assert first.shape == (1, gan.num_ws, gan.w_dim) and torch.equal(first, second)


def test_an_array_keeps_every_bit_and_its_shape():
    values = torch.tensor([[1e-45, -0.0, 3.4e38], [1 / 3, 2.5, -1e-20]])
    kept = Array.of(values).tensor()
    assert kept.shape == (2, 3) and kept.numpy().tobytes() == values.numpy().tobytes()
    assert torch.equal(Array.of(values.double().t()).tensor(), values.t())


def test_equal_recipes_have_equal_keys_and_others_have_others(gan):
    keys = [EditRecipe("tiny", "f" * 32, node).key for node in NODES.values()]
    assert len(set(keys)) == len(keys) and all(len(key) == 16 and int(key, 16) >= 0 for key in keys)
    assert EditRecipe("tiny", "f" * 32, replace(CAT, psi=0.8)).key == EditRecipe("tiny", "f" * 32, CAT).key
    others = [replace(CAT, seed=4), replace(CAT, psi=0.81), replace(CAT, label="dog"), replace(CAT, cutoff=0)]
    assert len({EditRecipe("tiny", "f" * 32, node).key for node in (CAT, *others)}) == 5


def test_equal_recipes_have_equal_keys_also_where_a_number_is_whole():
    assert Way((CAT, DOG), 0) == Way((CAT, DOG), 0.0)
    keys = {EditRecipe("tiny", "f" * 32, Way((CAT, DOG), at)).key for at in (0, 0.0)}
    assert len(keys) == 1


def test_steps_are_counted_and_their_parts_found():
    assert children(NODES["mix"]) == [CAT, PHOTO] and children(NODES["blend"]) == [CAT, PHOTO, DOG]
    assert count_nodes(DOG) == 1 and count_nodes(NODES["move"]) == 2 and count_nodes(NODES["nested"]) == 12


# What the steps give.


def test_a_seed_is_the_sample_and_a_sample_a_seed(gan):
    sheet = PictureRecipe("tiny", fingerprint(gan), ("dog",), (5,), 0.7, 2)
    assert node_of(sheet) == DOG
    assert torch.equal(DOG.code(gan), codes(gan, sheet)[0])
    (picture,) = draw(gan, EditRecipe("tiny", fingerprint(gan), DOG))
    (sample,) = draw(gan, sheet)
    assert torch.equal(picture, sample)
    with pytest.raises(CocktailError, match="sheet of 2 pictures"):
        node_of(replace(sheet, seeds=(1, 2)))


@pytest.mark.parametrize("space", ["w+", "z"])
@pytest.mark.parametrize("stagger", [0.0, 0.5])
def test_a_way_goes_through_its_keys_bit_by_bit(gan, space, stagger):
    keys = (CAT, DOG, Seed("cat", 9))
    for at, key in ((0.0, keys[0]), (0.5, keys[1]), (1.0, keys[2])):
        way = Way(keys, at, space, stagger=stagger)
        assert torch.equal(way.code(gan), key.code(gan))
        assert (way.describe(), way.label) == (key.describe(), key.label)


def test_a_way_in_w_has_one_code_for_all_layers(gan):
    code = Way((PHOTO, DOG), 0.25, "w").code(gan)
    assert torch.equal(code, code[:1].expand(4, -1))
    expected = 0.75 * PHOTO.code(gan).mean(dim=0) + 0.25 * DOG.code(gan).mean(dim=0)
    assert torch.allclose(code[0], expected, atol=1e-6)


def test_a_way_in_z_between_one_seed_and_itself_only_changes_the_class(gan):
    cat, dog = Seed("cat", 3), Seed("dog", 3)
    assert torch.allclose(Way((cat, dog), 0.3, "z").code(gan), Way((cat, dog), 0.3).code(gan), atol=1e-5)


def test_a_closed_way_ends_where_it_began(gan):
    assert torch.equal(Way((CAT, DOG), 1.0, closed=True).code(gan), CAT.code(gan))


@pytest.mark.parametrize("other", [PHOTO, NODES["move"]])
def test_the_sphere_of_z_is_refused_to_what_has_no_z_by_its_name(gan, other):
    with pytest.raises(CocktailError, match=f"“{other.describe().replace('+', '.')}” has no z.*Choose w or w"):
        Way((CAT, other), 0.5, "z").code(gan)


def test_a_blend_takes_its_class_from_its_greatest_weight(gan):
    blend = Blend((CAT, DOG), (1.0, 3.0))
    assert blend.label == "dog"
    assert torch.allclose(blend.code(gan), 0.25 * CAT.code(gan) + 0.75 * DOG.code(gan), atol=1e-6)
    assert torch.equal(Blend((CAT, DOG), (0.0, 0.7)).code(gan), DOG.code(gan))


def test_a_mix_of_whole_layers_holds_both_codes_bit_by_bit(gan):
    mixed = Mix(CAT, DOG, (0.0, 1.0, 1.0, 0.0)).code(gan)
    assert torch.equal(mixed[[0, 3]], CAT.code(gan)[[0, 3]]) and torch.equal(mixed[1:3], DOG.code(gan)[1:3])


def test_a_picture_moved_there_and_back_is_the_original(gan):
    there = Move(DOG, "smile", axis(), 2.5, 2.0, 1, 3)
    back = Move(there, "smile", axis(), -2.5, -2.0, 1, 3)
    assert torch.allclose(back.code(gan), DOG.code(gan), atol=1e-6)
    assert (there.code(gan) - DOG.code(gan))[1:].norm(dim=1).tolist() == pytest.approx([2.5] * 3, abs=1e-5)
    assert torch.equal(there.code(gan)[0], DOG.code(gan)[0])
    assert torch.allclose(gan.synthesize(back.code(gan)[None]), gan.synthesize(DOG.code(gan)[None]), atol=1e-5)


def test_a_move_by_nothing_is_the_original_bit_by_bit(gan):
    still = Move(DOG, "smile", axis(), 0.0, 0.0, 0, 3)
    assert torch.equal(still.code(gan), DOG.code(gan)) and still.describe() == DOG.describe()


# What a person reads.


@pytest.mark.parametrize(
    "node, words",
    [(DOG, "dog #5"), (Seed(None, 7), "#7"), (PHOTO, "holiday.jpg"),
     (Way((CAT, DOG), 0.25), "cat #3 → dog #5, 0.25 in w+"), (Way((CAT, DOG), 1.0), "dog #5"),
     (Blend((CAT, DOG), (1.0, 3.0)), "cat #3 25% + dog #5 75%"), (Blend((CAT, DOG), (0.0, 3.0)), "dog #5 100%"),
     (Mix(CAT, DOG, (0.0, 1.0, 0.5, 0.0)), "cat #3 with layers 1-2 of dog #5"),
     (Mix(CAT, DOG, (0.0, 0.0, 0.0, 1.0)), "cat #3 with layer 3 of dog #5"), (Mix(CAT, DOG, (0.0,) * 4), "cat #3"),
     (Move(DOG, "smile", axis(), -1.0, -2.0, 0, 3), "dog #5, smile -2.0σ"),
     (Move(PHOTO, "smile", axis(), 1.0, 1.5, 0, 3), "holiday.jpg, smile +1.5σ")],
)  # fmt: skip
def test_a_recipe_describes_itself_in_a_line(node, words):
    assert EditRecipe("tiny", "f" * 32, node).describe() == words


@pytest.mark.parametrize(
    "node, name",
    [(DOG, "dog-5.png"), (Way((CAT, DOG), 0.25), "cat-3-dog-5-0-25-in-w.png"),
     (Code(None, array(4, 8), "猫"), "picture.png"), (Code(None, array(4, 8), "../../etc/passwd"), "etc-passwd.png"),
     (Code(None, array(4, 8), "a" * 290), "a" * 72 + ".png"), (Code(None, array(4, 8), ""), "picture.png"),
     (Code(None, array(4, 8), "a\0b\nc"), "a-b-c.png")],
)  # fmt: skip
def test_a_file_name_suits_any_file_system(node, name):
    assert EditRecipe("tiny", "f" * 32, node).file_name() == name


# What is refused.

WAY, MOVE, MIX, BLEND = NODES["way"], NODES["move"], NODES["mix"], NODES["blend"]


@pytest.mark.parametrize(
    "node, change, words",
    [(DOG, {"kind": "spin"}, "kind 'spin'; known: seed, code, way"), (DOG, {"kind": None}, "kind None"),
     (DOG, {"kind": 3}, "kind 3"), (DOG, {"seed": ...}, "lack seed.seed"), (MOVE, {"base": ...}, "lack move.base"),
     (DOG, {"seed": -1}, "seed -1"), (DOG, {"seed": 2**32}, "seed 4294967296"),
     (DOG, {"seed": 1.5}, "seed.seed is 1.5"),
     (DOG, {"seed": "1"}, "seed.seed is '1'"), (DOG, {"seed": True}, "seed.seed is True"),
     (DOG, {"seed": None}, "seed.seed is None"), (DOG, {"psi": 3}, "psi 3"),
     (DOG, {"psi": float("nan")}, "seed.psi is nan"),
     (DOG, {"psi": float("inf")}, "seed.psi is inf"), (DOG, {"psi": "1"}, "seed.psi is '1'"),
     (DOG, {"psi": False}, "seed.psi is False"), (DOG, {"cutoff": -1}, "cannot be drawn"),
     (DOG, {"cutoff": 1.0}, "seed.cutoff"), (DOG, {"label": 1}, "seed.label is 1"),
     (DOG, {"label": "a" * 300}, "seed.label"),
     (PHOTO, {"origin": None}, "code.origin is None"), (PHOTO, {"w": "AAAA"}, "code.w is no code"),
     (PHOTO, {"w.data": 3}, "code.w is no code"), (PHOTO, {"w.shape": 32}, "code.w.shape is 32; expected a list"),
     (PHOTO, {"w.shape.0": 4.0}, "code.w.shape is 4.0"), (WAY, {"at": 1.01}, "position is 1.01"),
     (WAY, {"at": -0.1}, "position is -0.1"), (WAY, {"at": None}, "way.at is None"), (WAY, {"keys": "ab"}, "way.keys"),
     (WAY, {"keys": []}, "at least two pictures"), (WAY, {"keys": [plain()["edit"]]}, "there is 1"),
     (WAY, {"keys.1": 3}, "kind 'int'"), (WAY, {"keys.1.kind": "spin"}, "kind 'spin'"),
     (WAY, {"closed": 1}, "way.closed is 1"), (WAY, {"easing": "jump"}, "'jump' is unknown"),
     (WAY, {"easing": None}, "way.easing"), (WAY, {"stagger": []}, r"way.stagger is \[\]"),
     (MIX, {"content": [plain()["edit"]]}, "kind 'list'"), (MIX, {"style": None}, "kind 'NoneType'"),
     (MIX, {"amounts": {}}, "mix.amounts is {}; expected a list"), (MIX, {"amounts.0": "all"}, "mix.amounts is 'all'"),
     (MIX, {"amounts": [0.0] * 401}, "mix.amounts"), (BLEND, {"weights": [1, 1]}, "3 pictures and 2 weights"),
     (BLEND, {"parts": [], "weights": []}, "0 pictures"), (BLEND, {"weights.0": None}, "blend.weights is None"),
     (MOVE, {"distance": 1e7}, "move.distance is 10000000.0"), (MOVE, {"first": 0.5}, "move.first is 0.5"),
     (MOVE, {"name": ["smile"]}, "move.name"), (MOVE, {"vector": None}, "move.vector is no code")],
)  # fmt: skip
def test_settings_from_outside_are_checked_when_they_are_read(node, change, words):
    with pytest.raises(CocktailError, match=words):
        read(json.dumps(plain(node, **change)))


@pytest.mark.parametrize("kind", [[], {}])
def test_a_kind_that_is_no_text_is_refused(kind):
    with pytest.raises(CocktailError, match="known: seed, code"):
        read(json.dumps(plain(DOG, kind=kind)))


@pytest.mark.parametrize("name", ["seed", "psi"])
def test_a_number_of_hundreds_of_digits_is_refused(name):
    with pytest.raises(CocktailError, match=f"seed.{name} is 1000"):
        read(json.dumps(plain(DOG, **{name: 10**400})))


def test_a_text_that_no_file_can_hold_is_refused():
    with pytest.raises(CocktailError, match="code.origin"):
        read(json.dumps(plain(PHOTO, origin="\ud800")))


NAN = Array.of(torch.full((4, 8), float("nan")))
BYTES = base64.b64encode(bytes(4 * 32)).decode()


@pytest.mark.parametrize(
    "node, change, words",
    [(PHOTO, {"w.data": NAN.data}, "NaN or infinite"), (PHOTO, {"w.data": "?" * 40}, "no base64"),
     (PHOTO, {"w.data": "é"}, "no base64"), (PHOTO, {"w.data": ""}, "0 bytes, which do not fit its shape"),
     (PHOTO, {"w.data": BYTES[:-4]}, "bytes, which do not fit its shape .4, 8."),
     (PHOTO, {"w.shape": []}, r"shape \[\]"),
     (PHOTO, {"w.shape": [-4, -8]}, r"shape \[-4, -8\]"), (PHOTO, {"w.shape": [10**9, 10**9]}, "do not fit"),
     (PHOTO, {"w.shape": [8, 4]}, r"holiday.jpg: .* \[8, 4\]; this model needs \[4, 8\]"),
     (DOG, {"label": "wolf"}, "Unknown class 'wolf'"), (DOG, {"label": None}, "A class is needed"),
     (DOG, {"cutoff": 999}, "cutoff is 999; this model has layers 0 to 4"),
     (WAY, {"space": "v"}, "space 'v' is unknown; known: w., w, z"), (WAY, {"stagger": 2}, "stagger is 2"),
     (BLEND, {"weights": [0, 0, 0]}, "weights 0, 0, 0"), (BLEND, {"weights": [2, -1, 0]}, "weights 2, -1, 0"),
     (MIX, {"amounts": [0.5] * 3}, "3 strengths"), (MIX, {"amounts.3": 2}, "0 to 2"),
     (MOVE, {"last": 4}, "from 1 to 4; this model has layers 0 to 3"), (MOVE, {"first": 3}, "from 3 to 2"),
     (MOVE, {"vector.shape": [1, 8]}, r"shape \[1, 8\]; these codes need \[8\]"),
     (MOVE, {"vector": plain(PHOTO)["edit"]["w"]}, r"these codes need \[8\]")],
)  # fmt: skip
def test_what_only_the_model_can_tell_is_checked_when_the_code_is_made(gan, node, change, words):
    recipe = read(json.dumps(plain(node, **change)))
    with pytest.raises(CocktailError, match=words):
        codes(gan, recipe)


def test_a_code_of_very_many_dimensions_is_refused(gan):
    with pytest.raises(CocktailError):
        codes(gan, read(json.dumps(plain(PHOTO, **{"w.data": BYTES, "w.shape": [1] * 399 + [32]}))))


def test_a_recipe_without_a_model_or_with_random_noise_is_refused():
    for change, words in (({"model": 3}, "name no model"), ({"fingerprint": None}, "name no model"),
                          ({"noise_mode": "random"}, "noise_mode is 'random'"), ({"noise_mode": []}, "noise_mode"),
                          ({"edit": None}, "kind 'NoneType'"), ({"version": 3}, "version 3; this program reads"),
                          ({"version": 2.0}, "version 2.0")):  # fmt: skip
        with pytest.raises(CocktailError, match=words):
            read(json.dumps(plain() | change))


def tower(height: int) -> Seed | Mix:
    return reduce(lambda node, _: Mix(node, CAT, (0.0,) * 4), range(height), DOG)


def test_edits_nest_so_deep_and_no_deeper(gan):
    deep = read(json.dumps(plain(tower(MAX_DEPTH))))
    assert torch.equal(codes(gan, deep)[0], DOG.code(gan))
    with pytest.raises(CocktailError, match=f"nested more than {MAX_DEPTH} deep"):
        read(json.dumps(plain(tower(MAX_DEPTH + 1))))


def test_so_many_steps_and_no_more():
    def wide(count: int) -> dict:
        return plain(Blend((CAT,) * count, (1.0,) * count))

    assert count_nodes(read(json.dumps(wide(MAX_NODES - 1))).edit) == MAX_NODES
    with pytest.raises(CocktailError, match=f"more than {MAX_NODES} steps"):
        read(json.dumps(wide(MAX_NODES)))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"edit":' * 50_000, " " * (MAX_LETTERS + 1)])
def test_json_without_end_is_refused(text):
    with pytest.raises(CocktailError, match="no valid JSON"):
        read(text)


# Pictures.


def test_the_model_that_made_a_picture_draws_it_again_and_another_refuses(gan, recipe, tiny):
    other = tiny(("cat", "dog"), seed=1, discriminator=False)
    with pytest.raises(CocktailError, match="belong to the model 'tiny'.*Open the model that made the picture"):
        render(other, recipe, fingerprint(other))
    expected = to_pil(gan.synthesize(codes(gan, recipe)))[0]
    assert pixels(render(gan, recipe, fingerprint(gan))) == pixels(expected)


def test_png_keeps_an_edit_and_the_exact_pixels(gan, recipe, tmp_path):
    image, path = render(gan, recipe, fingerprint(gan)), tmp_path / recipe.file_name()
    path.write_bytes(to_png(image, recipe))
    assert from_png(path) == recipe
    assert pixels(PIL.Image.open(path)) == pixels(image)
    assert PIL.Image.open(path).text["Description"] == recipe.describe()


# The command.


@pytest.fixture(scope="module")
def model(gan, tmp_path_factory) -> str:
    return str(checkpoints.save(gan, tmp_path_factory.mktemp("models") / "union"))


def fails(capsys, *argv: object) -> str:
    """Runs a command that cannot succeed and gives its message, which must be one line."""
    assert main([str(arg) for arg in argv]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("error: ") and printed.err.count("\n") == 1
    return printed.err


@pytest.mark.parametrize("suffix", [".png", ".json"])
def test_the_command_makes_a_picture_again_bit_by_bit(gan, recipe, model, suffix, tmp_path, capsys):
    image, path = render(gan, recipe, fingerprint(gan)), tmp_path / f"kept{suffix}"
    path.write_bytes(to_png(image, recipe) if suffix == ".png" else recipe.to_json().encode())
    out = tmp_path / "new" / "again.png"
    assert main(["edit", str(path), "--model", model, "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{recipe.describe()}: {out}\n"
    assert pixels(PIL.Image.open(out)) == pixels(image) and from_png(out) == recipe


def test_the_command_opens_the_model_that_the_settings_name_and_draws_sheets_too(gan, model, tmp_path):
    sheet = PictureRecipe(model, fingerprint(gan), ("cat", "dog"), (1, 2, 3))
    path, out = tmp_path / "sheet.json", tmp_path / "sheet.png"
    path.write_text(sheet.to_json())
    assert main(["edit", str(path), "--out", str(out)]) == 0
    assert pixels(PIL.Image.open(out)) == pixels(render(gan, sheet, fingerprint(gan)))


def test_the_command_prints_settings_without_a_model(recipe, tmp_path, capsys):
    path = tmp_path / "kept.json"
    path.write_text(recipe.to_json())
    assert main(["edit", str(path), "--json"]) == 0
    assert read(capsys.readouterr().out) == recipe


def test_the_command_says_on_one_line_what_is_wrong(recipe, model, tiny, tmp_path, capsys):
    good, text, binary = (tmp_path / name for name in ("good.json", "text.json", "binary.json"))
    good.write_text(recipe.to_json())
    text.write_text("no settings")
    binary.write_bytes(b"\xff\xfe\x00")
    plain_png, out = tmp_path / "plain.png", tmp_path / "out.png"
    PIL.Image.new("RGB", (8, 8)).save(plain_png)
    other = checkpoints.save(tiny(("cat", "dog"), seed=1, discriminator=False), tmp_path / "other")
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(plain(DOG, label="wolf") | {"fingerprint": recipe.fingerprint}))
    for argv, words in (
        ((good,), "nothing to do"), ((good, "--model", model, "--out", tmp_path / "out.jpg"), "ends in .png"),
        ((good, "--out", out), "'tiny' is neither a path nor a bundled model"),
        ((good, "--model", other, "--out", out), "belong to the model 'tiny'"),
        ((wrong, "--model", model, "--out", out), "Unknown class 'wolf'"),
        ((text, "--json"), "no valid JSON"), ((binary, "--json"), "is no text"),
        ((plain_png, "--json"), "holds no settings"), ((tmp_path / "gone.png", "--json"), "No such file"),
        ((tmp_path / "gone.json", "--json"), "No such file"), ((tmp_path, "--json"), "directory"),
    ):  # fmt: skip
        assert words in fails(capsys, "edit", *argv)
    assert not out.exists() and Path(model).exists()
