"""The catalogue is what the installed torchvision says, and costs no import of it."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from torchinf_torchvision.catalogue import PATH, load


def installed() -> str:
    try:
        return version("torchvision").partition("+")[0]
    except PackageNotFoundError:
        return "none"


@pytest.mark.slow
@pytest.mark.skipif(
    installed() != load()["torchvision"],
    reason=f"the catalogue is of torchvision {load()['torchvision']}, installed is {installed()}",
)
def test_the_catalogue_is_what_the_installed_torchvision_says(tmp_path: Path) -> None:
    fresh = tmp_path / "catalogue.json"

    command = [sys.executable, "-m", "torchinf_torchvision.catalogue", str(fresh)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "121 models, 166 weights" in done.stdout
    assert fresh.read_bytes() == PATH.read_bytes()


def test_the_catalogue_stays_small() -> None:
    assert PATH.stat().st_size < 300_000


def test_resolving_and_searching_import_no_framework_and_no_client(tmp_path: Path) -> None:
    code = f"""
import sys
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import load_settings
settings = load_settings({{}}, cache_dir={str(tmp_path)!r})
plugins = load_plugins(settings)
plan = plugins.resolve(parse_ref("torchvision:resnet18"), {{}}, settings)
hits = plugins.search("torchvision", "resnet", 50, settings)
assert plan.files and hits
heavy = ("torch", "torchvision", "numpy", "pydantic", "httpx", "rich", "typer")
print([name for name in heavy if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
