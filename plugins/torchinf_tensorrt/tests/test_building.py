"""Engines that are really built, by TensorRT for RTX and without a GPU."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.errors import FormatError, LoadError, StoreError, UsageError
from torchinf_tensorrt import building, targets
from torchinf_tensorrt.building import Order, build_engine, write
from torchinf_tensorrt.shapes import Shapes

pytestmark = pytest.mark.skipif(
    find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed"
)


@pytest.fixture
def order(make: Any, convolution: Any) -> Order:
    artifact = make(convolution())
    return Order(artifact.directory, "m.onnx", artifact.files, target="sm89")


def test_an_engine_is_built_for_a_gpu_that_is_not_here(order, capfd):
    engine = build_engine(order)
    assert engine[:4] == b"vtrt"
    assert len(engine) > 10_000
    assert capfd.readouterr() == ("", "")


def test_an_engine_of_another_target_is_another(order):
    assert build_engine(order) != build_engine(replace(order, target="sm120"))


def test_a_graph_of_fixed_shapes_needs_no_profile(make, convolution):
    artifact = make(convolution((2, 3, 16, 16)))
    assert build_engine(Order(artifact.directory, "m.onnx", artifact.files, target="sm86"))


def test_half_precision_is_built_from_a_graph_that_is_made_so(order, monkeypatch):
    parsed = []
    real = building._parse

    def parse(trt: Any, network: Any, log: Any, graph: Path) -> None:
        real(trt, network, log, graph)
        kinds = {network.get_layer(i).get_output(0).dtype.name for i in range(network.num_layers)}
        parsed.append((kinds, network.get_input(0).dtype.name, network.get_output(0).dtype.name))

    monkeypatch.setattr(building, "_parse", parse)
    build_engine(replace(order, precision="fp16"))
    kinds, taken, given = parsed[0]
    assert (taken, given) == ("FLOAT", "FLOAT")
    assert "HALF" in kinds


def test_a_precision_that_the_builder_does_not_have_is_refused(order):
    with pytest.raises(LoadError, match="not in bf16"):
        build_engine(replace(order, precision="bf16"))


def test_a_node_that_tensorrt_does_not_know_is_named(tmp_path, capfd):
    surfaces = find_spec("surfaces_onnx_files")
    if surfaces is None or surfaces.origin is None:
        pytest.skip("surfaces_onnx_files is not installed")
    name = "gradient_boosting_regressor.onnx"
    content = (Path(surfaces.origin).parent / name).read_bytes()
    (tmp_path / name).write_bytes(content)
    from torchinf_core.types import StoredFile

    order = Order(tmp_path, name, (StoredFile(name, len(content), ""),), target="sm89")
    with pytest.raises(FormatError, match=r"gradient_.*Scaler 'Scaler': .*Plugin not found"):
        build_engine(order)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("content", [b"", b"no graph", b"\x08\x09\x3a\x02\x12\x00"])
def test_what_is_no_graph_is_said_to_be_none(make, content, capfd):
    artifact = make(m__onnx=content)
    with pytest.raises(FormatError, match=r"m\.onnx is no graph"):
        build_engine(Order(artifact.directory, "m.onnx", artifact.files, target="sm89"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "location", ["../secret", "/etc/hostname", "*/_ORT_MEM_ADDR_/*", "missing", "link", "own"]
)
def test_data_outside_the_models_files_is_refused_before_anything_is_parsed(
    make, convolution, location, tmp_path, monkeypatch
):
    length = "1000000" if location == "own" else "864"
    artifact = make(convolution(location=location, length=length), own=bytes(864), link=bytes(864))
    (tmp_path / "secret").write_bytes(bytes(864))
    (artifact.directory / "link").unlink()
    (artifact.directory / "link").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(building, "load_module", lambda *_a, **_k: pytest.fail("it was parsed"))
    with pytest.raises(FormatError):
        build_engine(Order(artifact.directory, "m.onnx", artifact.files, target="sm89"))


def test_external_data_of_the_models_own_is_read(make, convolution):
    artifact = make(convolution(location="own", length="864"), own=bytes(range(216)) * 4)
    assert build_engine(Order(artifact.directory, "m.onnx", artifact.files, target="sm89"))


def test_a_target_that_can_not_be_named_is_refused(order):
    with pytest.raises(LoadError, match="does not build for sm13"):
        build_engine(replace(order, target="sm13"))


@pytest.mark.parametrize("text", ["sm89", "SM_89", "8.9", "89", " sm-89 "])
def test_a_target_is_written_in_several_ways(text):
    assert targets.parse_target(text) == "sm89"


@pytest.mark.parametrize("text", ["", "ada", "sm", "sm8", "sm8999", "8,9"])
def test_what_is_no_target_is_refused(text):
    with pytest.raises(UsageError, match="no compute capability"):
        targets.parse_target(text)


def test_an_axis_beside_the_batch_needs_a_range(make, convolution):
    artifact = make(convolution(("batch", 3, "h", "w")))
    order = Order(artifact.directory, "m.onnx", artifact.files, target="sm89")
    with pytest.raises(LoadError, match="'x' has an axis of any length") as error:
        build_engine(order)
    assert "--shape x=" in error.value.hint
    ranges = {"x": ((1, 3, 8, 8), (2, 3, 16, 16), (4, 3, 32, 32))}
    assert build_engine(replace(order, shapes=Shapes(ranges=ranges)))
    wrong = {"x": ((1, 4, 8, 8), (2, 4, 16, 16), (4, 4, 32, 32))}
    with pytest.raises(UsageError, match="does not fit the input 'x'"):
        build_engine(replace(order, shapes=Shapes(ranges=wrong)))
    with pytest.raises(UsageError, match="there is no input 'z'"):
        build_engine(replace(order, shapes=Shapes(ranges={"z": ranges["x"]})))


def test_a_timing_cache_is_kept_and_used_again_and_a_damaged_one_is_no_error(order, tmp_path):
    cache = tmp_path / "cache"
    build_engine(replace(order, timing_cache=cache))
    first = cache.read_bytes()
    assert first
    build_engine(replace(order, timing_cache=cache))
    cache.write_bytes(b"damaged")
    build_engine(replace(order, timing_cache=cache))
    assert cache.read_bytes() not in (b"", b"damaged")
    assert {path.name for path in tmp_path.iterdir()} == {"model", "cache"}


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    def pieces() -> Any:
        yield b"half"
        raise OSError(28, "No space left on device")

    (tmp_path / "engine").write_bytes(b"old")
    with pytest.raises(StoreError, match="no space left"):
        write(tmp_path / "engine", pieces())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"engine": b"old"}
