"""From a reference to a plan: what is asked of GitHub, and what comes of it."""

import hashlib
import os
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from torchinf_core.errors import (
    AccessDeniedError,
    FormatError,
    IntegrityError,
    ModelNotFoundError,
    NetworkError,
    OfflineError,
    OptionError,
    PolicyError,
    RefError,
    SizeLimitError,
    SourceError,
    UsageError,
)
from torchinf_core.plugins import load_plugins
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub, faults, plain
from torchinf_core.testing.github import GitHub, Repo
from torchinf_core.types import Plan, Trust
from torchinf_core.verify import check_plan
from torchinf_hub import snapshots
from torchinf_hub.plans import digest_in_name, plan_weights
from torchinf_hub.reading import Weights
from torchinf_hub.reading.names import Download

Publish = Callable[..., Repo]
Resolve = Callable[..., Plan]

URL = "https://download.example/net-0123abcd.pth"
HUBCONF = f"""
dependencies = ["torch", "absent_module", "PIL", "rm -rf; x"]
import torch


def net(pretrained=False, width=3):
    '''
    A net.

    More of it.
    '''
    if pretrained:
        torch.hub.load_state_dict_from_url({URL!r})


def other():
    "Another."
"""
FILES = {"hubconf.py": HUBCONF, "nets/__init__.py": "", "nets/layers.py": "width = 3\n"}


@pytest.fixture
def repo(publish: Publish) -> Repo:
    return publish("Ada/nets", FILES)


def asked(hub: Hub) -> list[str]:
    return [exchange.path for exchange in hub.requests]


# THE PLAN


def test_a_plan_has_the_archive_of_a_commit_and_the_weights_of_the_entry(
    hub: Hub, repo: Repo, resolve: Resolve, settings: Settings
) -> None:
    plan = resolve("hub:Ada/nets/net")

    check_plan(plan, settings)
    code, weights = plan.files
    assert (plan.name, plan.revision, plan.trust) == ("net", repo.sha, Trust.CODE)
    assert (plan.format, plan.description) == ("torchhub", "A net.")
    assert code.url == hub.url(f"/Ada/nets/zipball/{repo.sha}")
    assert (code.unpack, code.strip, code.observed) == (True, 1, True)
    assert hashlib.sha256(Path(code.local[0]).read_bytes()).hexdigest() == code.sha256
    assert code.size == Path(code.local[0]).stat().st_size
    assert (weights.path, weights.url) == ("weights/net-0123abcd.pth", URL)
    assert (weights.sha256_prefix, weights.size) == ("0123abcd", None)
    assert plan.metadata["entry_points"] == {"net": "A net.", "other": "Another."}
    assert plan.metadata["documentation"] == "A net.\n\nMore of it."
    assert plan.metadata["arguments"] == {"pretrained": True}
    assert plan.metadata["weights"] == [{"url": URL, "path": weights.path}]
    assert {key: plan.metadata[key] for key in ("owner", "repo", "ref", "commit", "entry")} == {
        "owner": "Ada",
        "repo": "nets",
        "ref": "refs/heads/main",
        "commit": repo.sha,
        "entry": "net",
    }


def test_two_requests_are_enough_and_none_goes_to_the_api(
    hub: Hub, repo: Repo, resolve: Resolve
) -> None:
    resolve("hub:Ada/nets/net")
    assert asked(hub) == [
        "/Ada/nets.git/info/refs",
        f"/Ada/nets/zipball/{repo.sha}",
        f"/_codeload/Ada/nets/legacy.zip/{repo.sha}",
    ]


