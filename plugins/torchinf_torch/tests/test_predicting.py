"""What goes in and comes out, by the fast way and by the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from torchinf_core.errors import (
    DeviceError,
    InputError,
    LoadError,
    OptionError,
    TorchinfError,
)
from torchinf_core.predicting.predictor import Predictor
from torchinf_core.runtimes import Architecture, LoadOptions, Signature, TensorSpec
from torchinf_torch.predictor import TorchPredictor

Load = Callable[..., TorchPredictor]
X = np.arange(8, dtype=np.float32).reshape(2, 4)


class Several(NamedTuple):
    logits: torch.Tensor
    hidden: torch.Tensor


class Function(torch.nn.Module):
    """A module that computes a given function."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


@pytest.fixture
def of(tmp_path: Any, load: Load, artifact_of: Any) -> Callable[..., TorchPredictor]:
    """A predictor of a function of one tensor."""

    def make(
        function: Callable[..., Any] | torch.nn.Module,
        signature: Signature = Signature(),  # noqa: B008
        options: LoadOptions | None = None,
    ) -> TorchPredictor:
        module = function if isinstance(function, torch.nn.Module) else Function(function)
        architecture = Architecture(name="f", signature=signature, build=lambda: module)
        return load(artifact_of(tmp_path, {}, architecture=architecture), options=options)

    return make


@pytest.fixture
def vector(of: Any, linear: Any) -> TorchPredictor:
    predictor: TorchPredictor = of(torch.nn.Linear(4, 2), linear().signature)
    return predictor


def slow(predictor: TorchPredictor, inputs: Any) -> Any:
    return Predictor.predict(predictor, inputs)


def test_the_fast_way_gives_what_the_other_gives(vector: TorchPredictor) -> None:
    frozen = X.copy()
    frozen.flags.writeable = False
    for inputs in (
        X,
        torch.from_numpy(X),
        X.tolist(),
        frozen,
        X[::-1],
        {"x": X},
        (X,),
        X[0].tolist(),
    ):
        fast, other = vector.predict(inputs), slow(vector, inputs)
        assert type(fast) is type(other)
        assert fast.dtype == other.dtype
        np.testing.assert_array_equal(np.asarray(fast), np.asarray(other))


def test_tensors_come_back_as_tensors_without_a_gradient(vector: TorchPredictor) -> None:
    given = torch.from_numpy(X).requires_grad_()
    made = vector.predict(given)
    assert isinstance(made, torch.Tensor)
    assert not made.requires_grad
    np.testing.assert_array_equal(made.numpy(), vector.predict(X))


def test_a_batch_axis_is_added_to_lists_alone(vector: TorchPredictor) -> None:
    assert vector.predict([1, 2, 3, 4]).shape == (2,)
    assert vector.predict([[1, 2, 3, 4]]).shape == (1, 2)
    with pytest.raises(InputError, match=r"takes x: float32\[batch, 4\], and got x: float32\[4\]"):
        vector.predict({"x": X[0]})


