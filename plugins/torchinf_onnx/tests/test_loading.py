"""From files to a session: options, providers, errors, and nothing printed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import torchinf_onnx
from torchinf_core.errors import DeviceError, FormatError, LoadError, UsageError
from torchinf_core.host import Host
from torchinf_core.runtimes import Claim, LoadOptions
from torchinf_core.settings import Settings

SECRET = np.full((4, 2), 7, np.float32).tobytes()


def test_external_data_of_the_models_own_is_read(make, load, linear):
    weights = np.arange(8, dtype=np.float32).tobytes()
    artifact = make(linear(location="w.data", offset=0, length=32), w__data=weights)
    with load(artifact) as predictor:
        assert predictor.predict(np.ones((1, 4), np.float32)).tolist() == [[12, 16]]


HOSTILE: dict[str, dict[str, Any]] = {
    "a parent directory": {"location": "../secret"},
    "a parent directory, hidden": {"location": "a/../../secret"},
    "an absolute path": {"location": "{outside}"},
    "memory of the process": {"location": "*/_ORT_MEM_ADDR_/*", "offset": 4096, "length": 32},
    "a missing file": {"location": "missing"},
    "a file that is no part of the model": {"location": "foreign"},
    "more than the file has": {"location": "own", "offset": 16, "length": 32},
    "more than any file has": {"location": "own", "length": 1 << 62},
    "a negative place": {"location": "own", "offset": -32, "length": 32},
    "a symbolic link": {"location": "link"},
    "a hard link": {"location": "hard"},
    "a file behind a linked directory": {"location": "folder/secret"},
    "a directory": {"location": "plain"},
}


@pytest.mark.parametrize("what", HOSTILE)
def test_data_outside_the_models_files_is_refused_before_there_is_a_session(
    what, tmp_path, host, monkeypatch, linear, artifact_of
):
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret").write_bytes(SECRET)
    (tmp_path / "secret").write_bytes(SECRET)
    entries = {
        key: str(value).format(outside=outside / "secret") for key, value in HOSTILE[what].items()
    }
    (inside / "m.onnx").write_bytes(linear(**entries).SerializeToString())
    (inside / "own").write_bytes(SECRET)
    (inside / "plain").mkdir()
    (inside / "link").symlink_to(outside / "secret")
    (inside / "hard").hardlink_to(outside / "secret")
    (inside / "folder").symlink_to(outside)
    artifact = artifact_of(inside)
    # The record says that they are the model's: what is on the disk counts.
    files = [*artifact.files]
    listed = {file.path for file in files}
    files += [
        replace(files[0], path=path, size=len(SECRET), format=None)
        for path in ("link", "hard", "folder/secret", "plain", "missing")
        if path not in listed
    ]
    (inside / "foreign").write_bytes(SECRET)
    artifact = replace(artifact, record=replace(artifact.record, files=tuple(files)))
    made = []
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda *a, **_: made.append(a))
    with pytest.raises(FormatError) as refused:
        torchinf_onnx.load(artifact, Claim(100, "cpu", "test"), LoadOptions(), host)
    assert not made
    assert "m.onnx" in str(refused.value) or entries["location"] in str(refused.value)


def test_sparse_weights_outside_are_refused_too(make, load, monkeypatch, linear):
    model = linear()
    sparse = model.graph.sparse_initializer.add()
    sparse.values.name = "s"
    sparse.values.data_location = TensorProto.EXTERNAL
    sparse.values.external_data.add(key="location", value="../secret")
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    with pytest.raises(FormatError, match="reads another file than its own"):
        load(make(model))


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x09\x3a\x02\x12\x00" * 3])
def test_what_is_no_graph_is_said_to_be_none(make, load, content, capfd, tmp_path):
    with pytest.raises(LoadError, match=r"m\.onnx") as error:
        load(make(content))
    assert str(tmp_path) not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_a_graph_with_an_unknown_operator_is_refused_without_a_word_on_the_terminal(
    make, load, capfd, tmp_path, graph
):
    nodes = [helper.make_node("Frobnicate", ["x"], ["y"])]
    with pytest.raises(LoadError, match="Frobnicate") as error:
        load(make(graph(nodes, {"x": [1]}, {"y": [1]})))
    assert str(tmp_path) not in str(error.value)
    assert capfd.readouterr() == ("", "")


def test_an_input_that_is_no_array_is_named(make, load, graph):
    sequence = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, None)
    nodes = [helper.make_node("ConcatFromSequence", ["s"], ["y"], axis=0)]
    model = graph(nodes, {}, {"y": None})
    model.graph.input.append(sequence)
    with pytest.raises(LoadError, match="'s' of 'm' is seq"):
        load(make(model))


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
def test_a_provider_that_did_not_load_is_an_error_and_no_silent_run_on_the_processor(
    make, host, device, capfd, linear
):
    """This machine's onnxruntime has no CUDA: just what a broken installation looks like."""
    claim = Claim(300, device, "test")
    with pytest.raises(DeviceError, match=f"no CUDAExecutionProvider that works on {device}"):
        torchinf_onnx.load(make(linear()), claim, LoadOptions(), host)
    assert capfd.readouterr() == ("", "")