def test_the_same_commit_gives_the_same_plan_and_is_fetched_once(
    hub: Hub, repo: Repo, resolve: Resolve
) -> None:
    repo.branch("other/name")
    repo.tag("v1", annotate=True)
    plans = [
        resolve(ref)
        for ref in (
            "hub:Ada/nets/net",
            "pytorch_hub:Ada/nets/net",
            "hub:Ada/nets:other/name/net",
            "hub:Ada/nets:v1/net",
            "hub:Ada/nets/net@v1",
            f"hub:Ada/nets/net@{repo.sha}",
            f"hub:Ada/nets:{repo.sha[:8]}/net",
        )
    ]
    assert {plan.files for plan in plans} == {plans[0].files}
    assert {plan.metadata["code_sha256"] for plan in plans} == {plans[0].metadata["code_sha256"]}
    assert sum("zipball" in path for path in asked(hub)) == 1


def test_other_code_has_another_digest(repo: Repo, resolve: Resolve) -> None:
    before = resolve("hub:Ada/nets/net")
    repo.commit({"nets/layers.py": b"width = 4\n"})
    after = resolve("hub:Ada/nets/net")
    assert before.metadata["code_sha256"] != after.metadata["code_sha256"]
    assert before.revision != after.revision


def test_without_weights_the_code_alone_is_planned(repo: Repo, resolve: Resolve) -> None:
    bare = resolve("hub:Ada/nets/net", pretrained=False)
    assert [file.unpack for file in bare.files] == [True]
    assert bare.metadata["arguments"] == {"pretrained": False}
    other = resolve("hub:Ada/nets/other", pretrained=False)
    assert other.metadata["arguments"] == {}
    assert any("no argument 'pretrained'" in note for note in other.notes)


def test_arguments_are_recorded_and_checked_against_the_entry(repo: Repo, resolve: Resolve) -> None:
    plan = resolve("hub:Ada/nets/net", arguments={"width": 4})
    assert plan.metadata["arguments"] == {"pretrained": True, "width": 4}
    for wrong in ({"depth": 4}, {"not a name": 1}, [1], "x"):
        with pytest.raises(OptionError):
            resolve("hub:Ada/nets/net", arguments=wrong)
    with pytest.raises(OptionError):
        resolve("hub:Ada/nets/net", pretrained="perhaps")


def test_the_user_is_told_what_is_missing_and_what_is_left_open(
    repo: Repo, publish: Publish, resolve: Resolve
) -> None:
    notes = " | ".join(resolve("hub:Ada/nets/net").notes)
    assert "needs absent_module, rm -rf; x, not installed here" in notes
    assert "pip install absent_module" in notes
    assert "pip install absent_module rm" not in notes
    publish(
        "bob/nets",
        {
            "hubconf.py": "import torch\ndef net(where):\n"
            "    torch.hub.load('eve/nets', 'x')\n"
            "    torch.hub.load_state_dict_from_url('http://example.com/a.pth')\n"
            "    torch.hub.load_state_dict_from_url(where)\n"
        },
    )
    notes = " | ".join(resolve("hub:bob/nets/net").notes)
    assert "the code of another repository: eve/nets" in notes
    assert "without encryption" in notes
    assert "torchinf hub capture" in notes
    assert "computed when the code runs" in notes


def test_weights_go_where_the_code_has_nothing() -> None:
    found = Weights(
        (
            Download("https://a.example/x/net.pth"),
            Download("https://b.example/y/NET.pth?token=1"),
            Download("https://b.example/%2e%2e%2fx"),
            Download("https://["),
            Download("https://a b/c.pth"),
        )
    )
    paths = [file.path for file in plan_weights(found, {"Weights/README": "", "weights-2": ""})]
    assert paths[:2] == ["weights-3/net.pth", "weights-3/1-NET.pth"]
    assert len(paths) == 3
    assert all(path.startswith("weights-3/") and ".." not in path for path in paths)


@pytest.mark.parametrize(
    ("name", "checked", "digits"),
    [
        ("net-0123abcd.pth", False, "0123abcd"),
        (f"net-{'ab' * 32}.pth", False, "ab" * 32),
        ("net-0123abc.pth", False, None),
        ("net_0123abcd.pth", False, None),
        ("net-20200131.pth", False, None),
        ("net-20200131.pth", True, "20200131"),
        ("net-31415926.pth?x=-0123abcd.", False, "31415926"),
    ],
)
def test_digits_in_a_name_are_a_digest_unless_they_are_a_date(
    name: str, checked: bool, digits: str | None
) -> None:
    assert digest_in_name(f"https://example.com/{name}", checked=checked) == digits


