"""Arrays in, arrays out; all else through the pipeline; and what can't be is said."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from torchinf_core import (
    Architecture,
    Artifact,
    Claim,
    DeviceError,
    InputError,
    LoadError,
    ModelManager,
    OptionError,
    Predictor,
    Signature,
    TensorSpec,
)
from torchinf_core.predicting import arrays, items

if TYPE_CHECKING:
    from conftest import Box

ONES = np.ones((2, 4), np.float32)


class Pictures(Predictor):
    """Tells how large a picture is."""

    def __init__(self) -> None:
        told = Architecture(
            name="pictures",
            kind="image",
            pipeline=lambda _run: lambda found, _options: [{"size": one.size} for one in found],
        )
        artifact = Artifact(None, Path(), describable=True, describe=lambda: told)  # type: ignore[arg-type]
        super().__init__(artifact, Claim(100, "cpu", "for pictures"), Signature())

    def run(self, feeds: Any) -> dict[str, Any]:
        raise AssertionError(feeds)


@pytest.fixture
def toy(toys: Box) -> Predictor:
    """Adds up 1, 2, 3 and 4 times its four numbers."""
    toys.add("toy")
    return ModelManager(toys.downloader).load_model("toy")


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        (ONES, [10, 10]),
        ({"x": ONES}, [10, 10]),
        ((ONES,), [10, 10]),
        ([[1, 1, 1, 1], [2, 2, 2, 2]], [10, 20]),
        ({"x": [[0, 0, 0, 1]]}, [4]),
    ],
    ids=["array", "dict", "tuple", "lists", "dict of lists"],
)
def test_arrays_are_answered_with_arrays(toy: Predictor, inputs: Any, outputs: list[int]) -> None:
    found = toy.predict(inputs)
    assert isinstance(found, np.ndarray)
    assert found.tolist() == outputs


def test_a_list_without_the_batch_axis_is_one_item(toy: Predictor) -> None:
    assert toy.predict([1.0, 0, 0, 0]) == 1.0
    assert toy.predict([1.0, 0, 0, 0]).shape == ()


def test_a_tensor_is_answered_with_a_tensor(toy: Predictor) -> None:
    torch = pytest.importorskip("torch")
    found = toy.predict(torch.ones(2, 4))
    assert isinstance(found, torch.Tensor)
    assert found.tolist() == [10, 10]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (ONES.astype("float64"), "takes x: float32[batch, 4], and got x: float64[2, 4]"),
        (ONES[:, :3], "takes x: float32[batch, 4], and got x: float32[2, 3]"),
        (ONES[0], "takes x: float32[batch, 4], and got x: float32[4]"),
        ({"z": ONES}, "there is no input 'z'; the model takes x: float32[batch, 4]"),
        ((ONES, ONES), "2 inputs were given; it takes x: float32[batch, 4]"),
        ([[1, 2], [3]], "the input 'x' makes no array"),
        ([[1, 2, 3]], "takes x: float32[batch, 4], and got x: float32[1, 3]"),
    ],
    ids=["dtype", "shape", "rank", "name", "count", "ragged", "too short"],
)
def test_what_it_does_not_take_is_said_with_what_it_does(
    toy: Predictor, inputs: Any, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        toy.predict(inputs)
    assert message in str(caught.value)


def test_fractions_are_not_cut_off_for_a_model_of_whole_numbers() -> None:
    signature = Signature((TensorSpec("ids", "int64", ("batch",)),))
    assert arrays.to_feeds([1.0, 2], signature)["ids"].tolist() == [1, 2]
    with pytest.raises(InputError, match=r"has fractions, and the model takes ids: int64\[batch\]"):
        arrays.to_feeds([1.5, 2], signature)


def test_pictures_as_arrays_go_through_the_pipeline_also_as_a_list() -> None:
    picture = np.zeros((8, 8, 3), np.uint8)
    assert items.is_picture(picture)
    assert not items.is_picture(picture.astype("float32"))
    predictor = Pictures()
    assert predictor.predict(picture) == {"size": (8, 8)}
    assert predictor.predict([picture, picture]) == [{"size": (8, 8)}] * 2


def test_files_of_arrays_are_read_by_a_model_without_a_pipeline(toys: Box, tmp_path: Path) -> None:
    toys.add("toy", source="nowhere")
    toy = ModelManager(toys.downloader).load_model("toy")
    np.save(tmp_path / "x.npy", ONES)
    np.savez(tmp_path / "x.npz", x=ONES)
    (tmp_path / "x.json").write_text(json.dumps({"x": ONES.tolist()}))
    for ending in ("npy", "npz", "json"):
        assert toy.predict(str(tmp_path / f"x.{ending}")).tolist() == [10, 10]
        assert toy.predict(tmp_path / f"x.{ending}").tolist() == [10, 10]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"),
        ("x.npy", b"rubbish"),
        ("x.npz", b"rubbish"),
        ("x.json", b"{"),
        ("x.json", b"[" * 100_000),
        ("x.json", b'"text"'),
        ("x.txt", b"1 2 3 4"),
        ("absent.npy", None),
    ],
)
def test_files_that_hold_no_arrays_are_refused(
    toys: Box, tmp_path: Path, name: str, content: bytes | None
) -> None:
    toys.add("toy", source="nowhere")
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError):
        ModelManager(toys.downloader).load_model("toy").predict(str(tmp_path / name))


def test_a_pickle_in_a_file_of_arrays_is_not_run(toys: Box, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "marker",))

    np.save(tmp_path / "x.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    toys.add("toy", source="nowhere")
    with pytest.raises(InputError):
        ModelManager(toys.downloader).load_model("toy").predict(str(tmp_path / "x.npy"))
    assert not (tmp_path / "marker").exists()


def test_other_things_go_through_the_pipeline_of_the_source(toy: Predictor) -> None:
    assert toy.predict("ab") == {"label": "ab", "score": 20.0}
    assert toy.predict(["a", "abc"]) == [
        {"label": "a", "score": 10.0},
        {"label": "abc", "score": 30.0},
    ]


def test_a_path_of_a_text_is_read(toy: Predictor, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("abcd")
    assert toy.predict(tmp_path / "text")["score"] == 40.0
    with pytest.raises(InputError, match="can't be read as text"):
        toy.predict(tmp_path / "absent")


def test_options_are_those_of_the_pipeline(toy: Predictor) -> None:
    with pytest.raises(OptionError, match="no option 'top'; it knows lose"):
        toy.predict("a", top=3)
    with pytest.raises(OptionError, match="arrays take none"):
        toy.predict(ONES, top=3)
    with pytest.raises(LoadError, match="0 results for 1 inputs"):
        toy.predict("a", lose=True)


def test_many_inputs_are_answered_in_order_whatever_the_batch(toy: Predictor) -> None:
    rows = list(np.arange(20, dtype=np.float32).reshape(5, 4))
    wanted = [float(row @ [1, 2, 3, 4]) for row in rows]
    for size in (0, 1, 2, 5, 9):
        assert [float(y) for y in toy.predict_batch(rows, batch_size=size)] == wanted
    texts = ["a" * n for n in range(1, 12)]
    assert [r["label"] for r in toy.predict_batch(iter(texts), batch_size=3)] == texts


class Threes(Predictor):
    """Doubles three numbers at a time, neither fewer nor more."""

    def __init__(self) -> None:
        specs = (TensorSpec("x", "float32", (3, 1)),)
        artifact = Artifact(None, Path())  # type: ignore[arg-type]
        super().__init__(artifact, Claim(100, "cpu", "for threes"), Signature(specs))

    def run(self, feeds: Any) -> dict[str, Any]:
        assert feeds["x"].shape == (3, 1)
        return {"y": 2 * feeds["x"], "state": np.zeros(2, np.float32)[None].repeat(3, 0)}


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_a_batch_that_the_model_fixes_is_filled_and_cut(count: int) -> None:
    rows = [np.array([number], np.float32) for number in range(count)]
    found = Threes().predict_batch(rows, batch_size=5)
    assert [row["y"].tolist() for row in found] == [[2.0 * number] for number in range(count)]


def test_a_stream_gives_results_before_it_ends(toy: Predictor) -> None:
    def endless() -> Any:
        while True:
            yield "ab"

    stream = toy.stream(endless(), batch_size=2)
    assert [next(stream)["score"] for _ in range(5)] == [20.0] * 5


def test_arrays_of_one_batch_must_have_one_shape(toy: Predictor) -> None:
    with pytest.raises(InputError, match="one shape"):
        toy.predict_batch([np.ones(4, np.float32), np.ones(3, np.float32)])


def test_what_fails_inside_is_told_in_a_line(toy: Predictor) -> None:
    with pytest.raises(LoadError, match="'toy' failed on cpu: RuntimeError: boom"):
        toy.predict("boom")
    with pytest.raises(DeviceError, match="more memory"):
        toy.predict(np.full((1, 4), 666, np.float32))


def test_a_closed_model_says_so(toy: Predictor) -> None:
    with toy:
        pass
    for inputs in (ONES, "text"):
        with pytest.raises(LoadError, match="'toy' was closed"):
            toy.predict(inputs)
    assert "closed" in repr(toy)


def test_threads_share_a_model(toy: Predictor) -> None:
    texts = ["a" * (n % 7 + 1) for n in range(200)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(toy.predict, texts))
    assert [result["label"] for result in found] == texts


def test_examples_are_always_the_same_and_warm_it_up(toy: Predictor) -> None:
    first, second = toy.examples(3), toy.examples(3)
    assert first["x"].shape == (3, 4)
    assert (first["x"] == second["x"]).all()
    toy.warm_up(2)


def test_a_pipeline_that_needs_the_module_needs_a_runtime_that_has_one(toys: Box) -> None:
    toys.add("whole")
    with pytest.raises(LoadError, match="can't run the pipeline"):
        ModelManager(toys.downloader).load_model("whole").predict("text")
