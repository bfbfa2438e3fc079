"""Weights reach modules unchanged, uncopied, and only where they fit."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from torchinf_core.errors import FormatError, LoadError
from torchinf_core.runtimes import Architecture, LoadOptions, Signature, TensorSpec
from torchinf_torch import reading
from torchinf_torch.predictor import TorchPredictor

Load = Callable[..., TorchPredictor]
IMAGE = Signature(
    (TensorSpec("x", "float32", ("batch", 3, 64, 64)),), (TensorSpec("logits", "float32", None),)
)
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def trained() -> torch.nn.Linear:
    torch.manual_seed(7)
    return torch.nn.Linear(4, 2)


def expected(module: torch.nn.Module, x: np.ndarray[Any, Any] = X) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return module(torch.from_numpy(x)).numpy()


def test_safetensors_predict_as_the_module_they_were_saved_from(
    tmp_path: Path, load: Load, trained: torch.nn.Linear, artifact_of: Any, linear: Any
) -> None:
    safetensors.torch.save_file(trained.state_dict(), tmp_path / "m.safetensors")
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=linear())
    with load(artifact) as predictor:
        np.testing.assert_array_equal(predictor.predict(X), expected(trained))
        assert predictor.precision == "fp32"


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: state,
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{k}": v for k, v in state.items()}},
        lambda state: {f"_orig_mod.{k}": v for k, v in state.items()},
        lambda state: {"state_dict": {f"model.{k}": v for k, v in state.items()}},
    ],
    ids=["bare", "state_dict", "DataParallel", "compiled", "lightning"],
)
def test_checkpoints_are_taken_out_of_their_wrappers(
    tmp_path: Path,
    load: Load,
    trained: torch.nn.Linear,
    wrap: Callable[..., Any],
    zipped: bool,
    artifact_of: Any,
    linear: Any,
) -> None:
    torch.save(wrap(trained.state_dict()), tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
    artifact = artifact_of(tmp_path, {"m.pt": "torch"}, architecture=linear(("m.pt",)))
    np.testing.assert_array_equal(load(artifact).predict(X), expected(trained))


def test_shards_are_put_together(
    tmp_path: Path, load: Load, trained: torch.nn.Linear, artifact_of: Any, linear: Any
) -> None:
    state = trained.state_dict()
    for number, key in enumerate(state):
        safetensors.torch.save_file({key: state[key]}, tmp_path / f"m-{number}.safetensors")
    kinds = {f"m-{number}.safetensors": "safetensors" for number in range(2)}
    predictor = load(artifact_of(tmp_path, kinds, architecture=linear()))
    np.testing.assert_array_equal(predictor.predict(X), expected(trained))


def test_a_tensor_in_two_shards_is_refused(
    tmp_path: Path, load: Load, trained: torch.nn.Linear, artifact_of: Any, linear: Any
) -> None:
    for name in ("a.safetensors", "b.safetensors"):
        safetensors.torch.save_file(trained.state_dict(), tmp_path / name)
    kinds = dict.fromkeys(("a.safetensors", "b.safetensors"), "safetensors")
    with pytest.raises(FormatError, match="another file has too"):
        load(artifact_of(tmp_path, kinds, architecture=linear()))


def test_keys_that_do_not_fit_are_named_with_the_architecture(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    safetensors.torch.save_file(
        {"weight": torch.ones(2, 4), "gamma": torch.ones(1)}, tmp_path / "m.safetensors"
    )
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=linear())
    with pytest.raises(FormatError) as caught:
        load(artifact)
    assert str(caught.value) == (
        "the weights do not fit a linear layer: 1 missing ('bias') and 1 unexpected ('gamma')"
    )
    assert "--arch" in caught.value.hint


def test_a_tensor_of_another_shape_is_named(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    safetensors.torch.save_file(
        {"weight": torch.ones(2, 5), "bias": torch.ones(2)}, tmp_path / "m.safetensors"
    )
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=linear())
    with pytest.raises(FormatError, match=r"'weight' has the shape \[2, 5\] where \[2, 4\]"):
        load(artifact)


def test_weights_are_mapped_and_not_written_to(tmp_path: Path, trained: torch.nn.Linear) -> None:
    path = tmp_path / "m.safetensors"
    safetensors.torch.save_file(trained.state_dict(), path)
    before = path.read_bytes()
    for mapped in (True, False):
        tensors = reading.read_safetensors(torch, path, path.name, mapped=mapped)
        for key, tensor in trained.state_dict().items():
            assert torch.equal(tensors[key], tensor)
        tensors["weight"].zero_()
    assert path.read_bytes() == before


def test_every_dtype_and_odd_offset_is_read(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    state = {
        "a": torch.tensor([1, 2, 3], dtype=torch.int8),
        "b": torch.tensor([True, False]),
        "c": torch.tensor(2.5, dtype=torch.float64),
        "d": torch.ones(3, dtype=torch.bfloat16),
        "e": torch.ones((0, 3), dtype=torch.float16),
        "f": torch.arange(5, dtype=torch.int64),
        "g": torch.ones(2, dtype=torch.float8_e4m3fn),
    }
    safetensors.torch.save_file(state, path)
    content = path.read_bytes()
    # One more byte of header puts every tensor at an odd place.
    length = int.from_bytes(content[:8], "little")
    odd = (
        (length + 1).to_bytes(8, "little") + content[8 : 8 + length] + b" " + content[8 + length :]
    )
    path.write_bytes(odd)
    for mapped in (True, False):
        read = reading.read_safetensors(torch, path, path.name, mapped=mapped)
        assert {k: (v.dtype, v.tolist()) for k, v in read.items()} == {
            k: (v.dtype, v.tolist()) for k, v in state.items()
        }


def test_files_on_a_network_are_read_whole(
    tmp_path: Path,
    load: Load,
    trained: torch.nn.Linear,
    monkeypatch: pytest.MonkeyPatch,
    artifact_of: Any,
    linear: Any,
) -> None:
    torch.save(trained.state_dict(), tmp_path / "m.pt")
    artifact = artifact_of(tmp_path, {"m.pt": "torch"}, architecture=linear())
    asked: list[bool] = []
    real = torch.load

    def noted(*args: Any, **options: Any) -> Any:
        asked.append(options["mmap"])
        return real(*args, **options)

    monkeypatch.setattr(torch, "load", noted)
    load(artifact)
    monkeypatch.setattr(reading, "on_network", lambda _directory: True)
    np.testing.assert_array_equal(load(artifact).predict(X), expected(trained))
    assert asked == [True, False]


class Tables(torch.nn.Module):
    """Has what no checkpoint holds: tables in buffers and in plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = torch.nn.Linear(4, 4, bias=False)
        self.head = torch.nn.Linear(4, 4, bias=False)
        self.head.weight = self.embed.weight
        self.register_buffer("table", torch.arange(4.0), persistent=False)
        self.grids = [torch.ones(4), torch.full((4,), 2.0)]
        self.norm = torch.nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.head(self.embed(x))) + self.table + self.grids[0] * self.grids[1]


