"""From a reference to a stored model, and never a line of its code run on the way."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.cli.run import run
from torchinf_core.errors import (
    IntegrityError,
    ModelNotFoundError,
    NameTakenError,
    OfflineError,
    UntrustedError,
    UsageError,
)
from torchinf_core.manager import ModelDownloader, download_model
from torchinf_core.store import Store
from torchinf_core.testing import Hub, faults
from torchinf_core.testing.github import GitHub, Repo
from torchinf_core.testing.pytorch_org import add_checkpoint

Publish = Callable[..., Repo]

CODE = """
import torch
from vision.resnet import resnet50, model_urls
"""
RESNET = """
import torch
model_urls = {"resnet50": "URL"}

def resnet50(pretrained=False, progress=True, **kwargs):
    "ResNet-50."
    return _resnet("resnet50", pretrained)

def resnet18(pretrained=False):
    return _resnet("resnet18", pretrained)

def _resnet(arch, pretrained):
    if pretrained:
        return torch.hub.load_state_dict_from_url(model_urls[arch], progress=False)
"""
WEIGHTS = bytes(range(256)) * 20


def bare_checkpoint() -> bytes:
    """A small file in torch's format; torch itself is not needed to make one."""
    import io
    import pickle
    import zipfile

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in {
            "archive/data.pkl": pickle.dumps({"bias": 1}, protocol=2),
            "archive/version": b"3\n",
            "archive/data/0": WEIGHTS,
        }.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


@pytest.fixture
def vision(hub: Hub, publish: Publish) -> Repo:
    """A repository like pytorch/vision, whose import would leave a mark."""
    url = add_checkpoint(hub, "resnet50", bare_checkpoint())
    files = {
        "hubconf.py": CODE,
        "vision/__init__.py": "",
        "vision/resnet.py": RESNET.replace("URL", url),
        "tests/broken.safetensors": "no header",
        "tests/pointer.pth": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    }
    repo = publish("pytorch/vision", files)
    repo.tag("v0.10.0")
    return repo


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_code_and_weights_arrive_verified(
    hub: Hub, vision: Repo, downloader: ModelDownloader
) -> None:
    path, info = downloader.download("hub:pytorch/vision/resnet50")

    content = files_below(path)
    weights = bare_checkpoint()
    digest = hashlib.sha256(weights).hexdigest()
    assert content[f"weights/resnet50-{digest[:8]}.pth"] == weights
    assert set(content) - {f"weights/resnet50-{digest[:8]}.pth"} == set(
        vision.commits[vision.sha].files
    )
    record = info.record
    assert (record.source, record.format, record.trust.name) == ("hub", "torchhub", "CODE")
    assert (record.revision, record.trusted, record.verified) == (vision.sha, None, "recorded")
    assert record.metadata["entry_points"] == {"resnet50": "ResNet-50."}
    assert sum("zipball" in exchange.path for exchange in hub.requests) == 1
    assert downloader.verify("resnet50") == []


def test_broken_test_files_of_a_repository_are_kept_and_told(
    vision: Repo, downloader: ModelDownloader
) -> None:
    notes = " ".join(downloader.obtain("hub:pytorch/vision/resnet50").notes)
    assert "broken.safetensors" in notes
    assert "pointer.pth" in notes


def test_asking_again_makes_no_connection(
    hub: Hub, vision: Repo, downloader: ModelDownloader
) -> None:
    downloader.download("hub:pytorch/vision/resnet50")
    asked, connections = len(hub.requests), hub.connections
    offline = ModelDownloader(downloader.cache_dir, offline=True)
    assert downloader.obtain("hub:pytorch/vision/resnet50").hit
    assert offline.obtain("hub:pytorch/vision/resnet50").hit
    assert offline.obtain(f"hub:pytorch/vision/resnet50@{vision.sha}").hit
    assert (len(hub.requests), hub.connections) == (asked, connections)
    with pytest.raises(OfflineError):
        offline.download("hub:pytorch/vision:v0.10.0/resnet50", name="other")
    assert hub.connections == connections


def test_the_examples_of_the_feature_document_work(
    vision: Repo, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(downloader.cache_dir))
    path, info = download_model(
        source="pytorch_hub", model_id="pytorch/vision/resnet50", pretrained=True
    )
    assert (path / "hubconf.py").is_file()
    assert info.name == "resnet50"

    path, info = downloader.download_pytorch_hub_model(
        "pytorch/vision:v0.10.0", "resnet50", custom_name="old"
    )
    assert (info.name, info.record.metadata["ref"]) == ("old", "refs/tags/v0.10.0")
    bare = downloader.download_pytorch_hub_model(
        "pytorch/vision", "resnet50", pretrained=False, custom_name="bare", progress=False
    )[1]
    assert bare.record.metadata["arguments"] == {"pretrained": False, "progress": False}
    assert not any(file.path.startswith("weights/") for file in bare.record.files)


