"""Scorers: what statistics see, what the oracle and ONNX files say, and how labels are read and chosen."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from cocktail import domains
from cocktail.errors import CocktailError
from cocktail.images import to_uint8
from editing import onnx_scorer, scorers
from editing.scorers import STATISTICS, OnnxScorer, OracleFactor, available, extremes, read_csv, scorer


def flat(*colours: tuple[int, int, int]) -> torch.Tensor:
    """One evenly coloured picture each: uint8 [N, 3, 8, 8]."""
    return torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].repeat(1, 1, 8, 8)


def split(dim: int) -> torch.Tensor:
    """White first half, black second half along a dimension of [1, 3, H, W]."""
    img = flat((0, 0, 0))
    img.narrow(dim, 0, 4).fill_(255)
    return img


NOISE = torch.randint(0, 256, (1, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
GREY = flat((128, 128, 128))


@pytest.mark.parametrize(
    "name, more, less",
    [("brightness", flat((200, 200, 200)), GREY), ("contrast", split(2), GREY),
     ("saturation", flat((255, 0, 0)), flat((255, 200, 200))), ("colourfulness", NOISE, GREY),
     ("warmth", flat((200, 100, 50)), flat((50, 100, 200))), ("greenness", flat((10, 200, 10)), flat((200, 10, 200))),
     ("edge density", NOISE, GREY), ("brightness of left over right", split(3), split(3).flip(3)),
     ("brightness of top over bottom", split(2), split(2).flip(2)), ("mirror symmetry", GREY, split(3))],
)  # fmt: skip
def test_a_statistic_ranks_as_its_name_says(name, more, less):
    scores = STATISTICS[name](torch.cat([more, less]))
    assert scores.shape == (2,) and scores.dtype == torch.float32
    assert scores[0] > scores[1]


def test_the_centre_is_compared_with_the_whole():
    img = flat((0, 0, 0))
    img[:, :, 2:6, 2:6] = 255
    assert scorer("brightness of the centre")(img).item() == pytest.approx(0.75, abs=1e-6)


def test_statistics_are_those_of_a_pixel_by_hand():
    img = flat((255, 51, 0))
    assert STATISTICS["brightness"](img).item() == pytest.approx(0.2126 + 0.7152 / 5, abs=1e-6)
    assert STATISTICS["saturation"](img).item() == pytest.approx(1) and STATISTICS["contrast"](img).item() < 1e-6
    assert STATISTICS["warmth"](img).item() == pytest.approx(1)
    assert STATISTICS["saturation"](flat((0, 0, 0))).item() == 0


def test_every_statistic_takes_odd_sizes_and_is_finite():
    img = torch.randint(0, 256, (3, 3, 9, 7), dtype=torch.uint8)
    for statistic in STATISTICS.values():
        assert torch.isfinite(statistic(img)).all() and statistic(img).shape == (3,)


def test_the_oracle_reads_a_factor_of_drawings():
    img, factors = domains.get("face").draw(32, torch.Generator().manual_seed(0), 64)
    scores = OracleFactor("face", "yaw")(to_uint8(img))
    assert torch.corrcoef(torch.stack([scores, factors["yaw"]]))[0, 1] > 0.98


def test_what_is_available_can_be_had_by_its_name():
    names = available(("face", "wolf"))
    assert "face: yaw" in names and "face: glasses" in names and not any("wolf" in name for name in names)
    assert [scorer(name).name for name in names] == names
    assert available(()) == list(STATISTICS)


@pytest.mark.parametrize(
    "name, words", [("beauty", "known: brightness"), ("wolf: yaw", "wolf"), ("cat: glasses", "cat has no factor")]
)
def test_an_unknown_scorer_is_refused(name, words):
    with pytest.raises(CocktailError, match=words):
        scorer(name)


def test_extremes_take_both_ends_and_drop_the_middle():
    labels, index = extremes(torch.tensor([5.0, 1, 3, 9, 2, 7]), 2)
    assert labels.tolist() == [False, False, True, True]
    assert index.tolist() == [1, 4, 5, 3]


@pytest.mark.parametrize(
    "scores, per_side, words",
    [([1, 2, 3], 2, "2 of each side asked of 3 scores; at most 1"), ([1, 2], 0, "0 of each"),
     ([1, 1, 1, 1], 2, "meet at 1"), ([0, 1, 1, 1], 2, "meet at 1"),
     ([1, float("nan"), 2], 1, "1 of 3 scores are not finite")],
)  # fmt: skip
def test_extremes_that_do_not_differ_are_refused(scores, per_side, words):
    with pytest.raises(CocktailError, match=words):
        extremes(torch.tensor(scores, dtype=torch.float32), per_side)


@pytest.mark.parametrize(
    "text, found",
    [("1,+\n2,-", [(1, None, True), (2, None, False)]),
     ("seed,label\n7,yes\n\n8,No\n", [(7, None, True), (8, None, False)]),
     ("Seed;Label;Class\n3;1;cat\n3;-1;dog", [(3, "cat", True), (3, "dog", False)]),
     ("label\tseed\ntrue\t4\nFALSE\t5", [(4, None, True), (5, None, False)]),
     ("class,label,seed\ncat,0,6\n,+1,6", [(6, "cat", False), (6, None, True)]),
     ("\ufeffseed,label\r\n 9 , + \r\n9,1\r\n", [(9, None, True)]), ("4294967295,+", [(4294967295, None, True)])],
)  # fmt: skip
def test_labels_are_read_with_and_without_a_header(text, found):
    assert read_csv(text) == found


@pytest.mark.parametrize(
    "text, words",
    [("1,+\n2,maybe", "Line 2: the label 'maybe'"), ("seed,label\n\nx,+", "Line 3: the seed 'x'"),
     ("-1,+", "Line 1: the seed"),
     ("4294967296,+", "Line 1"), ("1.5,+", "Line 1"), ("1", "Line 1: 1 columns"), ("1,+,cat,x", "Line 1: 4 columns"),
     ("seed,label\n1,+,cat", "Line 2: 3 columns"), ("seed,score\n1,2", "header names seed, score"),
     ("seed,label,seed\n", "header"), ("", "no labels"), ("seed,label", "no labels"),
     ("1,+\n2,+\n1,-", "1 seeds are labelled both .* 1\\."), ("1,+,cat\n1,-,cat", r"1 \(cat\)"),
     ("1,+\n" * 100_001, "more than 100,000 lines"), ("1," + "x" * 200_000, "Line 1: field larger")],
)  # fmt: skip
def test_a_line_that_cannot_be_read_is_named(text, words):
    with pytest.raises(CocktailError, match=words):
        read_csv(text)


def test_label_files_are_opened_and_refused_by_name(tmp_path, monkeypatch):
    path = tmp_path / "labels.csv"
    path.write_text("1,+", encoding="utf-8")
    assert read_csv(path) == [(1, None, True)]
    with pytest.raises(CocktailError, match="gone.csv cannot be read: No such file"):
        read_csv(tmp_path / "gone.csv")
    monkeypatch.setattr(scorers, "MAX_CSV_BYTES", 2)
    with pytest.raises(CocktailError, match="3 bytes; at most 2"):
        read_csv(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(CocktailError, match="no UTF-8 text"):
        read_csv(path)


class Session:
    """Stands in for onnxruntime's: the mean of each channel, times 10, of whatever comes in."""

    shape, kind, inputs = ["N", 3, "H", "W"], "tensor(float)", 1

    def __init__(self, path, options, providers):
        if Session.shape is None:
            raise RuntimeError("Protobuf parsing\n failed.")
        self.seen = []

    def get_inputs(self):
        return [SimpleNamespace(name="x", shape=self.shape, type=self.kind)] * self.inputs

    def run(self, outputs, feed):
        self.seen.append(feed["x"].shape)
        return [10 * feed["x"].mean(axis=(2, 3))]


