"""From a reference to a stored model: every byte checked, and all of one commit."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core import download_model
from torchinf_core.errors import (
    AccessDeniedError,
    FormatError,
    IntegrityError,
    NameTakenError,
    OfflineError,
    UsageError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Fault, Hub, faults
from torchinf_core.testing.huggingface import HuggingFace, Repo
from torchinf_core.types import Trust

Make = Callable[..., bytes]
SIZE = 3 << 20
LARGE, PLAIN = "model.safetensors", "vocab.txt"


@pytest.fixture
def files(safetensors: Make) -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type": "bert"}',
        LARGE: safetensors(1, SIZE),
        PLAIN: b"\n".join(b"word %d" % n for n in range(2000)),
    }


@pytest.fixture
def repo(hf: HuggingFace, files: dict[str, bytes]) -> Repo:
    return hf.add_repo("org/tiny", files, card={"pipeline_tag": "fill-mask", "license": "mit"})


def read(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def left(downloader: ModelDownloader) -> list[str]:
    """What a refused download left in the store, locks aside."""
    folder = downloader.cache_dir
    files = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return [name for name in files if not name.startswith(("locks/", "VERSION", "blobs/"))]


def test_a_repository_arrives_checked_and_is_recorded(
    repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    path, info = downloader.download("hf:org/tiny")

    record = info.record
    assert {name: content for name, content in read(path).items() if name in files} == files
    assert (info.name, info.source, info.model_id) == ("tiny", "hf", "org/tiny")
    assert (info.task, info.license) == ("fill-mask", "mit")
    assert (record.revision, record.requested_revision) == (repo.sha, None)
    assert (record.format, record.trust, record.verified) == (
        "safetensors",
        Trust.DATA,
        "published",
    )
    for file in record.files:
        assert file.sha256 == hashlib.sha256((path / file.path).read_bytes()).hexdigest()
    assert downloader.verify("tiny") == []


def test_the_feature_documents_snippets_run_as_written(
    hf: HuggingFace,
    files: dict[str, bytes],
    downloader: ModelDownloader,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    repo = hf.add_repo("bert-base-uncased", files)
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(downloader.cache_dir))

    path, info = download_model(
        source="huggingface", model_id="bert-base-uncased", task="text-classification"
    )
    again, _ = downloader.download_huggingface_model(
        model_id="bert-base-uncased", task="text-classification"
    )

    assert path == again
    assert (info.name, info.task) == ("bert-base-uncased", "text-classification")
    assert (info.source, info.model_id) == ("hf", "bert-base-uncased")
    _, info = downloader.download_huggingface_model(
        "bert-base-uncased", revision=repo.sha, custom_name="pinned"
    )
    assert (info.name, info.record.requested_revision) == ("pinned", repo.sha)


def test_asking_again_makes_no_request_also_for_the_commit_it_led_to(
    hub: Hub, repo: Repo, downloader: ModelDownloader
) -> None:
    first = downloader.obtain("hf:org/tiny@main")
    before = len(hub.requests)
    offline = ModelDownloader(cache_dir=downloader.cache_dir, offline=True)

    assert downloader.obtain("hf:org/tiny@main").hit
    assert offline.obtain(f"hf:org/tiny@{repo.sha}").record == first.record
    with pytest.raises(OfflineError):
        offline.obtain("hf:org/other")

    assert len(hub.requests) == before


def test_an_update_without_news_fetches_nothing(
    hub: Hub, repo: Repo, downloader: ModelDownloader
) -> None:
    downloader.download("hf:org/tiny")
    before = len(hub.requests)

    outcome = downloader.obtain("hf:org/tiny", update=True)

    assert outcome.hit
    assert [seen.path for seen in hub.requests[before:]] == [
        "/api/models/org/tiny",
        f"/api/models/org/tiny/tree/{repo.sha}",
    ]


def test_the_old_and_the_new_name_of_a_repository_are_one_model(
    hf: HuggingFace, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    hf.add_repo("bert-base-uncased", files)
    hf.rename("bert-base-uncased", "google-bert/bert-base-uncased")

    old = downloader.obtain("hf:bert-base-uncased")
    new = downloader.obtain("hf:google-bert/bert-base-uncased")

    assert (old.hit, new.hit) == (False, True)
    assert old.path == new.path


# BYTES THAT ARE WRONG


@pytest.mark.parametrize("path", [LARGE, PLAIN])
@pytest.mark.parametrize("fault", [faults.flip, faults.garble, lambda: faults.flip(0)])
def test_wrong_bytes_of_the_right_length_are_refused_and_nothing_is_left(
    path: str, fault: Callable[[], Fault], repo: Repo, downloader: ModelDownloader
) -> None:
    repo.fail(path, fault().always())

    with pytest.raises(IntegrityError, match=re.escape(path)):
        downloader.download("hf:org/tiny")

    assert downloader.list_available_models() == {}
    assert left(downloader) == []


@pytest.mark.parametrize("path", [LARGE, PLAIN])
def test_bytes_that_were_wrong_once_are_fetched_again(
    path: str, repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    repo.fail(path, faults.flip())

    model, _ = downloader.download("hf:org/tiny")

    assert read(model)[path] == files[path]


@pytest.mark.parametrize("path", [LARGE, PLAIN])
@pytest.mark.parametrize("instead", ["pointer", "page"])
def test_a_pointer_or_a_page_in_place_of_a_file_is_refused(
    instead: str, path: str, repo: Repo, downloader: ModelDownloader
) -> None:
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n"
    fault = faults.replaced_by(pointer) if instead == "pointer" else faults.portal()
    repo.fail(path, fault.always())

    with pytest.raises((IntegrityError, FormatError)):
        downloader.download("hf:org/tiny")

    assert left(downloader) == []


def test_a_part_that_is_not_the_one_asked_for_is_never_appended(
    repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    repo.fail(LARGE, faults.cut(0.5), faults.wrong_part())

    path, _ = downloader.download("hf:org/tiny")

    assert read(path)[LARGE] == files[LARGE]


def test_parts_that_are_always_wrong_are_refused(repo: Repo, downloader: ModelDownloader) -> None:
    repo.fail(LARGE, faults.cut(0.5).on(faults.is_get).repeat(50), faults.wrong_part().always())

    with pytest.raises((IntegrityError, OSError)):
        downloader.download("hf:org/tiny")

    assert downloader.list_available_models() == {}


@pytest.mark.parametrize("heed", [True, False])
def test_a_file_that_changes_in_the_middle_is_never_mixed(
    heed: bool, safetensors: Make, repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    other = faults.replaced_by(safetensors(2, SIZE), etag='"new"', heed_if_range=heed)
    repo.fail(LARGE, faults.cut(0.5), other.always())

    with pytest.raises(IntegrityError):
        downloader.download("hf:org/tiny")
    assert downloader.list_available_models() == {}

    repo._cdn._faults.clear()
    path, _ = downloader.download("hf:org/tiny")
    assert read(path)[LARGE] == files[LARGE]


def test_a_hub_that_omits_its_headers_is_checked_all_the_same(
    hf: HuggingFace, repo: Repo, downloader: ModelDownloader
) -> None:
    hf.omit = ("X-Repo-Commit", "X-Linked-ETag", "X-Linked-Size", "ETag")
    repo.fail(PLAIN, faults.flip().always())

    with pytest.raises(IntegrityError):
        downloader.download("hf:org/tiny")


def test_small_files_by_way_of_the_hubs_cache_arrive(
    hf: HuggingFace, repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    hf.cached = True

    path, _ = downloader.download("hf:org/tiny")

    assert read(path)[PLAIN] == files[PLAIN]


# VERSIONS


def test_a_branch_that_moves_while_files_come_gives_files_of_one_commit(
    hub: Hub, hf: HuggingFace, repo: Repo, files: dict[str, bytes], safetensors: Make,
    downloader: ModelDownloader,
) -> None:  # fmt: skip
    first = repo.sha
    moved = {"config.json": b"{}", LARGE: safetensors(2, SIZE), PLAIN: b"other"}

    def move(_event: object) -> None:
        if repo.sha == first:
            repo.commit(moved)

    outcome = downloader.obtain("hf:org/tiny", on_event=move)

    assert repo.sha != first
    assert outcome.record.revision == first
    assert {name: read(outcome.path)[name] for name in files} == files
    updated = downloader.obtain("hf:org/tiny", update=True)
    assert updated.record.revision == repo.sha
    assert {name: read(updated.path)[name] for name in moved} == moved


def test_an_update_fetches_only_what_changed(
    hub: Hub, repo: Repo, downloader: ModelDownloader
) -> None:
    downloader.download("hf:org/tiny")
    repo.commit({"config.json": b'{"a": 1}'})
    before = len(hub.requests)

    outcome = downloader.obtain("hf:org/tiny", update=True)

    assert (outcome.path / "config.json").read_bytes() == b'{"a": 1}'
    assert outcome.record.revision == repo.sha
    assert not [seen for seen in hub.requests[before:] if LARGE in seen.path]


def test_another_revision_does_not_replace_the_one_that_is_here(
    repo: Repo, downloader: ModelDownloader
) -> None:
    repo.tag("v1")
    repo.commit({"config.json": b'{"a": 1}'})
    downloader.download("hf:org/tiny@v1")

    with pytest.raises(NameTakenError) as caught:
        downloader.download("hf:org/tiny")
    downloader.download("hf:org/tiny", name="new")

    assert "--name" in caught.value.hint
    assert sorted(downloader.list_available_models()) == ["new", "tiny"]


def test_another_choice_of_files_is_another_content(
    hf: HuggingFace, files: dict[str, bytes], checkpoint: Make, downloader: ModelDownloader
) -> None:
    hf.add_repo("org/two", {**files, "pytorch_model.bin": checkpoint(1)})
    downloader.download("hf:org/two")

    with pytest.raises(NameTakenError, match="other options"):
        downloader.download("hf:org/two", format="torch")
    path, info = downloader.download("hf:org/two", name="pickled", format="torch")
    whole, _ = downloader.download("hf:org/two", name="whole", all_files=True)

    assert LARGE not in read(path)
    assert info.record.trust is Trust.PICKLE
    assert {LARGE, "pytorch_model.bin"} <= set(read(whole))


def test_a_model_that_was_damaged_on_disk_is_made_whole_from_its_own_commit(
    repo: Repo, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    path, _ = downloader.download("hf:org/tiny")
    repo.commit({PLAIN: b"other"})
    (path / PLAIN).chmod(0o644)
    (path / PLAIN).write_bytes(b"damaged")

    healed, _ = downloader.download("hf:org/tiny")

    assert read(healed)[PLAIN] == files[PLAIN]


def test_one_file_by_its_path_is_a_model_of_one_file(
    hf: HuggingFace, gguf: Make, downloader: ModelDownloader
) -> None:
    hf.add_repo("org/tiny-GGUF", {"q/a-Q4_0.gguf": gguf(1), "q/a-Q8_0.gguf": gguf(2)})

    path, info = downloader.download("hf:org/tiny-GGUF/q/a-Q4_0.gguf")

    assert (path.name, path.read_bytes()) == ("a-Q4_0.gguf", gguf(1))
    assert (info.name, info.record.format) == ("tiny-GGUF-q-a-Q4_0", "gguf")


def test_code_of_a_repository_is_stored_and_marked(
    hf: HuggingFace, files: dict[str, bytes], downloader: ModelDownloader
) -> None:
    code = b"raise SystemExit('this ran')\n"
    hf.add_repo("org/custom", {**files, "modeling_x.py": code}, card={"tags": ["custom_code"]})

    path, info = downloader.download("hf:org/custom")

    assert (path / "modeling_x.py").read_bytes() == code
    assert (info.record.trust, info.record.trusted) == (Trust.CODE, None)
    assert downloader.trust("custom").record.trusted


def test_access_that_is_withdrawn_between_plan_and_files_is_said_so(
    hf: HuggingFace, repo: Repo, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def withdraw(_event: object) -> None:
        repo.gated = True

    with pytest.raises(AccessDeniedError):
        downloader.obtain("hf:org/tiny", on_event=withdraw)


# KILLED


def test_killed_in_the_middle_little_is_sent_twice(
    tmp_path: Path, safetensors: Make, user: Path
) -> None:
    size = 24 << 20
    with Hub(throttle=8e6, send_buffer=1 << 18) as hub:
        hf = HuggingFace(hub)
        repo = hf.add_repo("org/tiny", {"config.json": b"{}", LARGE: safetensors(1, size)})
        where = repo.source(LARGE)[1]
        command = [sys.executable, "-m", "torchinf_core", "download", "hf:org/tiny", "-q"]
        command += ["--connections", "2"]
        environment = {
            **os.environ,
            "HF_ENDPOINT": hf.endpoint,
            "TORCHINF_CACHE_DIR": str(tmp_path / "store"),
        }
        process = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 30
        while hub.bytes_sent(where) < size // 2 and time.monotonic() < deadline:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        sent = hub.bytes_sent(where)
        hub.throttle = None
        done = subprocess.run(command, env=environment, capture_output=True, text=True)

        assert done.returncode == 0, done.stderr
        assert size // 2 <= sent < size
        assert hub.bytes_sent(where) <= 1.1 * size
        folder = Path(done.stdout.strip())
        assert (folder / LARGE).read_bytes() == safetensors(1, size)
        assert list((tmp_path / "store" / "partial").iterdir()) == []


def test_the_wrong_kind_of_option_is_refused_before_any_request(
    hub: Hub, repo: Repo, downloader: ModelDownloader
) -> None:
    with pytest.raises(UsageError, match="format"):
        downloader.download("hf:org/tiny", format="word")

    assert hub.requests == []
