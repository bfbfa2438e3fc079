"""``torchinf tensorrt build`` as it is typed."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from torchinf_core.cli.run import run
from torchinf_tensorrt import targets

pytestmark = pytest.mark.skipif(
    find_spec("tensorrt_rtx") is None, reason="tensorrt_rtx is not installed"
)


@pytest.fixture
def torchinf(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))

    def torchinf(*words: object) -> tuple[int, str, str]:
        status = run([str(word) for word in words])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return torchinf


@pytest.fixture
def graph(make, convolution):
    return make(convolution(location="w", length="864"), w=bytes(864)).directory / "m.onnx"


def test_an_engine_is_built_from_a_file_and_from_a_stored_model(torchinf, graph, tmp_path):
    output = tmp_path / "out.engine"
    status, out, err = torchinf("tensorrt", "build", graph, "--target", "sm89", "-o", output)
    assert (status, err) == (0, "")
    assert out == f"{output}  {output.stat().st_size:,} bytes for sm89\n"
    alone = tmp_path / "alone.onnx"
    import onnx

    onnx.save(onnx.load(graph), alone)
    assert torchinf("download", alone, "--name", "conv")[0] == 0
    output.unlink()
    words = ("conv", "--target", "8.9", "-o", output, "--max-batch", 2, "--precision", "fp16")
    assert torchinf("tensorrt", "build", *words)[0] == 0
    assert output.read_bytes()[:4] == b"vtrt"


def test_a_file_that_reads_others_is_refused(torchinf, make, convolution, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(864))
    path = make(convolution(location="../secret")).directory / "m.onnx"
    output = tmp_path / "out.engine"
    status, _, err = torchinf("tensorrt", "build", path, "--target", "sm89", "-o", output)
    assert status == 8
    assert "reads another file than its own" in err
    assert not output.exists()


def test_without_a_gpu_the_target_must_be_named(torchinf, graph, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "count_gpus", lambda: 0)
    status, _, err = torchinf("tensorrt", "build", graph, "-o", tmp_path / "x")
    assert status == 8
    assert "--target sm89" in err


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("nothing", "--target", "sm89"), 3),
        (("{graph}", "--target", "ada"), 2),
        (("{graph}", "--target", "sm89", "--shape", "x"), 2),
        (("{graph}", "--target", "sm89", "--precision", "int4"), 2),
        (("absent.onnx", "--target", "sm89"), 2),
        (("{graph}", "--target", "sm13"), 8),
    ],
)
def test_what_is_wrong_has_its_status(torchinf, graph, tmp_path, words, status):
    words = [word.format(graph=graph) for word in words]
    assert torchinf("tensorrt", "build", *words, "-o", tmp_path / "x")[0] == status
    assert not (tmp_path / "x").exists()


def test_targets_are_listed(torchinf):
    status, out, _ = torchinf("tensorrt", "targets")
    assert status == 0
    assert "sm89" in out.split()
