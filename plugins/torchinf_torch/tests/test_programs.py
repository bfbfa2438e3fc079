"""TorchScript and exported programs run as torch runs them."""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from torchinf_core.errors import FormatError, InputError, OptionError
from torchinf_core.runtimes import LoadOptions
from torchinf_core.types import Trust
from torchinf_torch.predictor import TorchPredictor

Load = Callable[..., TorchPredictor]
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def script(module: torch.nn.Module, path: Path, *examples: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = torch.jit.trace(module, examples) if examples else torch.jit.script(module)
        made.save(str(path))


@pytest.fixture
def trained() -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Linear(4, 2).eval()


def expected(module: torch.nn.Module) -> np.ndarray[Any, Any]:
    with torch.inference_mode():
        return module(torch.from_numpy(X)).numpy()


def tone() -> np.ndarray[Any, Any]:
    return (0.5 * np.sin(2 * np.pi * 220 * np.arange(512) / 16000)).astype(np.float32)[None]


@pytest.fixture
def silero(tmp_path: Path, artifact_of: Any) -> Any:
    spec = importlib.util.find_spec("silero_vad")
    assert spec is not None
    data = Path(str(spec.origin)).parent / "data" / "silero_vad.jit"
    (tmp_path / data.name).write_bytes(data.read_bytes())
    return artifact_of(
        tmp_path, {data.name: "torchscript"}, trust=Trust.CODE, trusted="by the test"
    )


@pytest.mark.parametrize(
    "give",
    [
        lambda p: p.predict((tone(), 16000)),
        lambda p: p.predict((torch.from_numpy(tone()), 16000)).numpy(),
        lambda p: p.predict({"x": tone(), "sr": 16000}),
    ],
    ids=["tuple", "tensor", "names"],
)
def test_silero_reproduces_its_known_output(
    silero: Any, load: Load, give: Callable[[Any], Any]
) -> None:
    found = give(load(silero))
    assert found.shape == (1, 1)
    np.testing.assert_allclose(found, [[0.12335]], atol=1e-5, rtol=0)


def test_a_missing_argument_is_told_in_the_words_of_the_program(silero: Any, load: Load) -> None:
    with pytest.raises(InputError, match=r"takes forward\(Tensor x, int sr\)"):
        load(silero).predict(tone())


def test_torchscript_gives_what_the_module_gives(
    tmp_path: Path, load: Load, trained: torch.nn.Module, artifact_of: Any
) -> None:
    script(trained, tmp_path / "s.pt")
    script(trained, tmp_path / "t.pt", torch.ones(2, 4))
    for name in ("s.pt", "t.pt"):
        predictor = load(artifact_of(tmp_path, {name: "torchscript"}))
        np.testing.assert_allclose(predictor.predict(X), expected(trained), atol=1e-6)
        np.testing.assert_allclose(predictor.predict(X.tolist()), expected(trained), atol=1e-6)


def test_an_exported_program_tells_what_it_takes(
    tmp_path: Path, load: Load, trained: torch.nn.Module, artifact_of: Any
) -> None:
    shapes = {"input": {0: torch.export.Dim("batch")}}
    program = torch.export.export(trained, (torch.ones(3, 4),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "m.pt2")
    predictor = load(artifact_of(tmp_path, {"m.pt2": "torch-export"}))
    text = "(input: float32[batch, 4]) -> (linear: float32[batch, 2])"
    assert str(predictor.signature) == text
    np.testing.assert_allclose(predictor.predict(X), expected(trained), atol=1e-6)
    np.testing.assert_allclose(predictor.predict(X[0].tolist()), expected(trained)[0], atol=1e-6)
    with pytest.raises(InputError, match=r"takes input: float32\[batch, 4\], and got"):
        predictor.predict(np.ones((2, 5), np.float32))
    predictor.warm_up()


def test_programs_have_the_precision_they_were_made_with(
    tmp_path: Path, load: Load, trained: torch.nn.Module, artifact_of: Any
) -> None:
    script(trained, tmp_path / "m.pt")
    artifact = artifact_of(tmp_path, {"m.pt": "torchscript"})
    with pytest.raises(OptionError, match="computes with what it was made for"):
        load(artifact, options=LoadOptions(precision="bf16"))


@pytest.mark.parametrize("kind", ["torchscript", "torch-export"])
def test_a_damaged_program_is_a_format_error(
    tmp_path: Path, load: Load, trained: torch.nn.Module, kind: str, artifact_of: Any
) -> None:
    path = tmp_path / "m.pt"
    if kind == "torchscript":
        script(trained, path)
    else:
        torch.export.save(torch.export.export(trained, (torch.ones(3, 4),)), path)
    content = path.read_bytes()
    artifact = artifact_of(tmp_path, {"m.pt": kind})
    for broken in (content[: len(content) // 2], content[:200], b"PK\3\4" + bytes(100)):
        path.write_bytes(broken)
        with pytest.raises(FormatError):
            load(artifact)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m/data.pkl", b"\x80\x02}.")
        archive.writestr("m/constants.pkl", b"\x80\x02).")
        archive.writestr("m/archive_format", b"pt2")
    with pytest.raises(FormatError):
        load(artifact)


def test_a_program_that_inflates_to_too_much_is_refused_unread(
    tmp_path: Path, load: Load, artifact_of: Any
) -> None:
    with zipfile.ZipFile(tmp_path / "m.pt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/code/a.py", bytes(65 << 20))
    with pytest.raises(FormatError, match="compressed members"):
        load(artifact_of(tmp_path, {"m.pt": "torchscript"}))
