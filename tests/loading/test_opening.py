"""Nothing is loaded whose files differ, or whose code nobody trusted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from torchinf_core import IntegrityError, ModelManager, Trust, UntrustedError

if TYPE_CHECKING:
    from conftest import Box


def rot(path: Path) -> None:
    """Flip one bit and leave the size, the time and the inode as they were."""
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[1] ^= 1
    path.chmod(0o600)
    with path.open("r+b") as file:
        file.write(content)
    path.chmod(0o444)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_code_is_loaded_only_when_somebody_trusted_it(toys: Box) -> None:
    toys.add("danger", trust=Trust.CODE)
    manager = ModelManager(toys.downloader)
    with pytest.raises(UntrustedError, match="nobody has trusted yet") as caught:
        manager.load_model("danger")
    assert "torchinf trust danger" in caught.value.hint
    assert toys.module.LOADS == []
    toys.downloader.trust("danger")
    manager.load_model("danger")
    assert toys.module.LOADS == ["danger"]


def test_the_settings_of_a_source_can_trust_code(
    toys: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.add("danger", trust=Trust.CODE)
    config = tmp_path / "config.toml"
    config.write_text('[plugins.toys]\ntrusted = ["danger"]\n')
    monkeypatch.setenv("TORCHINF_CONFIG", str(config))
    ModelManager(toys.again()).load_model("danger")


def test_a_pickle_needs_no_decision(toys: Box) -> None:
    toys.add("pickled", trust=Trust.PICKLE)
    ModelManager(toys.downloader).load_model("pickled")


def test_a_file_that_was_replaced_is_not_loaded(toys: Box) -> None:
    record = toys.add("toy")
    path = toys.shelf.store.model_dir(record) / "toy.json"
    path.unlink()
    path.write_text("[9, 9, 9, 9]")
    with pytest.raises(IntegrityError, match="damaged") as caught:
        ModelManager(toys.downloader).load_model("toy")
    assert "repairs it" in caught.value.hint
    assert toys.module.LOADS == []


def test_a_rotten_bit_is_noticed_at_the_first_load_after_a_start(toys: Box) -> None:
    record = toys.add("toy")
    rot(toys.shelf.store.model_dir(record) / "toy.json")
    with pytest.raises(IntegrityError, match="damaged"):
        ModelManager(toys.downloader).load_model("toy")


def test_what_was_hashed_since_the_start_is_not_hashed_again_unless_asked(toys: Box) -> None:
    record = toys.add("toy")
    ModelManager(toys.downloader).load_model("toy")
    rot(toys.shelf.store.model_dir(record) / "toy.json")
    ModelManager(toys.downloader).load_model("toy")
    with pytest.raises(IntegrityError):
        ModelManager(toys.downloader).load_model("toy", check="always")


def test_hashing_can_be_left_out(toys: Box) -> None:
    record = toys.add("toy", weights=(1, 1, 1, 1))
    rot(toys.shelf.store.model_dir(record) / "toy.json")
    predictor = ModelManager(toys.downloader).load_model("toy", check="never")
    assert predictor.predict(np.ones((1, 4), np.float32)).tolist() != [4.0]