# SEARCH


def test_a_repository_is_searched_for_its_entry_points(repo: Repo, settings: Settings) -> None:
    repo.tag("v1")

    def search(pattern: str) -> list[tuple[str, str]]:
        hits = load_plugins(settings).search("hub", pattern, 50, settings)
        return [(hit.ref, hit.description) for hit in hits]

    net, other = ("hub:Ada/nets/net", "A net."), ("hub:Ada/nets/other", "Another.")
    assert search("Ada/nets") == search("Ada/nets/") == search("Ada/nets *") == [net, other]
    assert search("Ada/nets NE") == search("Ada/nets n*") == [net]
    assert search("Ada/nets:v1 oth") == [("hub:Ada/nets:v1/other", "Another.")]
    assert search("Ada/nets nothing") == []
    for pattern in ("*", "", "resnet"):
        with pytest.raises(UsageError) as caught:
            search(pattern)
        assert "torchinf search hub pytorch/vision" in caught.value.hint
    with pytest.raises(RefError):
        search("a/b/c")


def test_a_directory_is_searched_too(tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "hubconf.py").write_text("def net(): 'Mine.'")
    hits = load_plugins(settings).search("hub", str(tmp_path), 50, settings)
    assert [(hit.ref, hit.description) for hit in hits] == [(f"hub:{tmp_path}/net", "Mine.")]


# DIRECTORIES


