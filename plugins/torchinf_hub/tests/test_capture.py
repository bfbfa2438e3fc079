"""The first run of trusted code: in another process, its downloads through our engine."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.errors import (
    IntegrityError,
    LoadError,
    MissingDependencyError,
    ModelNotFoundError,
    NotCachedError,
    OfflineError,
    PolicyError,
    UntrustedError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_core.testing.github import Repo
from torchinf_hub.recording import capture
from torchinf_hub.running import load

torch = pytest.importorskip("torch")

Publish = Callable[..., Repo]

COMPUTED = """
import torch
from nets.where import address


def net(size="small"):
    path = torch.hub.get_dir() + "/words.txt"
    torch.hub.download_url_to_file(address("words.txt"), path)
    made = torch.nn.Linear(3, 1)
    made.load_state_dict(torch.hub.load_state_dict_from_url(address(size + ".pth")))
    print("this goes to stderr")
    with open(path) as file:
        made.words = file.read()
    return made
"""
WHERE = """
import base64
def address(name):
    return base64.b64decode(%r).decode() + name
"""


@pytest.fixture
def computed(publish: Publish, hub: Hub, checkpoint: bytes) -> Repo:
    """A repository whose code computes where its weights are."""
    import base64

    hub.add("/weights/small.pth", checkpoint)
    hub.add("/weights/words.txt", b"one two")
    where = WHERE % base64.b64encode(hub.url("/weights/").encode())
    return publish(
        "ada/nets",
        {"hubconf.py": COMPUTED, "nets/where.py": where, "weights/README": "taken"},
    )


@pytest.fixture
def light_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the other process, a torch that is imported at once."""
    (tmp_path / "light/torch").mkdir(parents=True)
    (tmp_path / "light/torch/__init__.py").touch()
    (tmp_path / "light/torch/hub.py").write_text(
        "load = download_url_to_file = urlopen = _hub_dir = None"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "light"))


def paths(info) -> list[str]:
    return [file.path for file in info.record.files]


def test_what_the_code_downloads_is_recorded_and_loads_offline_afterwards(
    hub: Hub, computed: Repo, downloader: ModelDownloader, checkpoint: bytes
) -> None:
    _, before = downloader.download("hub:ada/nets/net", trust=True)
    with pytest.raises(NotCachedError, match="not recorded"):
        load("net", downloader=downloader)

    info = capture("net", downloader)
    asked = len(hub.requests)
    net = load("net", downloader=downloader)

    new = sorted(set(paths(info)) - set(paths(before)))
    assert new == ["weights-2/small.pth", "weights-2/words.txt"]
    assert info.record.trusted == before.record.trusted
    digests = {file.path: file.sha256 for file in info.record.files}
    assert digests["weights-2/small.pth"] == hashlib.sha256(checkpoint).hexdigest()
    assert net(torch.ones(1, 3)).item() == 3.0
    assert net.words == "one two"
    assert len(hub.requests) == asked
    assert downloader.verify("net") == []


def test_a_run_with_other_arguments_fetches_only_what_is_new(
    hub: Hub, computed: Repo, downloader: ModelDownloader, checkpoint: bytes
) -> None:
    downloader.download("hub:ada/nets/net", trust=True)
    first = capture("net", downloader)
    hub.add("/weights/large.pth", checkpoint)
    asked = len(hub.requests)
    info = capture("net", downloader, arguments={"size": "large"})

    assert set(paths(info)) - set(paths(first)) == {"weights-2/large.pth"}
    assert {exchange.path for exchange in hub.requests[asked:]} == {"/weights/large.pth"}
    assert load("net", downloader=downloader, size="large").words == "one two"


