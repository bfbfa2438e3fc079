"""From a reference to a plan, over the hub's protocol."""

from collections.abc import Callable

import pytest

from torchinf_core.errors import ModelNotFoundError
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub
from torchinf_core.testing.huggingface import HuggingFace
from torchinf_core.types import Plan, Trust
from torchinf_core.verify import check_plan

Resolve = Callable[..., Plan]
Make = Callable[..., bytes]

CARD = {
    "pipeline_tag": "text-classification",
    "license": "apache-2.0",
    "library_name": "transformers",
    "tags": ["bert", "arxiv:1810.04805", "custom"],
    "base_model": "org/base",
    "language": ["en", "de"],
}


@pytest.fixture
def files(safetensors: Make) -> dict[str, bytes]:
    return {
        "config.json": b'{"model_type": "bert", "architectures": ["BertModel"]}',
        "model.safetensors": safetensors(1),
        "vocab.txt": "größe\n".encode(),
    }


def paths(hub: Hub) -> list[str]:
    return [seen.path for seen in hub.requests]


def test_a_repository_is_resolved_to_its_commit_with_every_digest(
    hub: Hub, hf: HuggingFace, resolve: Resolve, files: dict[str, bytes], settings: Settings
) -> None:
    repo = hf.add_repo("org/tiny", files, card=CARD)

    plan = resolve("hf:org/tiny")

    commit = repo.commits[repo.sha]
    assert (plan.name, plan.revision, plan.format) == ("tiny", repo.sha, "safetensors")
    assert {file.path for file in plan.files} == {*files, "README.md"}
    for file in plan.files:
        blob = commit.files[file.path]
        assert file.url == f"{hf.endpoint}/org/tiny/resolve/{repo.sha}/{file.path}"
        assert file.size == blob.content.size
        assert (file.sha256, file.git_sha1) == (blob.sha256, None if blob.sha256 else blob.oid)
    check_plan(plan, settings)
    assert paths(hub) == ["/api/models/org/tiny", f"/api/models/org/tiny/tree/{repo.sha}"]