class Fussy(Tables):
    """Can't be built without numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.rates = [value.item() for value in torch.linspace(0, 1, 3)]


@pytest.mark.parametrize("kind", [Tables, Fussy])
def test_tables_that_no_file_holds_are_computed(
    tmp_path: Path, load: Load, kind: type[Tables], artifact_of: Any
) -> None:
    torch.manual_seed(3)
    trained = kind().eval()
    state = trained.state_dict()
    del state["head.weight"], state["norm.num_batches_tracked"]
    safetensors.torch.save_file(state, tmp_path / "m.safetensors")
    architecture = Architecture(name="tables", build=kind)
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=architecture)
    predictor = load(artifact)
    np.testing.assert_array_equal(predictor.predict(X), expected(trained))
    module = predictor._module
    assert module.head.weight is module.embed.weight
    assert not any(p.requires_grad for p in module.parameters())
    assert not module.training


def test_a_module_without_files_has_the_same_random_weights_each_time(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    artifact = artifact_of(tmp_path, {}, architecture=linear())
    state = torch.get_rng_state()
    first, second = load(artifact).predict(X), load(artifact).predict(X)
    np.testing.assert_array_equal(first, second)
    assert first.any()
    assert torch.equal(state, torch.get_rng_state())


def test_a_complete_module_is_taken_as_its_source_made_it(
    tmp_path: Path, load: Load, trained: torch.nn.Linear, artifact_of: Any
) -> None:
    architecture = Architecture(name="PyTorch Hub x", build=lambda: trained, complete=True)
    (tmp_path / "hubconf.py").write_text("")
    artifact = artifact_of(tmp_path, {"hubconf.py": "python"}, "torchhub", architecture)
    np.testing.assert_array_equal(load(artifact).predict(X), expected(trained))


def test_an_architecture_that_fails_says_what_failed(
    tmp_path: Path, load: Load, artifact_of: Any
) -> None:
    def build() -> Any:
        raise KeyError("depth")

    artifact = artifact_of(tmp_path, {}, architecture=Architecture(name="deep", build=build))
    with pytest.raises(LoadError, match="deep can't be built: KeyError: 'depth'"):
        load(artifact)


def test_half_precision_files_take_and_give_float32(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    torch.manual_seed(7)
    half = torch.nn.Linear(4, 2).to(torch.bfloat16)
    safetensors.torch.save_file(half.state_dict(), tmp_path / "m.safetensors")
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=linear())
    with torch.inference_mode():
        wanted = half(torch.from_numpy(X).bfloat16()).float().numpy()
    predictor = load(artifact)
    assert predictor.precision == "bf16"
    np.testing.assert_array_equal(predictor.predict(X), wanted)
    assert predictor.predict(torch.from_numpy(X)).dtype is torch.float32
    assert predictor.predict(X.tolist()).dtype == np.float32
    whole = load(artifact, options=LoadOptions(precision="fp32"))
    assert whole.precision == "fp32"
    np.testing.assert_allclose(whole.predict(X), wanted, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_precision_that_was_asked_for_is_used(
    tmp_path: Path,
    load: Load,
    trained: torch.nn.Linear,
    precision: str,
    artifact_of: Any,
    linear: Any,
) -> None:
    torch.save(trained.state_dict(), tmp_path / "m.pt")
    artifact = artifact_of(tmp_path, {"m.pt": "torch"}, architecture=linear())
    predictor = load(artifact, options=LoadOptions(precision=precision))
    assert predictor.precision == precision
    np.testing.assert_allclose(predictor.predict(X), expected(trained), rtol=0.05, atol=0.05)


class Cascade(torch.nn.Module):
    """The three nets of facenet's face detector, their parts named as in the files."""

    def __init__(
        self, layers: list[tuple[int, int, int]], dense: tuple[str, int, int] | None, *heads: Any
    ) -> None:
        super().__init__()
        self.depth = len(layers)
        for number, (before, after, side) in enumerate(layers, 1):
            setattr(self, f"conv{number}", torch.nn.Conv2d(before, after, side))
            setattr(self, f"prelu{number}", torch.nn.PReLU(after))
        self.dense = dense[0] if dense else ""
        if dense:
            setattr(self, dense[0], torch.nn.Linear(*dense[1:]))
            setattr(self, dense[0].replace("dense", "prelu"), torch.nn.PReLU(dense[2]))
        self.heads = [name for name, _ in heads]
        for name, head in heads:
            setattr(self, name, head)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        side = 3 if self.dense else 2
        for number in range(1, self.depth + 1):
            x = getattr(self, f"prelu{number}")(getattr(self, f"conv{number}")(x))
            last = 1 if not self.dense else 2 if self.depth == 3 else 3
            if number <= last:
                side = 2 if number == 3 else side
                x = torch.nn.functional.max_pool2d(x, side, 2, ceil_mode=True)
        if self.dense:
            x = getattr(self, self.dense)(x.permute(0, 3, 2, 1).flatten(1))
            x = getattr(self, self.dense.replace("dense", "prelu"))(x)
        outputs = {name: getattr(self, name)(x) for name in self.heads}
        return {**outputs, "prob": outputs[self.heads[0]].softmax(1)}


