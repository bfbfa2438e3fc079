"""The matrix tries what the documents name, and knows what each combination has to bring."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from torchinf_core.testing import Hub

from .conftest import ROOT, script

MATRIX = script("matrix")
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def test_every_extra_is_tried_alone_and_all_of_them_at_the_end() -> None:
    tried = MATRIX.combinations()
    assert tried[0] == "torchinf"
    assert tried[-1] == "torchinf[all]"
    assert {f"torchinf[{extra}]" for extra in EXTRAS} <= set(tried)
    assert len(tried) == len(set(tried))


def test_combinations_that_a_page_names_are_tried() -> None:
    assert {"torchinf[torchvision,onnx]", "torchinf[hf,torch]"} <= set(MATRIX.combinations())


@pytest.mark.parametrize(
    ("combination", "expected"),
    [
        ("torchinf", set()),
        ("torchinf[testing]", set()),
        ("torchinf[url]", {"url"}),
        ("torchinf[cuda]", {"cuda", "torch"}),
        ("torchinf[torchvision,onnx]", {"torchvision", "onnx"}),
        ("torchinf[all]", EXTRAS.keys() - {"all", "testing"}),
    ],
)
def test_a_combination_brings_its_plugins_and_those_they_stand_on(
    combination: str, expected: set[str]
) -> None:
    assert MATRIX.plugins(combination) == expected


def test_every_plugin_that_needs_no_gpu_is_used() -> None:
    tried = {*MATRIX.SOURCES, *MATRIX.RUNTIMES, *MATRIX.OTHERS}
    assert MATRIX.plugins("torchinf[all]") - tried == {"cuda", "tensorrt"}


def place(folder: Path, hub: Hub, *, says: str) -> object:
    """An environment whose torchinf says the same to everything."""
    program = folder / "bin/torchinf"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nprint({says!r})\n")
    program.chmod(0o755)
    return MATRIX.Place(program.parent, hub, folder, {})


def test_a_program_that_does_not_do_what_it_should_is_told(tmp_path: Path) -> None:
    with Hub() as hub:
        strange = place(tmp_path, hub, says="[]")
        with pytest.raises(MATRIX.NotAsExpectedError, match="in place of"):
            MATRIX.start_up(strange)
        with pytest.raises(MATRIX.NotAsExpectedError, match="in place of"):
            list(MATRIX.use(strange, {"url"}, ""))
        with pytest.raises(MATRIX.NotAsExpectedError, match="exit 0"):
            list(MATRIX.use(strange, set(), ""))


def test_a_distribution_of_ours_never_comes_from_an_index(wheels: Path) -> None:
    mine = MATRIX.ours(wheels)
    assert mine.keys() == {"torchinf", *(f"torchinf-{name}" for name in MATRIX.plugins("x[all]"))}
    for name, requirement in mine.items():
        assert requirement.startswith(f"{name} @ file:///")
