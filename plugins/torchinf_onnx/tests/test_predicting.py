"""Arrays and lists in, arrays out, and errors that name what the model wants."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from torchinf_core.errors import DeviceError, InputError, LoadError, OptionError
from torchinf_core.runtimes import Architecture, Signature, TensorSpec


@pytest.fixture
def weights(linear: Any) -> Any:
    return numpy_helper.to_array(linear().graph.initializer[0])


def test_an_array_a_list_and_a_dict_are_the_same_input(make, load, linear, weights):
    predictor = load(make(linear()))
    x = np.array([[1, -2, 3, 4]], np.float32)
    expected = np.maximum(x @ weights, 0)
    for given in (x, x.tolist(), {"x": x}, {"x": x.tolist()}, (x,)):
        assert np.allclose(predictor.predict(given), expected)
    assert np.allclose(predictor.predict(x[0].tolist()), expected[0])
    assert np.allclose(predictor.predict([1, -2, 3, 4]), expected[0])
    assert np.allclose(predictor.predict_batch([x[0], x[0]]), [expected[0]] * 2)
    assert predictor.predict(np.ones((3, 4), np.float32)).shape == (3, 2)
    assert predictor.predict(np.asfortranarray(np.ones((3, 4), np.float32))).shape == (3, 2)


def test_a_torch_tensor_is_answered_with_one(make, load, linear):
    import torch

    found = load(make(linear())).predict(torch.ones(1, 4))
    assert isinstance(found, torch.Tensor)


def test_the_signature_gives_every_axis_a_word(make, load, graph):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    model = graph(nodes, {"a": [None, "time", 3], "b": [None, None, 3]}, {"y": None})
    signature = load(make(model)).signature
    assert (
        signature
        == Signature(
            (
                TensorSpec("a", "float32", ("batch", "time", 3)),
                TensorSpec("b", "float32", ("b_0", "b_1", 3)),
            ),
            (TensorSpec("y", "float32", ("batch", "time", 3)),),
        )
        or signature.outputs[0].name == "y"
    )


def test_a_shape_that_is_not_told_may_be_any(make, load, graph):
    nodes = [helper.make_node("Add", ["a", "b"], ["y"])]
    predictor = load(make(graph(nodes, {"a": None, "b": []}, {"y": None})))
    assert predictor.signature.inputs[0].shape is None
    assert predictor.predict({"a": np.ones((2, 2), np.float32), "b": 1.0}).tolist() == [[2, 2]] * 2


def test_several_outputs_come_by_their_names(make, load, graph):
    nodes = [helper.make_node("Neg", ["x"], ["n"]), helper.make_node("Abs", ["x"], ["a"])]
    predictor = load(make(graph(nodes, {"x": ["batch", 2]}, {"n": None, "a": None})))
    found = predictor.predict(np.array([[1, -2]], np.float32))
    assert {name: array.tolist() for name, array in found.items()} == {
        "n": [[-1, 2]],
        "a": [[1, 2]],
    }
    assert predictor.predict([1, -2])["a"].tolist() == [1, 2]


WRONG = {
    "another width": np.ones((1, 5), np.float32),
    "another type": np.ones((1, 4)),
    "no batch axis": np.ones(4, np.float32),
    "a list of another width": [1, 2, 3],
    "rows of several widths": [[1, 2, 3, 4], [1]],
    "texts": ["1", "2", "3", "4"],
    "nothing": [],
    "another name": {"z": np.ones((1, 4), np.float32)},
    "too many": (np.ones((1, 4), np.float32), np.ones((1, 4), np.float32)),
    "a path of no array": "cat.jpg",
    "None": None,
    "a number too many": [[[1, 2, 3, 4]]],
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_input_is_answered_with_what_the_model_wants(make, load, linear, what, capfd):
    predictor = load(make(linear()))
    with pytest.raises(InputError, match=r"x: float32\[batch, 4\]"):
        predictor.predict(WRONG[what])
    assert capfd.readouterr() == ("", "")


def test_what_fits_and_still_fails_is_told_in_the_words_of_onnxruntime(make, load, graph, capfd):
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    shape = numpy_helper.from_array(np.array([2, 2]), "shape")
    predictor = load(make(graph(nodes, {"x": ["batch"]}, {"y": None}, [shape])))
    with pytest.raises(LoadError, match=r"'m' failed on cpu: .*Reshape"):
        predictor.predict(np.ones(3, np.float32))
    predictor.warm_up()
    assert capfd.readouterr() == ("", "")


def test_too_little_memory_is_told_as_such(make, load, graph):
    nodes = [helper.make_node("Expand", ["x", "n"], ["y"])]
    model = graph(nodes, {"x": [1], "n": (TensorProto.INT64, [1])}, {"y": None})
    with pytest.raises(DeviceError, match="more memory than cpu has left"):
        load(make(model)).predict({"x": np.ones(1, np.float32), "n": np.array([1 << 50])})


def test_maps_and_sequences_become_arrays(make, load, graph):
    nodes = [
        helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[7, 9])
    ]
    model = graph(nodes, {"x": ["batch", 2]}, {})
    key = helper.make_map_type_proto(
        TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    )
    model.graph.output.add(name="y", type=helper.make_sequence_type_proto(key))
    model.opset_import.add(domain="ai.onnx.ml", version=3)
    x = np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
    assert np.allclose(load(make(model)).predict(x), x)


def test_threads_share_a_predictor(make, load, linear, weights):
    predictor = load(make(linear()))
    rows = [np.full((1, 4), number, np.float32) for number in range(64)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(predictor.predict, rows * 4))
    for row, answer in zip(rows * 4, found, strict=True):
        assert np.allclose(answer, np.maximum(row @ weights, 0), atol=1e-4)


def test_a_closed_predictor_says_so(make, load, linear):
    predictor = load(make(linear()))
    running = predictor._call
    predictor.close()
    predictor.close()
    for given in (np.ones((1, 4), np.float32), [1, 2, 3, 4], {"x": np.ones((1, 4), np.float32)}):
        with pytest.raises(LoadError, match="'m' was closed"):
            predictor.predict(given)
    # What another thread was about to call still works: the session lives as long as the call.
    assert running(None, {"x": np.ones((1, 4), np.float32)})[0].shape == (1, 2)


@pytest.fixture
def brightness(make, graph) -> Any:
    """A model of pictures whose source brings a pipeline."""
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1, 2, 3], keepdims=0)]

    def pipeline(run: Any) -> Any:
        def process(pictures: Any, _options: Any) -> list[Any]:
            x = np.stack(
                [np.asarray(picture, np.float32).transpose(2, 0, 1) for picture in pictures]
            )
            return [{"mean": float(mean)} for mean in run({"x": x})["y"]]

        return process

    def describe() -> Architecture:
        return Architecture(name="brightness", kind="image", pipeline=pipeline)

    artifact = make(graph(nodes, {"x": ["batch", 3, "h", "w"]}, {"y": ["batch"]}))
    return replace(artifact, describable=True, describe=describe)


def test_pictures_go_through_the_pipeline_and_arrays_do_not(brightness, load):
    predictor = load(brightness)
    picture = np.full((8, 8, 3), 5, np.uint8)
    assert predictor.predict_batch([picture, picture]) == [{"mean": 5.0}] * 2
    assert predictor.predict(picture) == {"mean": 5.0}
    assert predictor.predict(np.ones((2, 3, 4, 4), np.float32)).tolist() == [1, 1]
    with pytest.raises(OptionError, match="no option 'top'"):
        predictor.predict(picture, top=3)
