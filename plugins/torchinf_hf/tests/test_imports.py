"""What is imported, in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace

FRAMEWORKS = "{'torch', 'torchvision', 'transformers', 'numpy', 'tensorflow', 'onnxruntime'}"


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_plugin_imports_neither_the_client_nor_any_framework() -> None:
    run(
        "import sys, torchinf_hf\n"
        "from torchinf_hf import choosing, listing, locators, facts\n"
        "list(torchinf_hf.sources())\n"
        f"bad = ({FRAMEWORKS} | {{'huggingface_hub', 'httpx', 'ssl'}}) & sys.modules.keys()\n"
        "assert not bad, bad\n"
    )


@pytest.mark.parametrize(
    "command",
    [
        "download hf:org/custom --dry-run",
        "download hf:org/custom",
        "search hf custom",
        "info custom",
        "list",
        "verify custom",
    ],
)
def test_no_command_imports_a_framework_or_code_of_the_repository(
    command: str, hub: Hub, hf: HuggingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')\n".encode()
    hf.add_repo(
        "org/custom",
        {"config.json": b"{}", "modeling_x.py": code, "sitecustomize.py": code},
        card={"tags": ["custom_code"]},
    )
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    hf.add_token("hf_x")
    known = (
        ""
        if command.startswith(("download", "search"))
        else "main(['download', 'hf:org/custom'])\n"
    )
    run(
        "import sys\n"
        "from torchinf_core.__main__ import main as run\n"
        "def main(words):\n"
        "    sys.argv = ['torchinf', *words]\n"
        "    try: status = run()\n"
        "    except SystemExit as done: status = done.code\n"
        "    assert not status, status\n"
        f"{known}main({command.split()!r})\n"
        f"bad = ({FRAMEWORKS} | {{'modeling_x', 'sitecustomize_x'}}) & sys.modules.keys()\n"
        "assert not bad, bad\n"
    )
    assert not marker.exists()


def test_resolving_imports_the_client_library_for_its_tokens_alone(
    hf: HuggingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf.add_repo("org/tiny", {"config.json": b"{}"})
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    run(
        "import sys\n"
        "from torchinf_core.manager import ModelDownloader\n"
        "ModelDownloader().plan('hf:org/tiny')\n"
        "bad = {'huggingface_hub.hf_api', 'hf_xet'} & sys.modules.keys()\n"
        "assert not bad, bad\n"
    )
