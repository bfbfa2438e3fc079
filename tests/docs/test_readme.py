"""What the README says beside its blocks is so; those are run by test_blocks.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from torchinf_core import errors
from torchinf_core.settings import load_settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs/guide/predicting.md").read_text()


def test_the_settings_of_the_guide_are_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [text] = re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)
    (tmp_path / "config.toml").write_text(text)
    monkeypatch.setenv("TORCHINF_CONFIG", str(tmp_path / "config.toml"))
    settings = load_settings()
    assert settings.run_for("resnet18").precision == "bf16"
    assert settings.run_for("other").threads == 4


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    stated = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.TorchinfError)}
    assert stated == raised | {0}


def test_the_gate_runs_the_test_command_of_the_readme() -> None:
    [command] = [line for line in README.splitlines() if line.endswith("nox -s tests")]
    assert command in (ROOT / ".ci/run").read_text().splitlines()
