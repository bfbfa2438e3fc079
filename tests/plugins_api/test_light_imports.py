"""The plugin system loads nothing heavy, and no plugin before one is needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Site

HEAVY = {
    "torch", "torchvision", "numpy", "pydantic", "httpx", "rich", "typer", "click", "asyncio",
    "huggingface_hub", "transformers", "onnxruntime", "importlib.metadata", "multiprocessing",
    "concurrent.futures", "tomllib", "ssl",
}  # fmt: skip

STEPS = {
    "importing the package": "import torchinf_core",
    "importing the plugin system": "import torchinf_core.plugins",
    "importing hooks and types": "from torchinf_core import hookimpl, Plan, SourceInfo, Host",
    "discovering": "load_plugins(settings)",
    "asking for warnings": "load_plugins(settings).warnings",
    "loading plugins": "load_plugins(settings).states()",
    "asking for an owner": "load_plugins(settings).owner('zoo')",
    "resolving": "load_plugins(settings).resolve(parse_ref('zoo:x'), {}, settings)",
    "a failing hook": """
try:
    load_plugins(settings).resolve(parse_ref('zoo:fail'), {}, settings)
except TorchinfError:
    pass""",
}
PRELUDE = """
from torchinf_core.errors import TorchinfError
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
settings = Settings()
"""


def modules_after(site: Site, code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    env = {"PYTHONPATH": str(site.folder), "HOME": str(site.folder), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env=env, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("step", STEPS)
def test_nothing_heavy_is_loaded_by(site: Site, step: str) -> None:
    site.source("zoo", resolve="return Plan(ref, {'x': 'n'}[ref.locator], ())")
    code = STEPS[step] if step.startswith("importing") else PRELUDE + STEPS[step]
    assert modules_after(site, code) & HEAVY == set()


def test_metadata_alone_imports_no_plugin(site: Site) -> None:
    module = site.source("zoo")
    assert module not in modules_after(site, PRELUDE + "load_plugins(settings).warnings")
    assert module in modules_after(site, PRELUDE + "load_plugins(settings).sources()")


@pytest.mark.parametrize(
    "words", ["--version", "list", "list --json", "info nothing", "path nothing", "cache", "config"]
)
def test_commands_about_what_is_stored_import_no_plugin(
    site: Site, tmp_path: Path, words: str
) -> None:
    site.install("noisy", "print('imported', __name__)\n@hookimpl\ndef commands(app): pass\n")
    environment = {
        **os.environ,
        "PYTHONPATH": str(site.folder),
        "TORCHINF_CACHE_DIR": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-m", "torchinf_core", *words.split()],
        capture_output=True, text=True, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == (3 if "nothing" in words else 0), done.stderr
    assert "imported" not in done.stdout + done.stderr
