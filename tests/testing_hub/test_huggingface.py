"""The Hugging Face hub on loopback, judged by huggingface_hub, hf and transformers."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest

from torchinf_core.testing import Hub, faults
from torchinf_core.testing.huggingface import HuggingFace, Repo, have_xet

huggingface_hub = pytest.importorskip("huggingface_hub")
from huggingface_hub import errors  # noqa: E402

WEIGHTS = bytes(range(256)) * 1000
FILES = {
    "config.json": b'{"model_type": "bert", "architectures": ["BertModel"], "hidden": 4}',
    "model.safetensors": WEIGHTS,
    "onnx/model.onnx": WEIGHTS[:1000],
    "onnx/notes/a b ü.txt": "größe\n".encode(),
    "empty.txt": b"",
}
GOOD = "hf_good"
HF = ("-m", "huggingface_hub.cli.hf")


@pytest.fixture
def hf(hub: Hub) -> HuggingFace:
    return HuggingFace(hub)


@pytest.fixture
def repo(hf: HuggingFace) -> Repo:
    return hf.add_repo("org/tiny", FILES)


@pytest.fixture
def client(hf: HuggingFace) -> Iterator[huggingface_hub.HfApi]:
    yield huggingface_hub.HfApi(endpoint=hf.endpoint, token=False)
    huggingface_hub.close_session()


def snapshot(hf: HuggingFace, folder: Path, name: str = "org/tiny", **options: Any) -> Path:
    """What the official client makes of a repository, in this process."""
    options = {"token": False, "cache_dir": folder / "cache", **options}
    try:
        path = huggingface_hub.snapshot_download(name, endpoint=hf.endpoint, **options)
    finally:
        huggingface_hub.close_session()
    return Path(path)


def read(folder: Path) -> dict[str, bytes]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def environment(hf: HuggingFace, folder: Path) -> dict[str, str]:
    """Variables by which a user's process finds the hub."""
    known = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    own = {"HF_ENDPOINT": hf.endpoint, "HF_HOME": str(folder), "HF_HUB_DISABLE_TELEMETRY": "1"}
    return {**known, **own}


