"""The short way takes exactly what the long one takes without changing it."""

from __future__ import annotations

import numpy as np
import pytest

from torchinf_core import ModelDownloader
from torchinf_core.runtimes import Signature, TensorSpec
from torchinf_serve.computing.reading import Reader
from torchinf_serve.computing.threads import for_serving

TWO = Signature(
    (
        TensorSpec("x", "float32", ("n", 2)),
        TensorSpec("k", "int64", ("n",)),
        TensorSpec("r", "int64"),
    )
)
ONE = Signature((TensorSpec("x", "float32", ("n", 2)),))


def test_lists_of_the_right_shape_become_arrays_of_the_right_type():
    feeds = Reader(TWO).read({"x": [[1, 2.5]], "k": [3], "r": 16000})
    assert feeds is not None
    assert {name: str(array.dtype) for name, array in feeds.items()} == {
        "x": "float32",
        "k": "int64",
        "r": "int64",
    }
    only = Reader(ONE).read([[1, 2], [3, 4]])
    assert only is not None
    assert only["x"].tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    "inputs",
    [
        None,
        "x",
        [[1, 2]],
        {"x": [[1, 2]], "k": [3]},
        {"x": [[1, 2]], "k": [3], "z": 1},
        {"x": [[1, 2]], "k": [3, 4], "r": 1},
        {"x": [1, 2], "k": [3], "r": 1},
        {"x": [[1, 2, 3]], "k": [3], "r": 1},
        {"x": [[1, 2], [3]], "k": [3], "r": 1},
        {"x": [["a", "b"]], "k": [3], "r": 1},
        {"x": "ab", "k": [3], "r": 1},
        {"x": [[1, 2]], "k": [1 << 80], "r": 1},
    ],
)
def test_all_else_is_left_to_the_long_way(inputs):
    assert Reader(TWO).read(inputs) is None


def test_models_that_nobody_described_or_that_take_texts_have_no_short_way():
    assert Reader(Signature()).read({}) is None
    assert Reader(Signature()).read([1]) is None
    assert Reader(Signature((TensorSpec("x", "object", ("n",)),))).read(["a"]) is None
    assert Reader(Signature((TensorSpec("x", "no-type", ("n",)),))).read([1]) is None


def test_arrays_of_another_type_do_not_fit():
    reader = Reader(ONE)
    assert reader.fits({"x": np.zeros((1, 2), np.float32)})
    assert not reader.fits({"x": np.zeros((1, 2), np.float64)})
    assert not reader.fits({"y": np.zeros((1, 2), np.float32)})


def test_runtimes_of_a_server_do_not_spin_unless_the_user_wants_it(tmp_path, monkeypatch):
    settings = tmp_path / "settings.toml"
    settings.write_text('[plugins.onnx.session]\n"session.intra_op.allow_spinning" = "1"\n')
    plain = for_serving(ModelDownloader(tmp_path))
    assert plain.settings.plugins["onnx"]["session"]["session.intra_op.allow_spinning"] == "0"
    monkeypatch.setenv("TORCHINF_CONFIG", str(settings))
    chosen = for_serving(ModelDownloader(tmp_path)).settings.plugins["onnx"]["session"]
    assert chosen == {
        "session.intra_op.allow_spinning": "1",
        "session.inter_op.allow_spinning": "0",
    }