def _pnet() -> Cascade:
    heads = (("conv4_1", torch.nn.Conv2d(32, 2, 1)), ("conv4_2", torch.nn.Conv2d(32, 4, 1)))
    return Cascade([(3, 10, 3), (10, 16, 3), (16, 32, 3)], None, *heads)


def _rnet() -> Cascade:
    heads = (("dense5_1", torch.nn.Linear(128, 2)), ("dense5_2", torch.nn.Linear(128, 4)))
    return Cascade([(3, 28, 3), (28, 48, 3), (48, 64, 2)], ("dense4", 576, 128), *heads)


def _onet() -> Cascade:
    heads = [(f"dense6_{n}", torch.nn.Linear(256, out)) for n, out in ((1, 2), (2, 4), (3, 10))]
    layers = [(3, 32, 3), (32, 64, 3), (64, 64, 3), (64, 128, 2)]
    return Cascade(layers, ("dense5", 1152, 256), *heads)


@pytest.mark.parametrize(
    ("name", "build", "side"), [("pnet", _pnet, 12), ("rnet", _rnet, 24), ("onet", _onet, 48)]
)
def test_the_old_pickles_of_facenet_load_into_their_architecture(
    tmp_path: Path, load: Load, name: str, build: Callable[[], Cascade], side: int, artifact_of: Any
) -> None:
    # The package itself needs more than its files do, so it is found and not imported.
    spec = importlib.util.find_spec("facenet_pytorch")
    assert spec is not None
    data = Path(str(spec.origin)).parent / "data" / f"{name}.pt"
    (tmp_path / data.name).write_bytes(data.read_bytes())
    architecture = Architecture(name=name, build=build, weights=(data.name,))
    artifact = artifact_of(tmp_path, {data.name: "torch"}, architecture=architecture)
    outputs = load(artifact).predict(np.zeros((1, 3, side, side), np.float32))
    whole = build().eval()
    whole.load_state_dict(torch.load(data, weights_only=True))
    with torch.inference_mode():
        known = whole(torch.zeros(1, 3, side, side))
    assert list(outputs) == list(known)
    for key, value in known.items():
        np.testing.assert_allclose(outputs[key], value.numpy(), atol=1e-5)
    if name == "pnet":
        wanted = [0.999873, 0.000127]
        np.testing.assert_allclose(outputs["prob"].ravel(), wanted, atol=1e-5, rtol=0)