def run(hf: HuggingFace, folder: Path, *words: str, **more: str) -> str:
    """The output of a Python command in that environment."""
    done = subprocess.run(
        [sys.executable, *words],
        env={**environment(hf, folder), **more},
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# WHAT IS THERE


def test_hf_download_brings_every_file_of_the_commit(
    hf: HuggingFace, repo: Repo, tmp_path: Path
) -> None:
    out = run(hf, tmp_path, *HF, "download", "org/tiny", "--format", "quiet")
    assert out.strip().endswith(repo.sha)
    assert read(Path(out.strip())) == FILES
    paths = [seen.path for seen in hf._hub.requests if "/models/" in seen.path]
    assert paths == [
        "/api/models/org/tiny/revision/main",
        f"/api/models/org/tiny/tree/{repo.sha}",
    ]


def test_a_snapshot_holds_the_files_of_its_revision_and_no_others(
    hf: HuggingFace, repo: Repo, tmp_path: Path
) -> None:
    first = repo.sha
    repo.tag("v1")
    repo.commit({"config.json": b"{}", "new.json": b"[]"}, remove=["empty.txt"])
    second = {**FILES, "config.json": b"{}", "new.json": b"[]"}
    del second["empty.txt"]
    assert read(snapshot(hf, tmp_path)) == second
    assert read(snapshot(hf, tmp_path, revision="v1")) == FILES
    assert snapshot(hf, tmp_path, revision="v1").name == first
    repo.branch("feat/x", first)
    repo.commit({"config.json": b"[1]"}, branch="feat/x")
    assert read(snapshot(hf, tmp_path, revision="feat/x"))["config.json"] == b"[1]"
    repo.tag("v1", "main")
    assert read(snapshot(hf, tmp_path, revision="v1")) == second


def test_large_files_come_from_another_origin_by_a_signed_link(tmp_path: Path) -> None:
    with Hub() as hub, Hub() as cdn:
        hf = HuggingFace(hub, cdn)
        hf.add_token(GOOD, repos=["org/tiny"])
        repo = hf.add_repo("org/tiny", FILES, private=True)
        assert read(snapshot(hf, tmp_path, token=GOOD)) == FILES
        where = repo.source("model.safetensors")
        assert where[0] is cdn
        assert cdn.bytes_sent(where[1]) == len(WEIGHTS)
        assert all("Authorization" not in seen.headers for seen in cdn.requests)
        assert any("Authorization" in seen.headers for seen in hub.requests)
        link = httpx.head(
            repo.url("model.safetensors"),
            headers={"Authorization": f"Bearer {GOOD}"},
            trust_env=False,
        ).headers["Location"]
        assert httpx.get(link, trust_env=False).content == WEIGHTS
        both = httpx.get(link, headers={"Authorization": "Bearer x"}, trust_env=False)
        assert both.status_code == 400
        assert httpx.get(cdn.url(where[1]), trust_env=False).status_code == 403
        hf.expire_links()
        assert httpx.get(link, trust_env=False).status_code == 403


def test_the_tree_tells_sizes_and_digests_page_by_page(
    hf: HuggingFace, repo: Repo, client: huggingface_hub.HfApi
) -> None:
    hf.page = 2
    found = {
        entry.path: entry
        for entry in client.list_repo_tree("org/tiny", recursive=True, revision=repo.sha)
    }
    assert set(found) == {*FILES, "onnx", "onnx/notes"}
    asked = [seen for seen in hf._hub.requests if "/tree/" in seen.path]
    assert len(asked) == 4
    for path, content in FILES.items():
        entry = found[path]
        assert entry.size == len(content)
        if path.endswith((".safetensors", ".onnx")):
            assert entry.lfs.sha256 == hashlib.sha256(content).hexdigest()
            assert entry.lfs.size == len(content)
        else:
            blob = b"blob %d\0%s" % (len(content), content)
            assert (entry.lfs, entry.blob_id) == (None, hashlib.sha1(blob).hexdigest())
    inside = client.list_repo_tree("org/tiny", "onnx", expand=True)
    assert [entry.path for entry in inside] == ["onnx/model.onnx", "onnx/notes"]
    with pytest.raises(errors.RemoteEntryNotFoundError):
        list(client.list_repo_tree("org/tiny", "nothing"))


def test_the_model_page_says_what_the_card_does(
    hf: HuggingFace, client: huggingface_hub.HfApi
) -> None:
    card = {
        "pipeline_tag": "fill-mask",
        "license": "apache-2.0",
        "library_name": "transformers",
        "tags": ["tiny", "test"],
    }
    repo = hf.add_repo("tiny-bert", {**FILES}, card={**card, "downloads": 7})
    info = client.model_info("tiny-bert", files_metadata=True)
    assert (info.id, info.sha, info.private, info.gated) == ("tiny-bert", repo.sha, False, False)
    assert (info.pipeline_tag, info.library_name, info.downloads) == (
        "fill-mask",
        "transformers",
        7,
    )
    assert {"license:apache-2.0", "tiny", "transformers"} <= set(info.tags)
    assert info.card_data.to_dict() == card
    assert info.config["model_type"] == "bert"
    sizes = {file.rfilename: file.size for file in info.siblings}
    assert sizes.pop("README.md") > 0
    assert sizes == {path: len(content) for path, content in FILES.items()}


def test_refs_and_search_find_what_there_is(
    hf: HuggingFace, repo: Repo, client: huggingface_hub.HfApi
) -> None:
    repo.tag("v1")
    repo.branch("dev")
    refs = client.list_repo_refs("org/tiny")
    assert {ref.name: ref.target_commit for ref in refs.branches} == {
        "main": repo.sha,
        "dev": repo.sha,
    }
    assert [ref.ref for ref in refs.tags] == ["refs/tags/v1"]
    for number in range(5):
        card = {"pipeline_tag": "fill-mask", "downloads": number}
        hf.add_repo(f"bert/tiny-{number}", {"a": b"x"}, card=card)
    hf.add_repo("bert/hidden-tiny", {"a": b"x"}, private=True)
    hf.page = 2
    found = [model.id for model in client.list_models(search="tiny", sort="downloads")]
    assert found[:2] == ["bert/tiny-4", "bert/tiny-3"]
    assert len(found) == 6
    assert len(list(client.list_models(author="bert", limit=3))) == 3
    assert {model.id for model in client.list_models(filter="fill-mask", search="-0")} == {
        "bert/tiny-0"
    }


def test_a_small_file_can_come_by_way_of_the_cache_of_the_hub(
    hf: HuggingFace, repo: Repo, tmp_path: Path
) -> None:
    hf.cached = True
    assert read(snapshot(hf, tmp_path)) == FILES
    assert any("/api/resolve-cache/" in seen.path for seen in hf._hub.requests)


# WHAT IS NOT


def test_a_renamed_repository_redirects(hf: HuggingFace, repo: Repo, tmp_path: Path) -> None:
    hf.rename("org/tiny", "new/small")
    assert read(snapshot(hf, tmp_path)) == FILES
    head = httpx.head(
        f"{hf.endpoint}/org/tiny/resolve/main/config.json", trust_env=False, follow_redirects=False
    )
    assert (head.status_code, head.headers["Location"]) == (
        307,
        "/new/small/resolve/main/config.json",
    )


def test_what_is_missing_is_named_by_its_error(
    hf: HuggingFace, repo: Repo, client: huggingface_hub.HfApi, tmp_path: Path
) -> None:
    def fetch(name: str, path: str, **options: Any) -> str:
        options = {"endpoint": hf.endpoint, "cache_dir": tmp_path, "token": False, **options}
        return huggingface_hub.hf_hub_download(name, path, **options)

    gone = repo.commit({"x": b"x"})
    repo.forget(gone)
    hf.add_token(GOOD)
    with pytest.raises(errors.RepositoryNotFoundError):
        client.model_info("org/nothing")
    with pytest.raises(errors.RepositoryNotFoundError) as caught:
        client.model_info("org/nothing", token=GOOD)
    assert caught.value.response.status_code == 404
    for revision in ("nothing", "0" * 40, gone):
        with pytest.raises(errors.RevisionNotFoundError):
            client.model_info("org/tiny", revision=revision)
        with pytest.raises(errors.RevisionNotFoundError):
            fetch("org/tiny", "config.json", revision=revision)
    with pytest.raises(errors.RemoteEntryNotFoundError) as missing:
        fetch("org/tiny", "nothing.json")
    assert missing.value.response.headers["X-Repo-Commit"] == repo.sha


def test_private_and_gated_repositories_open_to_the_right_token(
    hf: HuggingFace, client: huggingface_hub.HfApi, tmp_path: Path
) -> None:
    hf.add_repo("org/private", FILES, private=True)
    hf.add_repo("org/gated", FILES, gated=True)
    hf.add_token(GOOD, repos=["org/private", "org/gated"])
    hf.add_token("hf_other", user="eve")
    hf.add_token("hf_old", user="ada", repos=["org/private"], expired=True)
    assert client.whoami(GOOD)["name"] == "ada"
    for token in (False, "hf_other"):
        with pytest.raises(errors.RepositoryNotFoundError):
            snapshot(hf, tmp_path, "org/private", token=token)
    assert client.model_info("org/gated").gated == "auto"
    for token, status in ((False, 401), ("hf_other", 403)):
        with pytest.raises(errors.GatedRepoError) as caught:
            client.hf_hub_download("org/gated", "config.json", token=token, cache_dir=tmp_path)
        assert caught.value.response.status_code == status
    for token in ("hf_unknown", "hf_old"):
        with pytest.raises(errors.HfHubHTTPError) as refused:
            client.whoami(token)
        assert refused.value.response.status_code == 401
    assert "expired" in refused.value.response.headers["X-Error-Message"]
    assert read(snapshot(hf, tmp_path, "org/private", token=GOOD)) == FILES
    assert read(snapshot(hf, tmp_path, "org/gated", token=GOOD)) == FILES


def test_a_rate_limit_tells_when_to_come_back(
    hf: HuggingFace,
    repo: Repo,
    client: huggingface_hub.HfApi,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", pauses.append)
    hf.limit(1, reset=55)
    client.model_info("org/tiny")
    with pytest.raises(errors.HfHubHTTPError, match="Retry after 55 seconds") as caught:
        client.model_info("org/tiny")
    assert caught.value.response.headers["Retry-After"] == "55"
    hf.limit(0, reset=7, refusals=1)
    assert len(list(client.list_repo_tree("org/tiny"))) == 4
    assert pauses == [8.0]


def test_a_mirror_may_omit_headers(hf: HuggingFace, repo: Repo, tmp_path: Path) -> None:
    hf.omit = ("X-Repo-Commit", "X-Linked-ETag", "X-Linked-Size")
    head = httpx.head(repo.url("model.safetensors"), trust_env=False)
    assert head.status_code == 302
    assert not {"x-repo-commit", "x-linked-etag", "x-linked-size"} & set(head.headers)
    with pytest.raises(errors.LocalEntryNotFoundError):
        snapshot(hf, tmp_path)


@pytest.mark.skipif(not have_xet(), reason="hf_xet is not installed")
def test_xet_files_come_out_of_the_storage(hf: HuggingFace, tmp_path: Path) -> None:
    hf.xet = tmp_path / "storage"
    repo = hf.add_repo("org/tiny", FILES)
    out = run(hf, tmp_path / "one", *HF, "download", "org/tiny", "--format", "quiet")
    assert read(Path(out.strip())) == FILES
    asked = [seen.path for seen in hf._hub.requests]
    assert f"/api/models/org/tiny/xet-read-token/{repo.sha}" in asked
    assert repo.source("model.safetensors")[1] not in asked
    off = {"HF_HUB_DISABLE_XET": "1"}
    out = run(hf, tmp_path / "two", *HF, "download", "org/tiny", "--format", "quiet", **off)
    assert read(Path(out.strip())) == FILES
    assert hf._hub.bytes_sent(repo.source("model.safetensors")[1]) == len(WEIGHTS)
    head = httpx.head(repo.url("model.safetensors"), trust_env=False)
    token = httpx.get(head.links["xet-auth"]["url"], trust_env=False)
    assert token.headers["X-Xet-Cas-Url"] == token.json()["casUrl"] == f"local://{hf.xet}"
    assert len(head.headers["X-Xet-Hash"]) == 64


# FAULTS ON TOP


def test_faults_apply_to_both_kinds_of_files(hf: HuggingFace, repo: Repo, tmp_path: Path) -> None:
    repo.fail("config.json", faults.flip(0))
    repo.fail("model.safetensors", faults.flip(0.5))
    got = read(snapshot(hf, tmp_path))
    # The official client checks sizes only, which is why it is no judge of contents.
    assert got["config.json"] == b"z" + FILES["config.json"][1:]
    assert got["model.safetensors"] != WEIGHTS
    assert len(got["model.safetensors"]) == len(WEIGHTS)


OTHER = bytes(reversed(WEIGHTS))


@pytest.mark.parametrize(
    "second",
    [
        faults.replaced_by(OTHER, heed_if_range=False),
        faults.wrong_part(100),
    ],
    ids=["another file", "another part"],
)
def test_the_official_client_stitches_what_it_is_sent(
    hf: HuggingFace,
    repo: Repo,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    second: faults.Fault,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda _: None)
    repo.fail("model.safetensors", faults.cut(100_000), second)
    got = read(snapshot(hf, tmp_path))["model.safetensors"]
    assert len(got) == len(WEIGHTS)
    assert got[:100_000] == WEIGHTS[:100_000]
    assert got[100_000:] != WEIGHTS[100_000:]


def test_text_comes_gzipped_to_those_who_accept_it(hf: HuggingFace, tmp_path: Path) -> None:
    words = b"word\n" * 1000
    repo = hf.add_repo("org/words", {"vocab.txt": words})
    with httpx.Client(trust_env=False) as client:
        packed = client.get(repo.url("vocab.txt"), headers={"Range": "bytes=5-"})
        assert (packed.status_code, packed.content) == (200, words)
        assert packed.headers["Content-Encoding"] == "gzip"
        assert "Content-Length" not in packed.headers
        identity = {"Accept-Encoding": "identity"}
        head = client.head(repo.url("vocab.txt"), headers=identity)
        assert head.headers["Content-Length"] == str(len(words))
        assert packed.headers["ETag"] == f"W/{head.headers['ETag']}"
        part = client.get(repo.url("vocab.txt"), headers={**identity, "Range": "bytes=5-"})
        assert (part.status_code, part.content) == (206, words[5:])
    assert read(snapshot(hf, tmp_path, "org/words")) == {"vocab.txt": words}


def test_an_interrupted_large_file_can_be_continued_at_its_link(
    hf: HuggingFace, repo: Repo
) -> None:
    repo.fail("model.safetensors", faults.cut(0.5))
    with httpx.Client(trust_env=False) as client:
        link = client.head(repo.url("model.safetensors")).headers["Location"]
        with pytest.raises(httpx.RemoteProtocolError):
            client.get(link)
        etag = client.head(link).headers["ETag"]
        assert etag.strip('"') == hashlib.sha256(WEIGHTS).hexdigest()
        rest = client.get(link, headers={"Range": "bytes=1000-", "If-Range": etag})
        assert (rest.status_code, rest.content) == (206, WEIGHTS[1000:])
        repo.fail("model.safetensors", faults.wrong_part(5))
        lie = client.get(link, headers={"Range": "bytes=1000-"})
        assert (lie.status_code, len(lie.content)) == (206, len(WEIGHTS) - 1000)
        assert lie.content != WEIGHTS[1000:]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_ids_are_those_of_git(tmp_path: Path) -> None:
    with Hub() as hub:
        repo = HuggingFace(hub).add_repo("org/tiny", FILES, lfs=1 << 40)
        for path, content in FILES.items():
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(content)
        commands = [["init", "-q"], ["add", "."], ["write-tree"]]
        for words in commands:
            tree = subprocess.run(
                ["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True
            )
        assert repo.commits[repo.sha].trees[""] == tree.stdout.strip()


# TRANSFORMERS

MAKE_AND_LOAD = """
import sys, torch, transformers
config = transformers.BertConfig(
    vocab_size=30, hidden_size=8, num_hidden_layers=2, num_attention_heads=2, intermediate_size=8
)
made = transformers.BertModel(config)
made.save_pretrained(sys.argv[1])
print("made", flush=True)
sys.stdin.readline()
model = transformers.AutoModel.from_pretrained("org/bert")
assert type(model) is transformers.BertModel
for name, value in made.state_dict().items():
    assert torch.equal(model.state_dict()[name], value), name
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("transformers") is None, reason="transformers is not installed")
def test_transformers_loads_a_model_by_its_name(hf: HuggingFace, tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", MAKE_AND_LOAD, tmp_path / "made"],
        env=environment(hf, tmp_path),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        made = process.stdout.readline()
        if made:
            hf.add_repo("org/bert", {path.name: path for path in (tmp_path / "made").iterdir()})
        _, complaint = process.communicate("\n")
    assert process.returncode == 0, complaint