def test_a_directory_is_planned_file_by_file(
    tmp_path: Path, resolve: Resolve, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "my repo"
    for path, text in {**FILES, ".git/config": "x", "nets/__pycache__/layers.pyc": "x"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "link").symlink_to("/etc/passwd")
    monkeypatch.chdir(tmp_path)

    plan = resolve("hub:./my repo/net", replace(settings, offline=True))

    check_plan(plan, settings)
    assert sorted(file.path for file in plan.files) == sorted([*FILES, "weights/net-0123abcd.pth"])
    assert plan.revision is None
    assert plan.metadata["directory"] == str(root)
    assert any("link is a link" in note for note in plan.notes)
    with pytest.raises(ModelNotFoundError, match="no directory"):
        resolve("hub:./elsewhere/net")
    with pytest.raises(ModelNotFoundError, match=r"no hubconf\.py"):
        resolve(f"hub:{tmp_path}/net")


# ERRORS


@pytest.mark.parametrize(
    ("ref", "said", "hint"),
    [
        ("hub:Ada/nothing/net", "no repository Ada/nothing", "TORCHINF_TOKEN_GITHUB_COM"),
        ("hub:Ada/nets:v9/net", "no branch or tag 'v9'", "main"),
        ("hub:Ada/nets:abcdef12/net", "nor one at a commit", "all their 40"),
        (f"hub:Ada/nets/net@{'9' * 40}", f"no commit {'9' * 40} of Ada/nets", "pushed away"),
        ("hub:Ada/nets/nett", "no entry point 'nett'", "did you mean net?"),
        ("hub:Ada/nets/zebra", "no entry point 'zebra'", "it has net, other"),
    ],
)
def test_what_is_not_there_is_not_found_with_the_next_step(
    repo: Repo, resolve: Resolve, ref: str, said: str, hint: str
) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        resolve(ref)
    assert said in str(caught.value)
    assert hint in caught.value.hint


def test_a_commit_that_was_pushed_away_is_not_found(repo: Repo, resolve: Resolve) -> None:
    lost = repo.commit({"x": b"1"})
    repo.forget(lost)
    with pytest.raises(ModelNotFoundError, match=lost):
        resolve(f"hub:Ada/nets/net@{lost}")


def test_a_commit_of_a_fork_is_taken_only_by_its_whole_id_and_with_a_warning(
    github: GitHub, repo: Repo, resolve: Resolve
) -> None:
    foreign = github.fork(repo, "eve/nets").commit({"hubconf.py": b"def net(): 'Evil.'"})
    repo.pull(foreign)

    for ref in (foreign[:10], "refs/pull/1/head"):
        with pytest.raises(ModelNotFoundError):
            resolve(f"hub:Ada/nets:{ref}/net")
    plan = resolve(f"hub:Ada/nets/net@{foreign}")

    assert any("fork" in note for note in plan.notes)
    assert plan.metadata["ref"] is None


def test_a_name_that_is_a_branch_and_a_tag_has_to_be_written_out(
    repo: Repo, resolve: Resolve
) -> None:
    repo.tag("v1")
    repo.commit({"x": b"1"})
    repo.branch("v1")
    with pytest.raises(RefError) as caught:
        resolve("hub:Ada/nets:v1/net")
    assert "refs/heads/v1 or refs/tags/v1" in caught.value.hint
    assert resolve("hub:Ada/nets:refs/tags/v1/net").revision == repo.tags["v1"]
    assert resolve("hub:Ada/nets:refs/heads/v1/net").revision == repo.branches["v1"]


def test_a_renamed_repository_is_found_and_told(
    github: GitHub, repo: Repo, resolve: Resolve
) -> None:
    github.rename("Ada/nets", "Ada/networks")
    plan = resolve("hub:Ada/nets/net")
    assert any("Ada/networks now" in note for note in plan.notes)


def test_a_repository_without_hubconf_is_none_of_pytorch_hub(
    publish: Publish, resolve: Resolve
) -> None:
    publish("ada/texts", {"README.md": "x", "sub/hubconf.py": "def net(): ..."})
    with pytest.raises(ModelNotFoundError, match=r"no hubconf\.py") as caught:
        resolve("hub:ada/texts/net")
    assert "another branch" in caught.value.hint


def test_a_hubconf_that_is_not_python_is_a_format_error(publish: Publish, resolve: Resolve) -> None:
    publish("ada/nets", {"hubconf.py": "def net(:"})
    with pytest.raises(FormatError, match=r"ada/nets at .*hubconf\.py, line 1"):
        resolve("hub:ada/nets/net")


def test_a_name_whose_value_only_a_run_tells_may_be_an_entry(
    publish: Publish, resolve: Resolve
) -> None:
    publish("ada/nets", {"hubconf.py": "from timm.models import net\nother = make()"})
    assert resolve("hub:ada/nets/net").name == "net"
    assert resolve("hub:ada/nets/other", arguments={"x": 1}).metadata["arguments"] == {"x": 1}


REFS = "/Ada/nets.git/info/refs"


@pytest.mark.parametrize("path", [REFS, "archive"])
@pytest.mark.parametrize("status", [403, 429])
def test_a_limit_says_when_it_ends(
    hub: Hub, repo: Repo, resolve: Resolve, path: str, status: int
) -> None:
    path = repo.codeload_path(repo.sha) if path == "archive" else path
    reset = int(time.time()) + 3600
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    hub.route(path, lambda _: plain(status, "slow down", headers))
    with pytest.raises(SourceError, match="no more requests for now; it counts anew") as caught:
        resolve("hub:Ada/nets/net")
    assert time.strftime("%H:%M", time.gmtime(reset)) in str(caught.value)
    assert "TORCHINF_TOKEN_GITHUB_COM" in caught.value.hint


def test_a_limit_without_an_hour_says_how_long(hub: Hub, repo: Repo, resolve: Resolve) -> None:
    hub.route(REFS, lambda _: plain(429, "", {"Retry-After": "17"}))
    with pytest.raises(SourceError, match="wait for 17 seconds"):
        resolve("hub:Ada/nets/net")


def test_a_token_is_sent_as_git_does_and_a_refused_one_is_told(
    hub: Hub, repo: Repo, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")
    resolve("hub:Ada/nets/net")
    assert hub.requests[0].headers["Authorization"].startswith("Basic ")
    with pytest.raises(AccessDeniedError) as caught:
        resolve("hub:Ada/nothing/net")
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    codeload = [e for e in hub.requests if e.path.startswith("/_codeload")]
    assert all("Authorization" not in exchange.headers for exchange in codeload)


@pytest.mark.parametrize("status", [500, 418])
def test_another_answer_is_told_as_it_is(
    hub: Hub, repo: Repo, resolve: Resolve, status: int
) -> None:
    hub.route(REFS, lambda _: plain(status))
    with pytest.raises(SourceError, match=str(status)):
        resolve("hub:Ada/nets/net")


def test_a_login_page_is_no_list_of_refs(hub: Hub, repo: Repo, resolve: Resolve) -> None:
    hub.route(REFS, lambda _: plain(200, "<!doctype html>"))
    with pytest.raises(SourceError, match="can't be read"):
        resolve("hub:Ada/nets/net")


def test_the_archive_of_another_commit_is_refused(hub: Hub, repo: Repo, resolve: Resolve) -> None:
    wrong = repo.archive(repo.commits[repo.sha], "Ada-nets-0")
    newer = repo.commit({"x": b"1"})
    hub.add(repo.codeload_path(newer), wrong.raw)
    with pytest.raises(IntegrityError, match="is of commit"):
        resolve("hub:Ada/nets/net")


def packed(comment: bytes = b"") -> bytes:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("r/hubconf.py"), "def net(): ...")
        archive.comment = comment
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>", FormatError),
        (b"", FormatError),
        (packed(), FormatError),
        (packed(b"short"), FormatError),
        (packed(b"x" * 41), FormatError),
        (packed(b"x" * 40), IntegrityError),
        (b"PK\3\4" + packed(b"x" * 40)[50:], IntegrityError),
    ],
)
def test_what_is_no_archive_of_the_commit_is_refused(
    hub: Hub, repo: Repo, resolve: Resolve, body: bytes, kind: type[Exception]
) -> None:
    hub.add(repo.codeload_path(repo.sha), body)
    with pytest.raises(kind):
        resolve("hub:Ada/nets/net")


