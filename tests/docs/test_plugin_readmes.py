"""What the pages of the plugins show can be typed, and that of three of them is run."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from torchinf_core.cli.app import build

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "docs"))
try:
    import blocks
    from world import SHOWN_DIGEST, World
finally:
    sys.path.pop(0)

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in ROOT.glob("plugins/*/README.md")
    if path.parent.name != "torchinf_serve"  # whose commands are run by its own tests
)
RUN = ["onnx", "torchvision", "url"]
"""The others need hubs with many repositories, or a GPU; their own tests do what they show."""
NOT_RUN = {
    "pip install 'torchinf[onnx]'": "installs",
    "pip install 'torchinf[torchvision]'": "installs",
    "pip install 'torchinf[torchvision,torch]' torchvision": "installs",
    "pip install 'torchinf[url]'": "installs",
    "torchinf download torchvision:resnet50@IMAGENET1K_V1": "100 MB that prove no more",
    "torchinf download torchvision:resnet50@ResNet50_Weights.IMAGENET1K_V2": "the same",
    "torchinf run https://host/own.pth photo.jpg --arch torchvision:mobilenet_v2": "the same",
}


def steps(page: str) -> list[blocks.Step]:
    return blocks.steps(page, (ROOT / page).read_text())


@pytest.mark.parametrize("page", PAGES)
def test_each_command_of_a_plugin_is_one(page: str) -> None:
    app = build()
    for step in steps(page):
        code = re.sub(r"\\\n *", "", step.code)
        for line in code.splitlines() if step.language != "python" else ():
            if not line.startswith("torchinf "):
                continue
            words = shlex.split(line, comments=True)[1:]
            with click.Context(app, info_name="torchinf") as top:
                found = app.get_command(top, words[0])
                assert found is not None, f"{step}: {line}"
                if not isinstance(found, click.Group):
                    found.make_context(words[0], words[1:], parent=top).close()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    for package in ("torch", "torchvision", "transformers", "PIL", "onnxruntime"):
        pytest.importorskip(package)
    with World() as world:
        yield world


def reader_at(world: World, home: Path) -> blocks.Reader:
    reader = blocks.Reader(world, home)
    weights = (reader.place / "weights.safetensors").read_bytes()
    (reader.place / "model.safetensors").write_bytes(weights)
    reader.names |= {
        "HEX": world.names[SHOWN_DIGEST],
        "file:///srv/models/model.pt": f"file://{reader.place}/model.safetensors",
    }
    return reader


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", RUN)
def test_the_blocks_of_a_plugin_run(name: str, world: World, tmp_path: Path) -> None:
    shared = reader_at(world, tmp_path.resolve() / "home")
    for number, step in enumerate(steps(f"plugins/torchinf_{name}/README.md")):
        if step.code.partition("  #")[0].strip() in NOT_RUN:
            continue
        reader = shared
        if name != "onnx" and step.code.startswith("torchinf download"):
            # One model in many ways, each of which would give it the same name.
            reader = reader_at(world, tmp_path.resolve() / str(number))
        status, printed = reader.run(step)
        assert status == 0, f"{step}: {step.code}\n{printed}"


def test_what_is_not_run_is_on_a_page() -> None:
    lines = {
        step.code.partition("  #")[0].strip()
        for name in RUN
        for step in steps(f"plugins/torchinf_{name}/README.md")
    }
    assert set(NOT_RUN) <= lines