def test_code_that_nobody_trusted_is_not_run(
    computed: Repo, downloader: ModelDownloader, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    computed.commit({"hubconf.py": f"open({str(marker)!r}, 'w')\ndef net(): ...".encode()})
    downloader.download("hub:ada/nets/net")
    with pytest.raises(UntrustedError):
        capture("net", downloader)
    assert not marker.exists()


def test_a_file_that_can_not_be_had_is_told_as_such(
    hub: Hub, computed: Repo, downloader: ModelDownloader
) -> None:
    downloader.download("hub:ada/nets/net", trust=True)
    with pytest.raises(ModelNotFoundError, match=r"huge\.pth"):
        capture("net", downloader, arguments={"size": "huge"})
    offline = ModelDownloader(downloader.cache_dir, offline=True)
    asked = len(hub.requests)
    with pytest.raises(OfflineError):
        capture("net", offline)
    assert len(hub.requests) == asked


def test_digits_in_the_name_are_held_to_when_the_code_wants_them_compared(
    hub: Hub, publish: Publish, downloader: ModelDownloader, checkpoint: bytes
) -> None:
    url = hub.add("/net-00000000.pth", checkpoint)
    code = (
        "import torch\n"
        "def net(url):\n"
        "    return torch.hub.load_state_dict_from_url(url, check_hash=True)\n"
    )
    publish("ada/nets", {"hubconf.py": code})
    downloader.download("hub:ada/nets/net", trust=True)
    with pytest.raises(IntegrityError):
        capture("net", downloader, arguments={"url": url})
    with pytest.raises(PolicyError, match="no http"):
        capture("net", downloader, arguments={"url": "file:///etc/passwd"})
    assert [f.path for f in downloader.get_record("net").files] == ["hubconf.py"]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ("1 / 0", LoadError, "ZeroDivisionError"),
        ("import os; os._exit(3)", LoadError, "ended its process with status"),
        ("import sys; sys.exit(0)", LoadError, "SystemExit"),
        ("import torch; torch.hub.load('bob/nets', 'x')", UntrustedError, "bob/nets"),
    ],
)
def test_code_that_fails_is_an_error_that_says_how(
    light_torch: None,
    publish: Publish,
    downloader: ModelDownloader,
    body: str,
    kind: type[Exception],
    said: str,
) -> None:
    publish("ada/nets", {"hubconf.py": f"def net():\n    {body}\n"})
    downloader.download("hub:ada/nets/net", trust=True)
    with pytest.raises(kind, match=said):
        capture("net", downloader)


def test_a_missing_dependency_is_named(publish: Publish, downloader: ModelDownloader) -> None:
    publish("ada/nets", {"hubconf.py": "dependencies = ['absent_x']\ndef net(): ..."})
    downloader.download("hub:ada/nets/net", trust=True)
    with pytest.raises(MissingDependencyError) as caught:
        capture("net", downloader)
    assert caught.value.hint == "pip install absent_x"


def test_the_code_sees_no_token_and_its_threads_do_not_hold_us_up(
    light_torch: None,
    publish: Publish,
    downloader: ModelDownloader,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    seen = tmp_path / "seen"
    code = (
        "import os, pathlib, threading, time\n"
        "def net():\n"
        "    names = [name for name in os.environ if 'TOKEN' in name.split('_')]\n"
        f"    pathlib.Path({str(seen)!r}).write_text(repr((names, os.listdir('.'))))\n"
        "    threading.Thread(target=time.sleep, args=(600,)).start()\n"
    )
    publish("ada/nets", {"hubconf.py": code})
    downloader.download("hub:ada/nets/net", trust=True)
    monkeypatch.setenv("TORCHINF_TOKEN_GITHUB_COM", "secret")

    capture("net", downloader)

    assert seen.read_text() == "([], [])"


def test_the_command_captures_and_prints_the_directory(
    computed: Repo, downloader: ModelDownloader
) -> None:
    downloader.download("hub:ada/nets/net")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "torchinf_core", *words, "--cache-dir", downloader.cache_dir],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, "NO_COLOR": "1"},
        )

    refused = run("hub", "capture", "net")
    assert (refused.returncode, refused.stdout) == (7, "")
    assert "torchinf trust net" in refused.stderr
    assert run("trust", "net").returncode == 0
    done = run("hub", "capture", "net", "-a", "size=small")

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(downloader.get_model_path("net"))
    assert "this goes to stderr" in done.stderr
    assert "weights-2/small.pth" in done.stderr
    failed = run("hub", "capture", "net", "-a", "size")
    assert failed.returncode == 2