def test_an_archive_with_any_byte_changed_is_refused_or_holds_the_same_code(
    hub: Hub, publish: Publish, resolve: Resolve
) -> None:
    repo = publish("Ada/nets", {"hubconf.py": "def net(): ..."})
    whole = resolve("hub:Ada/nets/net")
    body = repo.archive(repo.commits[repo.sha], "r").raw
    accepted = links = 0
    for place in range(len(body)):
        flipped = bytearray(body)
        flipped[place] ^= 1 << place % 8
        hub.add(repo.codeload_path(repo.sha), bytes(flipped))
        snapshots._kept.clear()
        try:
            plan = resolve("hub:Ada/nets/net")
        except IntegrityError:
            continue
        except PolicyError:  # one bit makes a link of a file, and it leads nowhere
            links += 1
            continue
        accepted += 1
        assert plan.metadata["code_sha256"] == whole.metadata["code_sha256"], place
    assert links <= 1
    assert accepted < len(body) / 4  # times, versions and rights, which nobody reads


def test_an_archive_that_arrived_damaged_is_fetched_anew(
    hub: Hub, repo: Repo, resolve: Resolve
) -> None:
    hub.fail(repo.codeload_path(repo.sha), faults.flip())
    with pytest.raises(IntegrityError, match="arrived damaged"):
        resolve("hub:Ada/nets/net")
    assert resolve("hub:Ada/nets/net").files


def test_an_archive_that_reaches_outside_is_refused(
    hub: Hub, repo: Repo, resolve: Resolve, tmp_path: Path
) -> None:
    import io

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("r/hubconf.py"), "def net(): ...")
        archive.writestr(zipfile.ZipInfo("r/../../outside"), "x")
        archive.comment = repo.sha.encode()
    hub.add(repo.codeload_path(repo.sha), buffer.getvalue())
    with pytest.raises((FormatError, PolicyError)):
        resolve("hub:Ada/nets/net")


