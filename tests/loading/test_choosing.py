"""The highest bid wins, and what can't be is told with the reasons."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core import (
    AmbiguousRuntimeError,
    Derived,
    DeviceError,
    LoadError,
    MissingError,
    ModelManager,
    NoRuntimeError,
    PluginContractError,
)
from torchinf_core.hardware import fingerprint
from torchinf_core.store import derived

if TYPE_CHECKING:
    from conftest import Box

RIVAL = """
from torchinf_core import Claim, hookimpl

@hookimpl
def claim(artifact, device):
    return {claim}

@hookimpl
def load(artifact, claim):
    raise RuntimeError("never")
"""


def install_rival(tmp_path: Path, claim: str) -> None:
    info = tmp_path / "site" / "rival-1.0.dist-info"
    info.mkdir()
    module = f"rival_{abs(hash(str(tmp_path)))}"
    (tmp_path / "site" / f"{module}.py").write_text(RIVAL.format(claim=claim))
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\nrival = {module}\n")


def test_a_device_that_is_not_there_is_an_error_and_never_another_device(toys: Box) -> None:
    toys.add("toy")
    with pytest.raises(DeviceError, match="can't run on cuda:1: toys: there is no GPU") as caught:
        ModelManager(toys.downloader).load_model("toy", device="cuda:1")
    assert "--device cpu" in caught.value.hint
    assert toys.module.LOADS == []


def test_a_format_nobody_reads_is_told_with_each_runtimes_reason(toys: Box) -> None:
    toys.add("odd", format="odd")
    with pytest.raises(NoRuntimeError, match=r"\(odd\): toys: it reads toys alone") as caught:
        ModelManager(toys.downloader).load_model("odd")
    assert caught.value.hint == "give it a toy"


def test_without_any_runtime_the_hint_says_how_to_get_one(
    toys: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    toys.add("toy")
    monkeypatch.setenv("TORCHINF_DISABLE", os.environ["TORCHINF_DISABLE"] + ",toys")
    with pytest.raises(NoRuntimeError) as caught:
        ModelManager(toys.again()).load_model("toy")
    assert "pip install 'torchinf[torch]'" in caught.value.hint


def test_a_runtime_that_is_not_installed_is_named(toys: Box) -> None:
    toys.add("toy")
    with pytest.raises(MissingError, match="no runtime 'tpu'") as caught:
        ModelManager(toys.downloader).load_model("toy", runtime="tpu")
    assert "toys" in caught.value.hint


def test_a_tie_asks_which_and_naming_one_ends_it(toys: Box, tmp_path: Path) -> None:
    toys.add("toy")
    install_rival(tmp_path, 'Claim(100, "cpu", "so am I")')
    with pytest.raises(AmbiguousRuntimeError, match="rival and toys") as caught:
        ModelManager(toys.downloader).load_model("toy")
    assert "--runtime rival" in caught.value.hint
    assert ModelManager(toys.downloader).load_model("toy", runtime="toys").runtime == "toys"


@pytest.mark.parametrize(
    "claim", ["1 / 0", "None", 'Claim(100, "cpu", "")', 'Claim(-1, "cpu", "x")', "'best'"]
)
def test_a_broken_rival_costs_nothing(toys: Box, tmp_path: Path, claim: str) -> None:
    toys.add("toy")
    install_rival(tmp_path, claim)
    assert ModelManager(toys.downloader).load_model("toy").runtime == "toys"


def test_a_runtime_that_returns_no_predictor_breaks_its_contract(toys: Box) -> None:
    toys.add("nothing")
    with pytest.raises(PluginContractError, match="NoneType"):
        ModelManager(toys.downloader).load_model("nothing")


def test_a_form_that_can_not_be_loaded_is_no_reason_for_not_having_the_model(
    toys: Box, caplog: pytest.LogCaptureFixture
) -> None:
    record = toys.add("toy")
    broken = Derived(
        *("toys", "packed", "toy", "cpu", "fp32"), {}, {}, fingerprint(), record.generation
    )
    layout = toys.shelf.store.layout
    with toys.shelf.store.staging() as stage:
        derived.publish(layout, "toy", broken, str(stage))
    predictor = ModelManager(toys.downloader).load_model("toy")
    assert predictor.artifact.derived is None
    assert toys.module.LOADS == ["toy", "toy"]
    assert "its form 'packed' can't be loaded" in caplog.text


def test_a_runtime_that_fails_while_loading_is_named(toys: Box, tmp_path: Path) -> None:
    toys.add("toy")
    install_rival(tmp_path, 'Claim(500, "cpu", "better")')
    with pytest.raises(Exception, match="rival") as caught:
        ModelManager(toys.downloader).load_model("toy")
    assert not isinstance(caught.value, LoadError | RuntimeError)
