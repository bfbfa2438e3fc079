"""Files on this machine."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from torchinf_core.errors import AccessDeniedError, ModelNotFoundError
from torchinf_core.settings import Settings
from torchinf_core.types import Plan
from torchinf_core.verify import check_plan

Resolve = Callable[..., Plan]


def test_a_path_becomes_a_file_url_with_its_size(tmp_path: Path, resolve: Resolve) -> None:
    path = tmp_path / "tiny model.onnx"
    path.write_bytes(b"x" * 77)

    plan = resolve(str(path))

    (file,) = plan.files
    assert (file.path, file.url, file.size) == ("tiny model.onnx", path.as_uri(), 77)
    assert (plan.name, plan.revision) == ("tiny-model", None)


def test_a_file_url_is_the_path_it_names(tmp_path: Path, resolve: Resolve) -> None:
    path = tmp_path / "a%20b.onnx"
    path.write_bytes(b"x")

    assert resolve(path.as_uri()) == resolve(str(path))
    assert resolve(str(path)).files[0].path == "a%20b.onnx"


def test_a_link_is_followed(tmp_path: Path, resolve: Resolve) -> None:
    (tmp_path / "blob").write_bytes(b"x" * 5)
    link = tmp_path / "model.onnx"
    link.symlink_to("blob")

    plan = resolve(str(link))

    assert (plan.files[0].path, plan.size) == ("model.onnx", 5)


def test_offline_mode_reads_local_files(
    tmp_path: Path, resolve: Resolve, settings: Settings
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")

    assert resolve(str(tmp_path / "m.onnx"), replace(settings, offline=True)).size == 1


@pytest.mark.parametrize("name", ["mo\ndel.onnx", "mo\\del.onnx", "模型.onnx", "aux.onnx", " .a"])
def test_any_file_name_makes_an_acceptable_plan(
    tmp_path: Path, resolve: Resolve, settings: Settings, name: str
) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / name).write_bytes(b"x")

    # A control character can't be typed in a reference, but a URL can hold it.
    check_plan(resolve((folder / name).as_uri()), settings)


def test_what_is_not_there_is_not_found(tmp_path: Path, resolve: Resolve) -> None:
    with pytest.raises(ModelNotFoundError, match="no such file"):
        resolve(str(tmp_path / "gone.onnx"))


def test_a_dangling_link_is_not_found(tmp_path: Path, resolve: Resolve) -> None:
    (tmp_path / "m.onnx").symlink_to("gone")

    with pytest.raises(ModelNotFoundError):
        resolve(str(tmp_path / "m.onnx"))


def test_a_directory_is_refused_with_a_way_out(tmp_path: Path, resolve: Resolve) -> None:
    with pytest.raises(ModelNotFoundError, match="is a directory") as caught:
        resolve(str(tmp_path))

    assert "--extract" in caught.value.hint


def test_a_pipe_is_refused_without_opening_it(tmp_path: Path, resolve: Resolve) -> None:
    os.mkfifo(tmp_path / "pipe")

    with pytest.raises(ModelNotFoundError, match="no regular file"):
        resolve(str(tmp_path / "pipe"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_said_so(tmp_path: Path, resolve: Resolve) -> None:
    (tmp_path / "m.onnx").write_bytes(b"x")
    (tmp_path / "m.onnx").chmod(0)

    with pytest.raises(AccessDeniedError):
        resolve(str(tmp_path / "m.onnx"))