@pytest.fixture
def runtime(monkeypatch, tmp_path):
    """onnxruntime replaced; returns make(shape, **options of the scorer)."""
    monkeypatch.setitem(
        sys.modules, "onnxruntime", SimpleNamespace(SessionOptions=SimpleNamespace, InferenceSession=Session)
    )
    path = tmp_path / "smile.onnx"
    path.write_bytes(b"network")

    def make(shape=("N", 3, "H", "W"), kind="tensor(float)", inputs=1, **options) -> OnnxScorer:
        for name, value in (("shape", shape and list(shape)), ("kind", kind), ("inputs", inputs)):
            monkeypatch.setattr(Session, name, value)
        return OnnxScorer(path, **options)

    return make


def test_an_onnx_network_gets_pictures_of_its_size_and_range(runtime):
    img = torch.cat([flat((255, 0, 51))] * 3)
    red = runtime((1, 3, 16, 24))
    assert torch.allclose(red(img), torch.full((3,), 10.0))
    assert red._session.seen == [(1, 3, 16, 24)] * 4  # one to try, three one by one
    assert red.name == "smile, output 0"
    free = runtime(output_index=2)
    assert torch.allclose(free(img), torch.full((3,), 2.0)) and free._session.seen[-1] == (3, 3, 8, 8)
    assert runtime(output_index=1, scaling="-1 to 1")(img)[0].item() == pytest.approx(-10)
    assert runtime(output_index=2, scaling="0 to 255")(img)[0].item() == pytest.approx(510)
    assert runtime(scaling="ImageNet")(img)[0].item() == pytest.approx(10 * (1 - 0.485) / 0.229, rel=1e-5)
    assert free(img[:0]).shape == (0,)


