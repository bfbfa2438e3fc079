"""The third-party plugin of the documentation, installed beside the core and used."""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from torchinf_core.errors import ModelNotFoundError
from torchinf_core.plugins import Plugins, find_entry_points
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub

EXAMPLE = Path(__file__).parents[2] / "examples" / "torchinf_zoo"
HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
SETTINGS = Settings(retries=1)


@pytest.fixture
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the plugin as pip leaves it: the module and its metadata."""
    folder = tmp_path / "site"
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = folder / f"torchinf_zoo-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    [(group, entries)] = project["entry-points"].items()
    lines = "".join(f"{name} = {value}\n" for name, value in entries.items())
    (info / "entry_points.txt").write_text(f"[{group}]\n{lines}")
    (folder / "torchinf_zoo.py").write_text((EXAMPLE / "torchinf_zoo.py").read_text())
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    sys.modules.pop("torchinf_zoo", None)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A Zoo mirror of one model."""
    with Hub() as hub:
        entry = {
            "url": hub.add("/tiny-mlp-1.safetensors", WEIGHTS),
            "size": len(WEIGHTS),
            "sha256": hashlib.sha256(WEIGHTS).hexdigest(),
        }
        index = {"tiny-mlp": {"latest": "1", "tags": {"1": entry}}}
        url = hub.add("/index.json", json.dumps(index).encode())
        monkeypatch.setenv("TORCHINF_ZOO_INDEX", url)
        yield hub


def plugins(folder: Path) -> Plugins:
    return Plugins(find_entry_points([str(folder)]))


@pytest.mark.parametrize("text", ["zoo:tiny-mlp@1", "zoo:tiny-mlp"])
def test_the_example_resolves_a_tag_and_the_latest_one(zoo: Path, hub: Hub, text: str) -> None:
    plan = plugins(zoo).resolve(parse_ref(text), {}, SETTINGS)
    assert plan.revision == "1"
    assert plan.size == len(WEIGHTS)
    assert plan.files[0].url == hub.url("/tiny-mlp-1.safetensors")
    assert hub.bytes_sent("/tiny-mlp-1.safetensors") == 0


@pytest.mark.parametrize("text", ["zoo:nope", "zoo:tiny-mlp@2"])
@pytest.mark.usefixtures("hub")
def test_what_the_example_has_not_is_not_found(zoo: Path, text: str) -> None:
    with pytest.raises(ModelNotFoundError, match=f"the Zoo has no {text}"):
        plugins(zoo).resolve(parse_ref(text), {}, SETTINGS)


def test_the_example_is_ok_and_its_examples_are_its_own() -> None:
    [info] = runpy.run_path(str(EXAMPLE / "torchinf_zoo.py"))["sources"]()
    for example in info.examples:
        assert parse_ref(example).scheme in info.schemes


def test_a_model_of_the_example_is_downloaded_by_the_command(
    zoo: Path, hub: Hub, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(zoo), "TORCHINF_CACHE_DIR": str(tmp_path / "c")}

    def torchinf(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "torchinf_core", *words],
            env=environment, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    torchinf("download", "zoo:tiny-mlp", "--quiet")
    path = Path(torchinf("path", "tiny-mlp").strip())
    assert path.read_bytes() == WEIGHTS
    assert "zoo" in torchinf("plugins")