def test_the_providers_of_the_session_count_and_not_those_that_could_be(
    make, host, monkeypatch, linear
):
    class Lying(onnxruntime.InferenceSession):
        def __init__(self, path, options, *, providers, **more):
            super().__init__(path, options, providers=providers[-1:], **more)

    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Lying)
    with pytest.raises(DeviceError, match="it loaded CPUExecutionProvider"):
        torchinf_onnx.load(make(linear()), Claim(300, "cuda:0", "test"), LoadOptions(), host)


def test_threads_and_session_options_arrive(make, load, linear):
    session = load(make(linear()), threads=3).session
    assert session.get_session_options().intra_op_num_threads == 3
    assert session.get_providers() == ["CPUExecutionProvider"]


def test_prepacking_and_other_options_are_settings(make, tmp_path, linear):
    artifact = make(linear())
    own = {"prepacking": "no", "session": {"session.intra_op.allow_spinning": "0"}}
    with Host(Settings(plugins={"onnx": own}), "onnx") as host:
        predictor = torchinf_onnx.load(artifact, Claim(100, "cpu", "x"), LoadOptions(), host)
        options = predictor.session.get_session_options()
        assert options.get_session_config_entry("session.disable_prepacking") == "1"
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    for wrong in ({"prepacking": "perhaps"}, {"session": "fast"}):
        with Host(Settings(plugins={"onnx": wrong}), "onnx") as host:
            with pytest.raises(UsageError, match=next(iter(wrong))):
                torchinf_onnx.load(artifact, Claim(100, "cpu", "x"), LoadOptions(), host)


def test_another_precision_than_the_graphs_is_refused(make, load, linear):
    artifact = make(linear())
    assert load(artifact, precision="fp32").precision == "fp32"
    with pytest.raises(LoadError, match="bf16 was asked for"):
        load(artifact, precision="bf16")


def test_loading_and_predicting_import_no_torch(make, tmp_path, linear):
    make(linear(outputs=3))
    script = """
import sys, pathlib, torchinf_onnx
from torchinf_core.host import Host
from torchinf_core.runtimes import Artifact, LoadOptions
from torchinf_core.settings import Settings
from torchinf_core.types import Record, StoredFile
path = pathlib.Path(sys.argv[1]) / "m.onnx"
files = (StoredFile("m.onnx", path.stat().st_size, "0" * 64, "onnx"),)
values = dict.fromkeys(Record.__dataclass_fields__)
artifact = Artifact(Record(**values | {"name": "m", "files": files, "format": "onnx"}), path.parent)
with Host(Settings(), "onnx") as host:
    predictor = torchinf_onnx.load(
        artifact, torchinf_onnx.claim(artifact, "auto"), LoadOptions(), host)
print(predictor.predict([1, 2, 3, 4]).shape, predictor.predict_batch([[1, 2, 3, 4]])[0].shape)
print(sorted({"torch", "onnx", "transformers"} & set(sys.modules)))
"""
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "model")]
    done = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert (done.stdout, done.stderr) == ("(3,) (3,)\n[]\n", "")


def test_the_plugin_is_found_by_its_entry_point():
    from importlib.metadata import entry_points

    found = [entry for entry in entry_points(group="torchinf.v1") if entry.name == "onnx"]
    assert [entry.load() for entry in found] == [torchinf_onnx]
    assert Path(torchinf_onnx.__file__).parent.name == "torchinf_onnx"
