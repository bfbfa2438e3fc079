"""Private and gated repositories, tokens, limits, and whoever answers in the hub's place."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    OfflineError,
    SourceError,
    TorchinfError,
    UsageError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub, faults
from torchinf_core.testing.huggingface import HuggingFace, Repo
from torchinf_core.types import Plan

Resolve = Callable[..., Plan]
Make = Callable[..., bytes]
TOKEN = "hf_" + "Secret" * 5


@pytest.fixture
def files(safetensors: Make) -> dict[str, bytes]:
    return {"config.json": b"{}", "model.safetensors": safetensors(1)}


@pytest.fixture
def private(hf: HuggingFace, files: dict[str, bytes]) -> Repo:
    hf.add_token(TOKEN, repos=["org/private", "org/gated"])
    return hf.add_repo("org/private", files, private=True)


@pytest.fixture
def gated(hf: HuggingFace, private: Repo, files: dict[str, bytes]) -> Repo:
    return hf.add_repo("org/gated", files, gated=True)


def refused(resolve: Resolve, text: str, kind: type[TorchinfError]) -> TorchinfError:
    with pytest.raises(kind) as caught:
        resolve(text)
    assert type(caught.value) is kind
    assert caught.value.hint
    assert TOKEN not in f"{caught.value} {caught.value.hint}"
    return caught.value


@pytest.mark.parametrize("way", ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "login", "ours"])
def test_a_private_model_is_had_with_a_token_from_wherever_it_is_kept(
    way: str,
    private: Repo,
    downloader: ModelDownloader,
    user: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if way == "login":
        user.mkdir()
        (user / "token").write_text(f"{TOKEN}\n")
    else:
        monkeypatch.setenv({"ours": "TORCHINF_TOKEN_127_0_0_1"}.get(way, way), TOKEN)

    path, info = downloader.download("hf:org/private")

    assert (path / "model.safetensors").is_file()
    assert info.record.revision == private.sha


def test_our_own_token_for_the_host_wins(
    private: Repo, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", TOKEN)

    assert resolve("hf:org/private").revision == private.sha


def test_a_token_goes_to_the_hub_and_not_to_where_the_hub_redirects(
    private: Repo,
    hub: Hub,
    downloader: ModelDownloader,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    downloader.download("hf:org/private")

    sent = {seen.path.split("/")[1] for seen in hub.requests if "Authorization" in seen.headers}
    bare = {seen.path.split("/")[1] for seen in hub.requests if "Authorization" not in seen.headers}
    assert sent == {"api", "org"}
    assert bare == {"repos"}
    for path in (tmp_path / "store").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path


def test_a_link_to_the_next_page_can_not_lead_a_token_away(
    hub: Hub, hf: HuggingFace, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf.add_token(TOKEN)
    hf.page = 1
    repo = hf.add_repo("org/tiny", {"a.txt": b"a", "b.txt": b"b"})
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with Hub() as other:
        link = f'<{other.url("/api/models/x?cursor=eyJhdCI6IDF9&limit=1")}>; rel="next"'
        path = f"/api/models/org/tiny/tree/{repo.sha}"
        hub.fail(path, faults.header("Link", link))

        plan = resolve("hf:org/tiny")

        assert [file.path for file in plan.files] == ["a.txt", "b.txt"]
        assert other.requests == []


def test_a_private_model_looks_like_none_and_the_hint_says_so(
    private: Repo, hf: HuggingFace, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = refused(resolve, "hf:org/private", ModelNotFoundError)
    assert "or it is private" in str(error)
    assert "hf auth login" in error.hint

    hf.add_token("hf_narrow")
    monkeypatch.setenv("HF_TOKEN", "hf_narrow")
    error = refused(resolve, "hf:org/private", ModelNotFoundError)
    assert "this token may not see it" in str(error)


def test_a_gated_model_without_access_is_refused_before_any_file(
    gated: Repo, hub: Hub, hf: HuggingFace, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f"{hf.endpoint}/org/gated"

    error = refused(resolve, "hf:org/gated", AccessDeniedError)
    assert "no token is set" in str(error)
    assert page in error.hint
    assert "hf auth login" in error.hint
    hf.add_token("hf_narrow")
    monkeypatch.setenv("HF_TOKEN", "hf_narrow")
    error = refused(resolve, "hf:org/gated", AccessDeniedError)
    assert "has no access" in str(error)
    assert f"ask for access at {page}" in error.hint
    assert sum(seen.sent for seen in hub.requests if "/resolve/" in seen.path) == 0


def test_a_gated_model_with_access_is_had(
    gated: Repo, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    path, _ = downloader.download("hf:org/gated")

    assert (path / "model.safetensors").is_file()


@pytest.mark.parametrize(("expired", "word"), [(True, "has expired"), (False, "is not valid")])
def test_a_token_that_is_no_good_is_said_to_be(
    expired: bool,
    word: str,
    hf: HuggingFace,
    files: dict[str, bytes],
    resolve: Resolve,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hf.add_repo("org/tiny", files)
    if expired:
        hf.add_token(TOKEN, expired=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    error = refused(resolve, "hf:org/tiny", AccessDeniedError)

    assert word in str(error)
    assert "/settings/tokens" in error.hint


def test_a_token_of_the_library_can_be_left_at_home(
    hf: HuggingFace, files: dict[str, bytes], resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    hf.add_repo("org/tiny", files)
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")

    assert resolve("hf:org/tiny").files


def test_a_rate_limit_is_told_with_the_time_of_its_end(
    hf: HuggingFace, files: dict[str, bytes], resolve: Resolve
) -> None:
    hf.add_repo("org/tiny", files)
    hf.limit(0, reset=217)

    error = refused(resolve, "hf:org/tiny", SourceError)

    assert "reset in 217 s" in str(error)


def test_a_rate_limit_that_ends_is_waited_for(
    hf: HuggingFace, files: dict[str, bytes], resolve: Resolve
) -> None:
    hf.add_repo("org/tiny", files)
    hf.limit(0, reset=1, refusals=1)

    assert resolve("hf:org/tiny").files


@pytest.mark.parametrize(
    "body",
    [b"<!DOCTYPE html><html>log in</html>", b"[]", b"{}", b'{"sha": 3}', b'"x"', b"[" * 5000, b""],
)
def test_what_does_not_answer_as_a_hub_is_said_not_to(
    body: bytes, hub: Hub, hf: HuggingFace, resolve: Resolve
) -> None:
    hub.add("/api/models/org/tiny", body)

    error = refused(resolve, "hf:org/tiny", SourceError)

    assert "HF_ENDPOINT" in error.hint


@pytest.mark.parametrize("page", [b"{}", b"[1]", b'[{"type": "file"}]', b'[{"path": 3}]'])
def test_a_listing_that_is_none_is_refused(
    page: bytes, hub: Hub, hf: HuggingFace, files: dict[str, bytes], resolve: Resolve
) -> None:
    repo = hf.add_repo("org/tiny", files)
    hub.add(f"/api/models/org/tiny/tree/{repo.sha}", page)

    refused(resolve, "hf:org/tiny", SourceError)


def test_a_path_that_would_leave_the_model_is_refused(
    hub: Hub, hf: HuggingFace, files: dict[str, bytes], resolve: Resolve
) -> None:
    repo = hf.add_repo("org/tiny", files)
    page = b'[{"type": "file", "path": "../config.json", "size": 2, "oid": "%s"}]' % (b"a" * 40)
    hub.add(f"/api/models/org/tiny/tree/{repo.sha}", page)

    with pytest.raises(SourceError, match="not safe"):
        resolve("hf:org/tiny", all_files=True)


def test_a_listing_that_does_not_end_is_left(
    hub: Hub, hf: HuggingFace, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torchinf_hf.api.MOST_FILES", 50)
    hf.page = 10
    hf.add_repo("org/tiny", {f"{n}.txt": b"" for n in range(90)})

    error = refused(resolve, "hf:org/tiny", SourceError)

    assert "more than 50 files" in str(error)
    assert len(hub.requests) == 7


def test_a_server_in_trouble_is_asked_again_and_then_named(
    hub: Hub, hf: HuggingFace, files: dict[str, bytes], resolve: Resolve
) -> None:
    hf.add_repo("org/tiny", files)
    hub.fail("/api/models/org/tiny", faults.status(503))
    assert resolve("hf:org/tiny").files

    hub.fail("/api/models/org/tiny", faults.status(503).repeat(2))
    assert "503" in str(refused(resolve, "hf:org/tiny", SourceError))


def test_offline_mode_makes_no_connection(
    hub: Hub,
    hf: HuggingFace,
    resolve: Resolve,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_socket(*_: object) -> None:
        raise AssertionError("a socket was made")

    monkeypatch.setattr("socket.socket.connect", no_socket)
    monkeypatch.setattr("socket.getaddrinfo", no_socket)
    with pytest.raises(OfflineError):
        resolve("hf:org/tiny", replace(settings, offline=True))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE"):
        resolve("hf:org/tiny")


@pytest.mark.parametrize(
    "url", ["huggingface.co", "ftp://x", "https://", "https://h/?a=b", "http://h:0"]
)
def test_an_endpoint_that_is_no_url_is_refused(
    url: str, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", url)

    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        resolve("hf:org/tiny")
