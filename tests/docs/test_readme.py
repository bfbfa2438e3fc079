"""What the README shows works as it stands, with a loopback hub for the world outside."""

from __future__ import annotations

import hashlib
import io
import pickle
import re
import shlex
import zipfile
from pathlib import Path

import click
import pytest

from torchinf_core import errors
from torchinf_core.cli.app import build
from torchinf_core.testing import Hub

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def checkpoint() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("archive/version", b"3\n")
    return buffer.getvalue()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_readme_is_understood(command: str) -> None:
    words = shlex.split(command, comments=True)
    assert words[0] == "torchinf"
    group = build()
    assert isinstance(group, click.Group)
    with group.make_context("torchinf", words[1:]) as context:
        name, found, rest = group.resolve_command(context, words[1:])
        assert found is not None
        found.make_context(name, rest, parent=context)


def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from torchinf_torchvision.catalogue import load

    content = checkpoint()
    digest = hashlib.sha256(content).hexdigest()
    weights = load()["models"]["resnet18"]["weights"]["IMAGENET1K_V1"]
    file = f"resnet18-{digest[:8]}.pth"
    monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
    monkeypatch.chdir(tmp_path)
    with Hub() as hub:
        hub.add(f"/models/{file}", content)
        onnx_place = hub.add("/model.pth", content)
        monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("").rstrip("/"))
        monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
        for code in PYTHON:
            there = code.replace("https://example.com/model.onnx", onnx_place)
            exec(re.sub(r'"[0-9a-f]{64}"', f'"{digest}"', there), {})
    printed = capsys.readouterr().out
    assert "resnet18: torchvision - 0.0 MB" in printed
    assert (tmp_path / "models").is_dir()


def test_the_exit_codes_of_the_readme_are_those_of_the_errors() -> None:
    stated = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    kinds = [value for value in vars(errors).values() if isinstance(value, type)]
    raised = {kind.exit_code for kind in kinds if issubclass(kind, errors.TorchinfError)}
    assert stated == raised | {0}


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_gate_runs_the_test_command_of_the_readme() -> None:
    [command] = [line for line in README.splitlines() if line.endswith("nox -s tests")]
    assert command in (ROOT / ".ci/run").read_text().splitlines()