@pytest.mark.parametrize(
    ("inputs", "why"),
    [
        (np.ones((2, 5), np.float32), r"takes x: float32\[batch, 4\], and got x: float32\[2, 5\]"),
        (torch.ones(2, 5), r"got x: float32\[2, 5\]"),
        (np.ones((2, 4)), r"takes x: float32\[batch, 4\], and got x: float64\[2, 4\]"),
        (np.ones((2, 4), np.int64), r"got x: int64\[2, 4\]"),
        ([[1.0, 2.0], [3.0]], "makes no array"),
        ("picture.png", "not a file of arrays"),
        (None, "None is nothing the model can take"),
        ({"y": X}, "there is no input 'y'"),
        ((X, X), "2 inputs were given"),
    ],
)
def test_wrong_inputs_are_told_what_is_wanted(
    vector: TorchPredictor, inputs: Any, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        vector.predict(inputs)


def test_options_are_refused_where_arrays_take_none(vector: TorchPredictor) -> None:
    with pytest.raises(OptionError, match="no option 'top'"):
        vector.predict(X, top=5)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (lambda x: {"a": x, "b": x * 2}, ["a", "b"]),
        (lambda x: (x, x * 2), ["output_0", "output_1"]),
        (lambda x: [x, None, {"c": x}], ["output_0", "output_2_c"]),
        (lambda x: Several(x, x * 2), ["logits", "hidden"]),
        (lambda x: {"a": x, "past": None, "loss": 0.5}, ["a", "loss"]),
    ],
    ids=["dict", "tuple", "nested", "named", "number"],
)
def test_several_outputs_come_by_name(
    of: Any, function: Callable[..., Any], names: list[str]
) -> None:
    predictor = of(function)
    for inputs, kind in ((X, np.ndarray), (torch.from_numpy(X), torch.Tensor)):
        made = predictor.predict(inputs)
        assert list(made) == names
        assert all(isinstance(value, kind) for value in made.values())
        assert list(slow(predictor, inputs)) == names


def test_a_model_output_of_transformers_comes_by_name(of: Any) -> None:
    from transformers.modeling_outputs import BaseModelOutput

    made = of(lambda x: BaseModelOutput(last_hidden_state=x)).predict(X)
    np.testing.assert_array_equal(made, X)
    two = of(lambda x: BaseModelOutput(last_hidden_state=x, hidden_states=(x, x))).predict(X)
    assert list(two) == ["last_hidden_state", "hidden_states_0", "hidden_states_1"]


def test_outputs_in_order_take_the_names_of_the_signature(of: Any) -> None:
    spec = [TensorSpec(name, "float32", ("batch", 4)) for name in ("x", "loc", "score")]
    predictor = of(lambda x: (x, x * 2), Signature((spec[0],), (spec[1], spec[2])))
    assert list(predictor.predict(X)) == ["loc", "score"]


def test_types_that_numpy_lacks_become_float32(of: Any) -> None:
    assert of(lambda x: x.bfloat16()).predict(X).dtype == np.float32
    assert of(lambda x: x.to_sparse()).predict(X).tolist() == X.tolist()
    assert of(lambda x: torch.complex(x, x).conj()).predict(X).dtype == np.complex64