def test_the_card_tells_task_license_tags_and_library(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    hf.add_repo("org/tiny", files, card=CARD)

    plan = resolve("hf:org/tiny")

    assert (plan.task, plan.license) == ("text-classification", "apache-2.0")
    assert {"transformers", "bert", "custom", "safetensors"} <= set(plan.tags)
    assert not [tag for tag in plan.tags if ":" in tag]
    assert plan.metadata == {
        "repo": "org/tiny",
        "library": "transformers",
        "pipeline_tag": "text-classification",
        "base_model": "org/base",
        "language": ["en", "de"],
        "model_type": "bert",
        "architectures": ["BertModel"],
    }


def test_branches_tags_and_commits_lead_to_their_own_files(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("org/tiny", files)
    first = repo.sha
    repo.tag("v1.0")
    repo.branch("feat/x")
    second = repo.commit({"config.json": b"{}"})

    assert resolve("hf:org/tiny").revision == second
    for revision in ("v1.0", "feat/x", first):
        assert resolve(f"hf:org/tiny@{revision}").revision == first
    assert resolve(f"hf:org/tiny@{first}") == resolve(f"hf:org/tiny@{first}")


def test_a_repository_without_an_organisation_is_one(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("bert-base-uncased", files)

    plan = resolve("huggingface:bert-base-uncased")

    assert (plan.name, plan.revision) == ("bert-base-uncased", repo.sha)


def test_all_pages_of_a_listing_are_read(
    hub: Hub, hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    hf.page = 7
    many = {f"words/{n:03}.txt": b"%d" % n for n in range(60)}
    hf.add_repo("org/tiny", {**files, **many})

    plan = resolve("hf:org/tiny")

    assert {file.path for file in plan.files} == {*files, *many}
    assert len(hub.requests) == 1 + 10


def test_a_plan_says_of_every_file_what_the_official_client_says(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    hf.page = 2
    hf.add_repo("org/tiny", {**files, "a b/ü#?.txt": b"odd", "x.bin": b"large"})

    plan = resolve("hf:org/tiny", all_files=True)

    listed = HfApi(endpoint=hf.endpoint).list_repo_tree(
        "org/tiny", revision=plan.revision, recursive=True
    )
    told = [item for item in listed if isinstance(item, RepoFile)]
    assert {(f.path, f.size, f.sha256 or f.git_sha1) for f in plan.files} == {
        (item.path, item.size, item.lfs.sha256 if item.lfs else item.blob_id) for item in told
    }


def test_a_mirror_may_omit_the_hubs_own_headers(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("org/tiny", files)
    plain = resolve("hf:org/tiny")

    hf.omit = ("X-Repo-Commit", "X-Linked-ETag", "X-Linked-Size", "ETag")

    assert resolve("hf:org/tiny") == plain
    assert resolve(f"hf:org/tiny@{repo.sha}").files == plain.files


def test_the_endpoint_is_read_when_it_is_needed_and_may_have_a_path(
    hub: Hub, hf: HuggingFace, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"type": "file", "path": "config.json", "size": 2, "oid": "a" * 40}
    sha = "b" * 40
    hub.add("/mirror/api/models/org/m", b'{"id": "org/m", "sha": "%s"}' % sha.encode())
    hub.add(f"/mirror/api/models/org/m/tree/{sha}", str([entry]).replace("'", '"').encode())
    monkeypatch.setenv("HF_ENDPOINT", hub.url("/mirror/"))

    plan = resolve("hf:org/m")

    assert plan.files[0].url == hub.url(f"/mirror/org/m/resolve/{sha}/config.json")


def test_a_path_in_a_repository_is_one_file(hf: HuggingFace, resolve: Resolve, gguf: Make) -> None:
    hf.add_repo("org/tiny-GGUF", {"README.md": b"#", "q/a-Q4_0.gguf": gguf(1), "b.gguf": gguf(2)})

    plan = resolve("hf:org/tiny-GGUF/q/a-Q4_0.gguf")

    assert [file.path for file in plan.files] == ["a-Q4_0.gguf"]
    assert plan.files[0].url.endswith("/q/a-Q4_0.gguf")
    assert (plan.name, plan.notes) == ("tiny-GGUF-q-a-Q4_0", ())


def test_an_onnx_file_comes_with_the_tensors_it_reads(hf: HuggingFace, resolve: Resolve) -> None:
    content = dict.fromkeys(("onnx/m.onnx", "onnx/m.onnx_data", "onnx/n.onnx"), b"x")
    hf.add_repo("org/tiny", content)

    plan = resolve("hf:org/tiny/onnx/m.onnx")

    assert [file.path for file in plan.files] == ["m.onnx", "m.onnx_data"]


def test_a_folder_of_a_repository_is_a_model_of_its_own(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    inside = {f"unet/{path}": content for path, content in files.items()}
    hf.add_repo("org/tiny", {**inside, "vae/config.json": b"{}", "unet/pytorch_model.bin": b"x"})

    plan = resolve("hf:org/tiny/unet")

    assert {file.path for file in plan.files} == set(files)
    assert all("/unet/" in file.url for file in plan.files)
    assert "pytorch_model.bin" in plan.notes[0]


def test_a_renamed_repository_is_followed_with_a_note(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("bert-base-uncased", files)
    hf.rename("bert-base-uncased", "google-bert/bert-base-uncased")

    for revision in ("", f"@{repo.sha}"):
        plan = resolve(f"hf:bert-base-uncased{revision}")
        assert plan.name == "bert-base-uncased"
        assert plan.metadata["repo"] == "google-bert/bert-base-uncased"
        assert "bert-base-uncased is called google-bert/bert-base-uncased now" in plan.notes
        assert all("/google-bert/bert-base-uncased/resolve/" in file.url for file in plan.files)


@pytest.mark.parametrize(
    ("content", "card", "trust"),
    [
        ({"model.safetensors": b""}, {}, Trust.DATA),
        ({"m-Q4_0.gguf": b""}, {}, Trust.DATA),
        ({"pytorch_model.bin": b""}, {}, Trust.PICKLE),
        ({"model.safetensors": b"", "train.py": b""}, {}, Trust.DATA),
        ({"model.safetensors": b"", "modeling_x.py": b""}, {"tags": ["custom_code"]}, Trust.CODE),
        ({"model.safetensors": b""}, {"tags": ["custom_code"]}, Trust.CODE),
    ],
)
def test_trust_is_as_much_as_the_chosen_files_can_do(
    hf: HuggingFace,
    resolve: Resolve,
    content: dict[str, bytes],
    card: dict[str, object],
    trust: Trust,
) -> None:
    hf.add_repo("org/tiny", content, card=card)

    plan = resolve("hf:org/tiny")

    assert plan.trust is trust
    assert any("Python code of its own" in note for note in plan.notes) is (trust is Trust.CODE)


def test_python_files_that_were_asked_for_are_said_to_stay_data(
    hf: HuggingFace, resolve: Resolve
) -> None:
    hf.add_repo("org/tiny", {"model.safetensors": b"", "train.py": b""})

    plan = resolve("hf:org/tiny", all_files=True)

    assert plan.trust is Trust.CODE
    assert plan.notes == ("the Python files among these are kept as data and not run",)


def test_an_odd_path_is_quoted_once(hf: HuggingFace, resolve: Resolve) -> None:
    hf.add_repo("org/tiny", {"a b/ü#%41.txt": b"x"})

    (file,) = resolve("hf:org/tiny").files

    assert file.url.endswith("/a%20b/%C3%BC%23%2541.txt")


def test_what_is_asked_for_in_vain_is_named_with_what_there_is(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("org/tiny", files)
    repo.tag("v1.0")

    with pytest.raises(ModelNotFoundError, match="no model org/tinny") as caught:
        resolve("hf:org/tinny")
    assert "search" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="no revision 'v2") as caught:
        resolve("hf:org/tiny@v2.0")
    assert caught.value.hint == "it has main, v1.0"
    with pytest.raises(ModelNotFoundError, match="no file or folder 'model") as caught:
        resolve("hf:org/tiny/model.safetensor")
    assert "did you mean model.safetensors" in caught.value.hint
    with pytest.raises(ModelNotFoundError, match="no file or folder 'onnx'"):
        resolve("hf:org/tiny/onnx/model.onnx")


def test_a_commit_that_was_pushed_away_is_named(
    hf: HuggingFace, resolve: Resolve, files: dict[str, bytes]
) -> None:
    repo = hf.add_repo("org/tiny", files)
    lost = repo.commit({"config.json": b"{}"})
    repo.forget(lost)

    with pytest.raises(ModelNotFoundError, match="forced push") as caught:
        resolve(f"hf:org/tiny@{lost}")

    assert "org/tiny/commits/main" in caught.value.hint
