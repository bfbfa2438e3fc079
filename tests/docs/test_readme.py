"""What the README shows works as it stands, with a loopback hub for the world outside."""

from __future__ import annotations

import hashlib
import io
import re
import shlex
from pathlib import Path

import click
import pytest

from torchinf_core import errors
from torchinf_core.cli.app import build
from torchinf_core.settings import load_settings
from torchinf_core.testing import Hub

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs/guide/predicting.md").read_text()
PYTHON = re.findall(r"```python\n(.*?)```", README + GUIDE, re.DOTALL)
COMMANDS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]


def checkpoint() -> bytes:
    """A resnet18 that nobody trained."""
    torch = pytest.importorskip("torch")
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.save(models.resnet18().state_dict(), buffer)
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


@pytest.mark.timeout(300)
def test_the_python_of_the_readme_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image = pytest.importorskip("PIL.Image")
    from torchinf_core import get_model_manager
    from torchinf_torchvision.catalogue import load

    content = checkpoint()
    digest = hashlib.sha256(content).hexdigest()
    weights = load()["models"]["resnet18"]["weights"]["IMAGENET1K_V1"]
    file = f"resnet18-{digest[:8]}.pth"
    monkeypatch.setitem(weights, "url", f"https://download.pytorch.org/models/{file}")
    monkeypatch.chdir(tmp_path)
    image.new("RGB", (64, 64), "orange").save("cat.jpg")
    with Hub() as hub:
        hub.add(f"/models/{file}", content)
        onnx_place = hub.add("/model.pth", content)
        monkeypatch.setenv("TORCHINF_TORCHVISION_MIRROR", hub.url("").rstrip("/"))
        monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
        for code in PYTHON:
            there = code.replace("https://example.com/model.onnx", onnx_place)
            exec(re.sub(r'"[0-9a-f]{64}"', f'"{digest}"', there), {})
    printed = capsys.readouterr().out
    assert "resnet18: torchvision - 46.8 MB" in printed
    assert "<resnet18 on cpu by torch, fp32>" in printed
    get_model_manager().close()
    assert (tmp_path / "models").is_dir()


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


def test_every_link_of_the_readme_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_gate_runs_the_test_command_of_the_readme() -> None:
    [command] = [line for line in README.splitlines() if line.endswith("nox -s tests")]
    assert command in (ROOT / ".ci/run").read_text().splitlines()