@pytest.mark.parametrize(
    "options, words",
    [({"shape": ("N", 1, 8, 8)}, r"\['N', 1, 8, 8\]; expected one input"), ({"shape": ("N", 8)}, "expected one input"),
     ({"shape": (4, 3, 8, 8)}, "N free or 1"), ({"kind": "tensor(uint8)"}, "uint8"),
     ({"inputs": 2}, "expected one input"),
     ({"shape": (1, 3, 9000, 8)}, "9000 x 8"), ({"output_index": 3}, "3 outputs, numbered from 0; there is no 3"),
     ({"output_index": -1}, "no -1"), ({"scaling": "loud"}, "known: 0 to 1"),
     ({"shape": None}, "Protobuf parsing failed")],
)  # fmt: skip
def test_an_onnx_network_that_does_not_fit_is_refused(runtime, options, words):
    with pytest.raises(CocktailError, match=words):
        runtime(**options)


def test_a_network_that_fails_or_answers_strangely_is_refused(runtime, monkeypatch):
    scores = runtime()
    for answer, words in (([{"a": 1}], "with list"), (np.zeros(()), r"with \[\]"), (np.zeros((5, 2)), r"\[5, 2\]")):
        monkeypatch.setattr(scores._session, "run", lambda *_, answer=answer: [answer])
        with pytest.raises(CocktailError, match=words):
            scores(GREY)
    monkeypatch.setattr(scores._session, "run", lambda *_: 1 / 0)
    with pytest.raises(CocktailError, match=r"smile.onnx fails on pictures \[1, 3, 8, 8\]: division by zero"):
        scores(GREY)


def test_onnx_files_that_are_missing_or_too_large_are_refused(runtime, tmp_path, monkeypatch):
    with pytest.raises(CocktailError, match="gone.onnx is no file"):
        OnnxScorer(tmp_path / "gone.onnx")
    monkeypatch.setattr(onnx_scorer, "MAX_BYTES", 3)
    with pytest.raises(CocktailError, match="7 bytes; at most 3"):
        runtime()
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(CocktailError, match="pip install onnxruntime"):
        runtime()


def test_a_real_onnx_file_is_run(tmp_path):
    pytest.importorskip("onnxruntime")
    onnx = pytest.importorskip("onnx")
    kind = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("GlobalAveragePool", ["x"], ["y"])], "mean",
        [onnx.helper.make_tensor_value_info("x", kind, ["N", 3, 16, 16])],
        [onnx.helper.make_tensor_value_info("y", kind, ["N", 3, 1, 1])],
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "mean.onnx")
    assert OnnxScorer(tmp_path / "mean.onnx", 1)(flat((0, 51, 0), (0, 255, 0))).tolist() == pytest.approx([0.2, 1])
    (tmp_path / "torn.onnx").write_bytes(b"\x08\x07" * 40)
    with pytest.raises(CocktailError, match="torn.onnx is no ONNX network"):
        OnnxScorer(tmp_path / "torn.onnx")