def test_several_inputs_go_by_name_or_by_place(of: Any) -> None:
    class Two(torch.nn.Module):
        def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
            return a - b

    class Three(torch.nn.Module):
        def forward(self, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
            return left - right

    backwards = Signature(tuple(TensorSpec(n, "float32", ("batch", 4)) for n in ("b", "a")))
    for inputs in ((X, X * 3), {"a": X * 3, "b": X}):
        np.testing.assert_array_equal(of(Two(), backwards).predict(inputs), X * 2)
    np.testing.assert_array_equal(of(Three(), backwards).predict((X, X * 3)), -X * 2)
    np.testing.assert_array_equal(of(Two()).predict({"a": X * 3, "b": X}), X * 2)


def test_integers_go_in_as_they_are(of: Any) -> None:
    signature = Signature((TensorSpec("ids", "int64", ("batch", "length")),))
    predictor = of(torch.nn.Embedding(10, 3), signature)
    ids = np.array([[1, 2, 3]])
    assert predictor.predict(ids).shape == (1, 3, 3)
    assert predictor.predict([[1, 2, 3]]).shape == (1, 3, 3)
    with pytest.raises(InputError, match="takes ids: int64"):
        predictor.predict(X)


def test_a_model_nobody_described_tells_the_type_it_computes_with(of: Any) -> None:
    with pytest.raises(InputError, match=r"computes with float32, and got float64\[2, 4\]"):
        of(torch.nn.Linear(4, 2)).predict(X.astype(np.float64))


def test_a_failing_module_is_a_load_error_with_its_words(of: Any) -> None:
    def fail(_x: torch.Tensor) -> Any:
        raise ValueError("no such thing")

    with pytest.raises(LoadError, match="'tiny' failed on cpu: ValueError: no such thing") as found:
        of(fail).predict(X)
    assert isinstance(found.value.__cause__, ValueError)


def test_memory_that_is_not_there_is_a_device_error(of: Any) -> None:
    predictor = of(lambda x: torch.ones(1 << 50) + x)
    with pytest.raises(DeviceError, match="needs more memory than cpu has left"):
        predictor.predict(X)


def test_a_closed_model_says_so(vector: TorchPredictor) -> None:
    vector.predict(X)
    vector.close()
    vector.close()
    for inputs in (X, torch.from_numpy(X), X.tolist(), {"x": X}):
        with pytest.raises(LoadError, match="closed"):
            vector.predict(inputs)


def test_closing_while_others_predict_ends_in_results_or_the_error(of: Any, linear: Any) -> None:
    predictor = of(torch.nn.Linear(4, 2), linear().signature)
    wanted = predictor.predict(X)
    wrong: list[object] = []
    ready = threading.Barrier(5)

    def work() -> None:
        ready.wait()
        try:
            for _ in range(300):
                np.testing.assert_array_equal(predictor.predict(X), wanted)
        except TorchinfError as error:
            if "closed" not in str(error):
                wrong.append(error)
        except AssertionError as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    ready.wait()
    predictor.close()
    for thread in threads:
        thread.join()
    assert not wrong


def test_many_threads_get_their_own_answers(of: Any, linear: Any) -> None:
    predictor = of(torch.nn.Linear(4, 2), linear().signature)
    wrong: list[object] = []

    def work(number: int) -> None:
        x = np.full((1, 4), number, np.float32)
        wanted = predictor.predict(x)
        made = [predictor.predict(x) for _ in range(200)]
        wrong.extend(number for one in made if not np.array_equal(one, wanted))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_threads_are_set(of: Any) -> None:
    before = torch.get_num_threads()
    try:
        of(torch.nn.Linear(4, 2), options=LoadOptions(threads=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_predicting_leaves_the_mode_of_the_caller_alone(vector: TorchPredictor) -> None:
    vector.predict(X)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_batches_are_stacked(vector: TorchPredictor) -> None:
    rows = vector.predict_batch(list(X), batch_size=2)
    np.testing.assert_allclose(np.stack(rows), vector.predict(X), atol=1e-6)


def test_pictures_and_pipelines_take_their_own_way(
    tmp_path: Any, load: Load, artifact_of: Any
) -> None:
    def pipeline(run: Any) -> Any:
        def call(items: Any, options: Any) -> Any:
            batch = np.stack([np.asarray(item, np.float32).mean((0, 1)) for item in items])
            return [{"score": float(row[0])} for row in run({"x": batch})["output"]]

        return call

    architecture = Architecture(
        name="colours",
        signature=Signature((TensorSpec("x", "float32", ("batch", 3)),)),
        build=torch.nn.Identity,
        kind="image",
        pipeline=pipeline,
    )
    predictor = load(artifact_of(tmp_path, {}, architecture=architecture))
    picture = np.full((5, 6, 3), 7, np.uint8)
    assert predictor.predict(picture) == {"score": 7.0}
    assert predictor.predict(torch.from_numpy(picture)) == {"score": 7.0}
    np.testing.assert_array_equal(predictor.predict(np.ones((1, 3), np.float32)), np.ones((1, 3)))


def test_a_whole_pipeline_gets_the_module(tmp_path: Any, load: Load, artifact_of: Any) -> None:
    architecture = Architecture(
        name="generator",
        build=lambda: torch.nn.Linear(4, 2),
        kind="text",
        whole=True,
        pipeline=lambda module: lambda items, options: [type(module).__name__ for _ in items],
    )
    assert load(artifact_of(tmp_path, {}, architecture=architecture)).predict("x") == "Linear"