@pytest.mark.parametrize("length", [True, False])
def test_an_archive_above_the_limit_is_not_fetched_to_its_end(
    hub: Hub, publish: Publish, resolve: Resolve, monkeypatch: pytest.MonkeyPatch, length: bool
) -> None:
    repo = publish("Ada/nets", {**FILES, "noise": os.urandom(3_000_000)})
    if length:
        hub.add(repo.codeload_path(repo.sha), repo.archive(repo.commits[repo.sha], "r").raw)
    monkeypatch.setenv("TORCHINF_HUB_MAX_ARCHIVE", "100k")
    with pytest.raises(SizeLimitError, match="larger than 100000") as caught:
        resolve("hub:Ada/nets/net")
    assert "TORCHINF_HUB_MAX_ARCHIVE" in caught.value.hint
    monkeypatch.setenv("TORCHINF_HUB_MAX_ARCHIVE", "10M")
    assert resolve("hub:Ada/nets/net").revision == repo.sha


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("MAX_ARCHIVE", "many"),
        ("GITHUB", "github.com"),
        ("GITHUB", "https://h/?x"),
        ("GITHUB", "x"),
    ],
)
def test_a_setting_that_means_nothing_is_an_error(
    repo: Repo, resolve: Resolve, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    monkeypatch.setenv(f"TORCHINF_HUB_{key}", value)
    with pytest.raises(UsageError, match=key.lower()):
        resolve("hub:Ada/nets/net")


def test_a_connection_that_breaks_is_a_network_error(
    hub: Hub, repo: Repo, resolve: Resolve
) -> None:
    hub.fail(repo.codeload_path(repo.sha), faults.cut(0.5).repeat(9))
    with pytest.raises(NetworkError):
        resolve("hub:Ada/nets/net")


def test_offline_mode_makes_no_connection(
    hub: Hub, repo: Repo, resolve: Resolve, settings: Settings
) -> None:
    with pytest.raises(OfflineError):
        resolve("hub:Ada/nets/net", replace(settings, offline=True))
    assert hub.requests == []
    assert hub.connections == 0


# WHAT IS LEFT


def test_nothing_of_a_plan_stays_behind_but_the_latest_archives(
    publish: Publish, resolve: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(snapshots, "_kept", type(snapshots._kept)())
    for number in range(6):
        publish(f"ada/nets{number}", {"hubconf.py": f"def net(): {number}"})
        resolve(f"hub:ada/nets{number}/net")
    with pytest.raises(ModelNotFoundError):
        resolve("hub:ada/nets0/absent")
    left = [path.relative_to(tmp_path).name for path in tmp_path.rglob("*.zip")]
    assert len(left) == snapshots.KEPT
    assert len(list(tmp_path.glob("torchinf-hub-*"))) == snapshots.KEPT


def test_archives_go_with_the_process(repo: Repo, hub: Hub, tmp_path: Path) -> None:
    import subprocess
    import sys

    code = (
        "from torchinf_core.manager import ModelDownloader\n"
        f"plan = ModelDownloader(cache_dir={str(tmp_path / 'store')!r}).plan('hub:Ada/nets/net')\n"
        "import os; assert os.path.exists(plan.files[0].local[0])\n"
    )
    folder = tmp_path / "tmp"
    folder.mkdir()
    environment = {**os.environ, "TMPDIR": str(folder)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=60)
    assert list(folder.iterdir()) == []


def test_a_temporary_directory_that_can_not_be_made_is_a_store_error(
    repo: Repo, resolve: Resolve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torchinf_core.errors import StoreError

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    monkeypatch.setattr(snapshots, "_kept", type(snapshots._kept)())
    with pytest.raises(StoreError):
        resolve("hub:Ada/nets/net")
