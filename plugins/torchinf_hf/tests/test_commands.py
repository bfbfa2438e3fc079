"""What a person sees: choices before and after a download, and each failure with its status."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from torchinf_core.cli.run import run
from torchinf_core.store import Store
from torchinf_core.testing import Hub, faults
from torchinf_core.testing.huggingface import HuggingFace, Repo

Make = Callable[..., bytes]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize 3\n" % (b"0" * 64)


@dataclass(frozen=True)
class Ran:
    status: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture
def torchinf(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(tmp_path / "store"))
    monkeypatch.setenv("TORCHINF_RETRIES", "1")

    def torchinf(*words: str) -> Ran:
        capsys.readouterr()
        status = run(words)
        printed = capsys.readouterr()
        return Ran(status, printed.out, printed.err)

    return torchinf


@pytest.fixture
def files(safetensors: Make, checkpoint: Make) -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type": "bert"}',
        "model.safetensors": safetensors(1, 3000),
        "model.fp16.safetensors": safetensors(2, 1500),
        "pytorch_model.bin": checkpoint(3),
        "tokenizer.json": b'{"version": "1.0"}',
        "vocab.txt": b"one\ntwo\n",
    }


@pytest.fixture
def repo(hf: HuggingFace, files: dict[str, bytes]) -> Repo:
    return hf.add_repo("org/tiny", files)


def kept(tmp_path: Path) -> set[str]:
    """Names of the files of all models in the store."""
    return {path.name for path in (tmp_path / "store/models").rglob("*") if path.is_file()}


# CHOICES


def test_a_dry_run_shows_what_would_come_what_not_and_why(
    hub: Hub, repo: Repo, torchinf: Command, tmp_path: Path
) -> None:
    ran = torchinf("download", "hf:org/tiny", "--dry-run")

    assert ran.status == 0, ran.err
    for path in ("config.json", "model.safetensors", "tokenizer.json", "vocab.txt"):
        assert path in ran.out
    assert "fp16" not in ran.out
    assert "pytorch_model.bin" not in ran.out
    said = " ".join(ran.err.split())
    assert "left out 2 of 6 files" in said
    assert "pytorch_model.bin" in said
    assert "model.fp16.safetensors" in said
    assert "--variant NAME takes fp16" in said
    assert "--all-files takes everything" in said
    assert not [seen for seen in hub.requests if "/resolve/" in seen.path]
    assert kept(tmp_path) == set()


@pytest.mark.parametrize(
    ("words", "weights"),
    [
        ((), {"model.safetensors"}),
        (("--variant", "fp16"), {"model.fp16.safetensors"}),
        (("-o", "format=torch"), {"pytorch_model.bin"}),
        (("--all-files",), {"model.safetensors", "model.fp16.safetensors", "pytorch_model.bin"}),
        (("--exclude", "*.safetensors"), {"pytorch_model.bin"}),
    ],
)
def test_the_weights_are_those_that_were_asked_for(
    words: tuple[str, ...], weights: set[str], repo: Repo, torchinf: Command, tmp_path: Path
) -> None:
    ran = torchinf("download", "hf:org/tiny", *words)

    assert ran.status == 0, ran.err
    assert kept(tmp_path) == {"config.json", "tokenizer.json", "vocab.txt"} | weights


def test_patterns_take_what_fits_and_no_more(repo: Repo, torchinf: Command, tmp_path: Path) -> None:
    ran = torchinf("download", "hf:org/tiny", "--include", "*.json", "--exclude", "tok*")

    assert ran.status == 0, ran.err
    assert kept(tmp_path) == {"config.json"}


def test_what_another_source_brought_is_not_fetched_again(
    hub: Hub, repo: Repo, files: dict[str, bytes], torchinf: Command
) -> None:
    url = hub.add("/elsewhere/model.safetensors", files["model.safetensors"])
    assert torchinf("download", url, "--name", "elsewhere").status == 0

    ran = torchinf("download", "hf:org/tiny")

    assert ran.status == 0, ran.err
    assert hub.bytes_sent(repo.source("model.safetensors")[1]) == 0


# FAILURES


@pytest.mark.parametrize(
    "path", ["config.json", "model.safetensors", "tokenizer.json", "vocab.txt"]
)
@pytest.mark.parametrize("words", [(), ("--name", "mine", "--connections", "4")])
def test_a_flipped_byte_in_any_file_is_status_5_and_leaves_nothing_behind(
    words: tuple[str, ...], path: str, repo: Repo, torchinf: Command, tmp_path: Path
) -> None:
    repo.fail(path, faults.flip().always())

    ran = torchinf("download", "hf:org/tiny", *words)

    assert ran.status == 5
    assert path in ran.err
    assert kept(tmp_path) == set()
    store = Store(tmp_path / "store")
    assert store.fsck(repair=False) == []
    for folder in ("records", "models", "partial", "tmp"):
        assert [item for item in (store.root / folder).rglob("*") if item.is_file()] == []
    # Other files that proved right may wait there for the next attempt.
    for blob in (store.root / "blobs").rglob("*"):
        if blob.is_file():
            assert blob.name == hashlib.sha256(blob.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("ref", "status", "message", "step"),
    [
        ("hf:org/tinny", 3, "no model org/tinny", "torchinf search hf"),
        ("hf:org/tiny@v9", 3, "no revision 'v9'", "it has main"),
        ("hf:org/tiny@LOST", 3, "a forced push may have removed it", "/commits/main"),
        ("hf:org/tiny/model.safetensor", 3, "no file or folder", "did you mean"),
        ("hf:org/gated", 4, "is gated, and no token is set", "hf auth login"),
        ("hf:org/private", 3, "or it is private", "hf auth login"),
        ("hf:org/-tiny", 2, "names no model", "hf:ORG/NAME"),
    ],
)
def test_a_failure_has_its_status_and_the_next_step(
    ref: str,
    status: int,
    message: str,
    step: str,
    hf: HuggingFace,
    repo: Repo,
    files: dict[str, bytes],
    torchinf: Command,
) -> None:
    lost = repo.commit({"config.json": b"{}"})
    repo.forget(lost)
    hf.add_repo("org/gated", files, gated=True)
    hf.add_repo("org/private", files, private=True)

    ran = torchinf("download", ref.replace("LOST", lost))

    said = " ".join(ran.err.split())
    assert (ran.status, ran.out) == (status, "")
    assert message in said
    assert step in said.partition("hint: ")[2]


def test_a_limit_and_a_bad_token_have_their_status_and_the_next_step(
    hf: HuggingFace, repo: Repo, torchinf: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf.limit(0, reset=217)
    ran = torchinf("download", "hf:org/tiny")
    assert ran.status == 4
    assert "the limit is reset in 217 s" in ran.err
    assert "hint: wait, or log in" in ran.err

    hf.limit(1000)
    hf.add_token("hf_old", expired=True)
    monkeypatch.setenv("HF_TOKEN", "hf_old")
    ran = torchinf("download", "hf:org/tiny")
    assert ran.status == 4
    assert "has expired" in ran.err
    assert "hint: hf auth login" in ran.err
    assert "hf_old" not in ran.err


@pytest.mark.parametrize("path", ["model.safetensors", "vocab.txt"])
def test_a_pointer_in_place_of_a_file_is_status_5_with_the_next_step(
    path: str, repo: Repo, torchinf: Command, tmp_path: Path
) -> None:
    repo.fail(path, faults.replaced_by(POINTER).always())

    ran = torchinf("download", "hf:org/tiny")

    assert ran.status == 5
    assert path in ran.err
    assert "hint: " in ran.err
    assert kept(tmp_path) == set()


def test_offline_what_is_here_is_found_and_nothing_else_is_asked_for(
    hub: Hub, repo: Repo, torchinf: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert torchinf("download", "hf:org/tiny").status == 0
    before = len(hub.requests)

    def no_socket(*_: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr("socket.socket.connect", no_socket)
    monkeypatch.setattr("socket.getaddrinfo", no_socket)
    assert torchinf("download", "hf:org/tiny", "--offline").status == 0
    assert torchinf("download", f"hf:org/tiny@{repo.sha}").status == 0
    refused = torchinf("download", "hf:org/other", "--offline")

    assert refused.status == 4
    assert "hint: run without --offline" in refused.err
    assert len(hub.requests) == before