class Silero(torch.nn.Module):
    """The published weights' own layers, put together for one window of 16 kHz sound."""

    def __init__(self) -> None:
        super().__init__()
        self.stft_conv = torch.nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.conv1 = torch.nn.Conv1d(129, 128, 3, padding=1)
        self.conv2 = torch.nn.Conv1d(128, 64, 3, stride=2, padding=1)
        self.conv3 = torch.nn.Conv1d(64, 64, 3, stride=2, padding=1)
        self.conv4 = torch.nn.Conv1d(64, 128, 3, padding=1)
        self.lstm_cell = torch.nn.LSTMCell(128, 128)
        self.final_conv = torch.nn.Conv1d(128, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        padded = torch.nn.functional.pad(x, (0, 64), mode="reflect")[:, None]
        both = self.stft_conv(padded)
        y = (both[:, :129] ** 2 + both[:, 129:] ** 2).sqrt()
        for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
            y = layer(y).relu()
        hidden, _ = self.lstm_cell(y.squeeze(-1))
        return self.final_conv(hidden.relu()[..., None]).sigmoid().mean(-1)


def test_silero_safetensors_load_as_weights(tmp_path: Path, load: Load, artifact_of: Any) -> None:
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    data = Path(str(spec.origin)).parent / "data" / "silero_vad_16k.safetensors"
    (tmp_path / "m.safetensors").write_bytes(data.read_bytes())
    architecture = Architecture(name="silero", build=Silero)
    artifact = artifact_of(tmp_path, {"m.safetensors": "safetensors"}, architecture=architecture)
    predictor = load(artifact)
    # They are of an older training than the .jit beside them, so there is no known output.
    state = predictor._module.state_dict()
    known = safetensors.torch.load_file(data)
    assert len(known) == 15
    assert all(torch.equal(state[key], value) for key, value in known.items())
    assert 0 < predictor.predict(np.zeros((1, 576), np.float32))[0, 0] < 0.1


def test_a_large_model_is_not_copied(tmp_path: Path, artifact_of: Any) -> None:
    state = {f"{n}.weight": torch.full((1024, 1024), 0.5) for n in range(24)}
    safetensors.torch.save_file(state, tmp_path / "m.safetensors")
    script = f"""
import resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
import torch
from conftest import artifact_of
from torchinf_core.runtimes import Architecture, Claim, LoadOptions
from torchinf_torch.loading import load_predictor
layers = lambda: torch.nn.Sequential(*(torch.nn.Linear(1024, 1024, bias=False) for _ in range(24)))
folder = Path({str(tmp_path)!r})
artifact = artifact_of(folder, {{}}, "safetensors", Architecture(name="x", build=layers))
from dataclasses import replace
from torchinf_core.types import StoredFile
file = StoredFile("m.safetensors", 1, "0" * 64, format="safetensors")
artifact = replace(artifact, record=replace(artifact.record, files=(file,)))
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
before = peak()
predictor = load_predictor(artifact, Claim(100, "cpu", "x"), LoadOptions())
loaded = peak()
predictor.predict(torch.ones(1, 1024))
print(loaded - before, peak() - before)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    loaded, used = map(int, done.stdout.split())
    size = 24 << 22
    assert loaded < size // 2
    assert used < 1.4 * size


def test_images_of_torchvision_models_need_no_copy_of_the_statistics(
    tmp_path: Path, load: Load, artifact_of: Any
) -> None:
    import torchvision

    torch.manual_seed(0)
    model = torchvision.models.resnet18(weights=None).eval()
    torch.save(model.state_dict(), tmp_path / "m.pth")
    architecture = Architecture(
        name="resnet18",
        signature=IMAGE,
        build=lambda: torchvision.models.resnet18(weights=None),
        weights=("m.pth",),
    )
    artifact = artifact_of(tmp_path, {"m.pth": "torch"}, architecture=architecture)
    x = np.random.default_rng(0).standard_normal((2, 3, 64, 64), dtype=np.float32)
    np.testing.assert_allclose(load(artifact).predict(x), expected(model, x), atol=1e-5)


@pytest.mark.parametrize("kind", ["BertForMaskedLM", "BertForSequenceClassification"])
def test_a_small_bert_agrees_with_transformers(
    tmp_path: Path, load: Load, kind: str, artifact_of: Any
) -> None:
    import transformers

    config = transformers.BertConfig(
        vocab_size=64,
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    torch.manual_seed(0)
    model = getattr(transformers, kind)(config).eval()
    model.save_pretrained(tmp_path)
    names = ("input_ids", "attention_mask")
    signature = Signature(tuple(TensorSpec(n, "int64", ("batch", "length")) for n in names))
    architecture = Architecture(
        name=kind, signature=signature, build=lambda: getattr(transformers, kind)(config)
    )
    kinds = {"model.safetensors": "safetensors"}
    artifact = artifact_of(tmp_path, kinds, architecture=architecture)
    ids = torch.arange(12).reshape(2, 6)
    feeds = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    with torch.inference_mode():
        wanted = model(**feeds).logits
    predictor = load(artifact)
    torch.testing.assert_close(predictor.predict(feeds), wanted, rtol=1e-5, atol=1e-6)
    short = load(artifact, options=LoadOptions(precision="bf16"))
    torch.testing.assert_close(short.predict(feeds), wanted, rtol=0.1, atol=0.05)


def test_weights_without_numbers_are_refused(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    with torch.device("meta"):
        torch.save(torch.nn.Linear(4, 2).state_dict(), tmp_path / "m.pt")
    artifact = artifact_of(tmp_path, {"m.pt": "torch"}, architecture=linear())
    with pytest.raises(FormatError, match="lack the numbers of 'weight'"):
        load(artifact)


def test_files_without_weights_never_become_random_ones(
    tmp_path: Path, load: Load, artifact_of: Any, linear: Any
) -> None:
    (tmp_path / "notes.txt").write_text("x")
    artifact = artifact_of(tmp_path, {"notes.txt": None}, architecture=linear())
    with pytest.raises(FormatError, match="no file of 'tiny' holds weights"):
        load(artifact)