def test_a_directory_is_taken_by_its_path(
    tmp_path: Path, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch, hub: Hub
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/hubconf.py").write_text("def net(): 'Mine.'")
    (tmp_path / "mine/data.txt").write_text("1")
    (tmp_path / "mine/broken.pth").write_text("no torch file")
    monkeypatch.chdir(tmp_path)
    offline = ModelDownloader(downloader.cache_dir, offline=True)

    path, info = offline.download("hub:./mine/net")
    again = offline.download_pytorch_hub_model("mine", "net", source="local")[0]

    assert files_below(path) == {
        "broken.pth": b"no torch file",
        "data.txt": b"1",
        "hubconf.py": b"def net(): 'Mine.'",
    }
    assert again == path
    assert info.record.model_id == str(tmp_path / "mine/net")
    (tmp_path / "mine/data.txt").write_text("2")
    path, _ = offline.download("hub:./mine/net", update=True)
    assert files_below(path)["data.txt"] == b"2"
    with pytest.raises(UsageError, match="expected 'github' or 'local'"):
        offline.download_pytorch_hub_model("mine", "net", source="elsewhere")


def test_wrong_weights_are_refused_and_nothing_is_published(
    hub: Hub, vision: Repo, downloader: ModelDownloader
) -> None:
    digest = hashlib.sha256(bare_checkpoint()).hexdigest()[:8]
    hub.add(f"/models/resnet50-{digest}.pth", bare_checkpoint()[:-1] + b"!")
    with pytest.raises(IntegrityError):
        downloader.download("hub:pytorch/vision/resnet50")
    assert downloader.list_available_models() == {}


@pytest.mark.parametrize("part", ["code", "weights"])
def test_a_flipped_byte_is_status_5_and_leaves_nothing_behind(
    part: str, hub: Hub, vision: Repo, downloader: ModelDownloader, capfd: pytest.CaptureFixture
) -> None:
    digest = hashlib.sha256(bare_checkpoint()).hexdigest()[:8]
    weights = f"/models/resnet50-{digest}.pth"
    hub.fail(
        vision.codeload_path(vision.sha) if part == "code" else weights, faults.flip().always()
    )

    store = downloader.cache_dir
    status = run(["download", "hub:pytorch/vision/resnet50", "--cache-dir", str(store)])

    assert status == 5, capfd.readouterr().err
    for folder in ("records", "models", "partial", "tmp"):
        assert files_below(store / folder) == {}
    assert Store(store).fsck(repair=False) == []


def test_an_archive_packed_anew_for_the_same_commit_is_the_same_model(
    hub: Hub, vision: Repo, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, before = downloader.download("hub:pytorch/vision/resnet50")
    packed = vision.archive(vision.commits[vision.sha], "another-root").raw
    hub.add(vision.codeload_path(vision.sha), packed)
    from collections import OrderedDict

    monkeypatch.setattr("torchinf_hub.snapshots._kept", OrderedDict())

    _, after = downloader.download("hub:pytorch/vision/resnet50", update=True)

    assert before.record.generation == after.record.generation


def test_an_update_follows_the_branch_and_a_damaged_model_stays_at_its_commit(
    vision: Repo, downloader: ModelDownloader
) -> None:
    path, before = downloader.download("hub:pytorch/vision/resnet50")
    old = vision.sha
    vision.commit({"vision/new.py": b"x = 1\n"})
    (path / "hubconf.py").chmod(0o644)
    (path / "hubconf.py").write_text("damaged")

    path, repaired = downloader.download("hub:pytorch/vision/resnet50")
    assert repaired.record.revision == old
    assert repaired.record.generation == before.record.generation
    assert (path / "hubconf.py").read_text() == CODE

    path, updated = downloader.download("hub:pytorch/vision/resnet50", update=True)
    assert updated.record.revision == vision.sha != old
    assert (path / "vision/new.py").is_file()


def test_two_entry_points_of_a_repository_are_two_models(
    vision: Repo, downloader: ModelDownloader
) -> None:
    vision.commit({"hubconf.py": b"from vision.resnet import resnet50, resnet18"})
    downloader.download("hub:pytorch/vision/resnet50")
    with pytest.raises(NameTakenError):
        downloader.download("hub:pytorch/vision/resnet18", name="resnet50")
    downloader.download("hub:pytorch/vision/resnet18")
    assert sorted(downloader.list_available_models()) == ["resnet18", "resnet50"]


# NOTHING RUNS

SCRIPT = """
import sys
from torchinf_core.__main__ import main

def run(*words):
    sys.argv = ["torchinf", *words]
    assert main() == 0, words

where = sys.argv[1]
store = ["--cache-dir", where]
run("search", "hub", "ada/nets", *store)
run("download", "hub:ada/nets/net", "--dry-run", *store)
run("download", "hub:ada/nets/net", *store)
run("download", "hub:ada/nets/net", "--update", "--trust", *store)
run("info", "net", *store)
run("list", *store)
run("verify", "net", *store)
run("trust", "net", "--revoke", *store)
from torchinf_core.errors import UntrustedError
from torchinf_core.manager import ModelDownloader
from torchinf_hub.running import load
try:
    load("net", downloader=ModelDownloader(cache_dir=where))
except UntrustedError:
    print("REFUSED")
heavy = {"torch", "torchvision", "transformers", "numpy", "hubconf", "nets"} & set(sys.modules)
assert not heavy, heavy
"""


def test_no_import_and_no_code_on_download_info_search_and_a_refused_load(
    publish: Publish, downloader: ModelDownloader, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    trap = f"open({str(marker)!r}, 'w').close()\n"
    publish(
        "ada/nets",
        {
            "hubconf.py": f"{trap}dependencies = ['nets', 'torch']\nfrom nets import make as net\n",
            "nets/__init__.py": f"{trap}def make():\n    {trap}    return {trap}\n",
            "setup.py": trap,
            "conftest.py": trap,
            "sitecustomize.py": trap,
        },
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(downloader.cache_dir)],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "NO_COLOR": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert "REFUSED" in done.stdout
    assert "hub:ada/nets/net" in done.stdout
    assert not marker.exists()
    with pytest.raises(UntrustedError):
        from torchinf_hub.running import load

        load("net", downloader=downloader)
    assert not marker.exists()


def test_the_command_line_tells_what_is_wrong(
    github: GitHub, vision: Repo, downloader: ModelDownloader
) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "torchinf_core", *words, "--cache-dir", downloader.cache_dir],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "NO_COLOR": "1"},
        )

    done = run("download", "pytorch_hub", "pytorch/vision:v0.10.0/resnet50", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["revision"] == vision.sha
    missing = run("download", "hub:pytorch/vision/resnet5")
    assert missing.returncode == 3
    assert "did you mean resnet50?" in missing.stderr
    assert run("download", "hub:pytorch/vision:v9/resnet50").returncode == 3
    assert run("download", "hub:nonsense").returncode == 2
    found = run("search", "hub", "pytorch/vision")
    assert "hub:pytorch/vision/resnet50" in found.stdout
    assert "ResNet-50." in found.stdout
    assert "pytorch/vision" in run("search", "hub").stderr


def test_what_the_source_lacks_is_not_published(
    hub: Hub, publish: Publish, downloader: ModelDownloader
) -> None:
    code = "import torch\ndef net(): torch.hub.load_state_dict_from_url('URL')"
    publish("ada/nets", {"hubconf.py": code.replace("URL", hub.url("/absent.pth"))})
    with pytest.raises(ModelNotFoundError, match=r"absent\.pth"):
        downloader.download("hub:ada/nets/net")
    assert downloader.list_available_models() == {}


def test_the_python_of_the_readme_runs(
    publish: Publish, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    import re

    publish("pytorch/vision", {"hubconf.py": "def resnet50(pretrained): return pretrained"})
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(downloader.cache_dir))
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    assert names["model"] is True


def test_the_commands_of_the_readme_are_understood() -> None:
    import re
    import shlex

    import click

    from torchinf_core.cli.app import build

    readme = (Path(__file__).parents[1] / "README.md").read_text()
    lines = re.findall(r"^torchinf .*$", readme.split("```")[1], re.MULTILINE)
    assert len(lines) == 9
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        group = build()
        assert isinstance(group, click.Group)
        with group.make_context("torchinf", list(words)) as context:
            name, found, rest = group.resolve_command(context, list(words))
            while isinstance(found, click.Group):
                name, found, rest = found.resolve_command(context, rest)
            assert found is not None
            found.make_context(name, list(rest), parent=context)
