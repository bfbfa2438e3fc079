"""GitHub on loopback, judged by git, by an unmodified torch.hub and by zipfile."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
import urllib.parse
import zipfile
from pathlib import Path

import httpx
import pytest

from torchinf_core.testing import Hub, faults
from torchinf_core.testing.github import GitHub, Repo
from torchinf_core.testing.huggingface import HuggingFace
from torchinf_core.testing.pytorch_org import add_checkpoint

HUBCONF = b"""
dependencies = ["torch"]
import torch
from nets.layers import width


def net(pretrained=False):
    "A net."
    made = torch.nn.Linear(width, 1)
    if pretrained:
        url = "https://download.pytorch.org/models/net-DIGITS.pth"
        made.load_state_dict(torch.hub.load_state_dict_from_url(url, check_hash=True))
    return made
"""
FILES = {"hubconf.py": HUBCONF, "nets/__init__.py": b"", "nets/layers.py": b"width = 3\n"}


@pytest.fixture
def github(hub: Hub) -> GitHub:
    return GitHub(hub)


@pytest.fixture
def repo(github: GitHub) -> Repo:
    return github.add_repo("Ada/nets", FILES)


def get(url: str, *, follow: bool = True, **headers: str) -> httpx.Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.get(url, trust_env=False, follow_redirects=follow, headers=fields)


def unzip(reply: httpx.Response) -> tuple[str, str, dict[str, bytes]]:
    """First entry, comment and files of an archive."""
    assert reply.status_code == 200
    with zipfile.ZipFile(io.BytesIO(reply.content)) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        files = {
            name.removeprefix(names[0]): archive.read(name)
            for name in names
            if not name.endswith("/")
        }
        return names[0], archive.comment.decode(), files


def ls_remote(url: str, *words: str) -> list[list[str]]:
    environment = {**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "ls-remote", *words, url]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [line.split("\t") for line in done.stdout.splitlines()]


# REFS


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_ls_remote_tells_the_commit_of_every_ref(github: GitHub, repo: Repo) -> None:
    first = repo.sha
    repo.tag("v1", annotate=True)
    repo.tag("light")
    second = repo.commit({"new.py": b""}, branch="feat/x")
    pulled = github.fork(repo, "eve/nets").commit({"hubconf.py": b"evil"})
    repo.pull(pulled)
    listed = ls_remote(f"{github.web}/Ada/nets.git")
    refs = {name: sha for sha, name in listed}
    assert listed[0] == [first, "HEAD"]
    assert refs.pop("refs/tags/v1") not in (first, second)
    assert refs == {
        "HEAD": first,
        "refs/heads/main": first,
        "refs/heads/feat/x": second,
        "refs/pull/1/head": pulled,
        "refs/tags/light": first,
        "refs/tags/v1^{}": first,
    }
    assert ["ref: refs/heads/main", "HEAD"] in ls_remote(f"{github.web}/ada/nets", "--symref")
    github.rename("Ada/nets", "ada/networks")
    assert ls_remote(f"{github.web}/Ada/nets.git") == listed
    with pytest.raises(RuntimeError):
        ls_remote(f"{github.web}/ada/nothing.git")


def test_the_site_says_which_branches_are_there(github: GitHub, repo: Repo) -> None:
    old = github.add_repo("ada/old", FILES, default="master")
    old.branch("feat/x")
    for path, status in [
        ("Ada/nets/tree/main/", 200),
        ("ADA/NETS/tree/main", 200),
        ("Ada/nets/tree/master/", 404),
        ("ada/old/tree/main/", 404),
        ("ada/old/tree/master/", 200),
        ("ada/old/tree/feat/x", 200),
        ("ada/nothing/tree/main/", 404),
    ]:
        assert get(f"{github.web}/{path}").status_code == status, path


def test_the_api_lists_refs_in_pages(github: GitHub, repo: Repo) -> None:
    for number in range(5):
        repo.branch(f"b{number}")
        repo.tag(f"t{number}")
    url: str | None = f"{github.api}/repos/Ada/nets/branches?per_page=4"
    names = []
    while url:
        reply = get(url)
        names += [branch["name"] for branch in reply.json()]
        assert all(branch["commit"]["sha"] == repo.sha for branch in reply.json())
        url = reply.links.get("next", {}).get("url")
    assert names == ["b0", "b1", "b2", "b3", "b4", "main"]
    assert len(get(f"{github.api}/repos/Ada/nets/tags").json()) == 5
    assert get(f"{github.api}/repos/Ada/nets/tags?page=2").json() == []
    assert get(f"{github.api}/repos/Ada/nets").json()["default_branch"] == "main"
    for ref in ("main", "t1", repo.sha, repo.sha[:8]):
        assert get(f"{github.api}/repos/Ada/nets/commits/{ref}").json()["sha"] == repo.sha
    plain = get(f"{github.api}/repos/Ada/nets/commits/b1", Accept="application/vnd.github.sha")
    assert plain.text == repo.sha
    assert get(f"{github.api}/repos/Ada/nets/commits/none").status_code == 422
    assert get(f"{github.api}/repos/ada/nothing/branches").status_code == 404
    github.rename("Ada/nets", "ada/networks")
    moved = get(f"{github.api}/repos/Ada/nets/branches?per_page=1")
    assert [reply.status_code for reply in moved.history] == [301]
    assert len(moved.json()) == 1


def test_the_api_stops_answering_at_its_limit(github: GitHub, repo: Repo) -> None:
    url = f"{github.api}/repos/Ada/nets"
    github.limit(1, reset=100)
    assert get(url).headers["X-RateLimit-Remaining"] == "0"
    refused = get(url)
    assert (refused.status_code, refused.headers["X-RateLimit-Remaining"]) == (403, "0")
    assert "rate limit exceeded" in refused.json()["message"]
    assert 0 < int(refused.headers["X-RateLimit-Reset"]) - time.time() <= 101
    github.add_token("ghp_good")
    assert get(url, Authorization="token ghp_good").status_code == 200
    assert get(url, Authorization="Bearer ghp_good").status_code == 200
    assert get(url, Authorization="token other").status_code == 401


# ARCHIVES


def test_an_archive_comes_from_another_origin_with_its_commit_in_it(
    github: GitHub, repo: Repo
) -> None:
    first = repo.sha
    repo.tag("v1.0")
    second = repo.commit({"new.py": b"x"}, branch="feat/x", remove=["nets/__init__.py"])
    other = {**FILES, "new.py": b"x"}
    del other["nets/__init__.py"]
    for path, root, sha, files in [
        ("zipball/main", f"Ada-nets-{first[:7]}/", first, FILES),
        ("zipball/v1.0", f"Ada-nets-{first[:7]}/", first, FILES),
        ("zipball/refs/heads/feat/x", f"Ada-nets-{second[:7]}/", second, other),
        (f"zipball/{second}", f"Ada-nets-{second[:7]}/", second, other),
        ("archive/main.zip", "nets-main/", first, FILES),
        ("archive/refs/tags/v1.0.zip", "nets-1.0/", first, FILES),
        ("archive/feat/x.zip", "nets-feat-x/", second, other),
        (f"archive/{first}.zip", f"nets-{first}/", first, FILES),
    ]:
        reply = get(f"{github.web}/Ada/nets/{path}")
        assert unzip(reply) == (root, sha, files)
        assert [step.status_code for step in reply.history] == [302]
        hosts = [urllib.parse.urlsplit(str(step.url)).hostname for step in (*reply.history, reply)]
        assert hosts == ["127.0.0.1", "localhost"]
        assert "Content-Length" not in reply.headers
    for path in ("zipball/none", "archive/none.zip", "archive/main.rar"):
        assert get(f"{github.web}/Ada/nets/{path}").status_code == 404


def test_a_branch_and_a_tag_of_one_name_are_ambiguous(github: GitHub, repo: Repo) -> None:
    repo.tag("x")
    repo.commit({"new.py": b"x"}, branch="x")
    assert get(f"{github.web}/Ada/nets/zipball/x").status_code == 300
    branch = get(f"{github.web}/Ada/nets/zipball/refs/heads/x")
    tag = get(f"{github.web}/Ada/nets/zipball/refs/tags/x")
    assert (unzip(branch)[1], unzip(tag)[1]) == (repo.branches["x"], repo.tags["x"])
    assert repo.branches["x"] != repo.tags["x"]


def test_the_commit_of_a_fork_can_be_had_from_the_original(github: GitHub, repo: Repo) -> None:
    evil = github.fork(repo, "eve/nets").commit({"hubconf.py": b"evil"})
    assert unzip(get(f"{github.web}/Ada/nets/zipball/{evil}"))[1] == evil
    branches = get(f"{github.api}/repos/Ada/nets/branches").json()
    assert [branch["commit"]["sha"] for branch in branches] == [repo.sha]
    assert repo.sha != evil


def test_two_hubs_fit_on_one(hub: Hub, github: GitHub, repo: Repo) -> None:
    hf = HuggingFace(hub)
    small = hf.add_repo("Ada/nets", {"config.json": b"{}"})
    assert get(small.url("config.json")).content == b"{}"
    assert get(f"{hf.endpoint}/api/models/Ada/nets").json()["sha"] == small.sha
    assert get(f"{github.api}/repos/Ada/nets/commits/main").json()["sha"] == repo.sha
    assert unzip(get(f"{github.web}/Ada/nets/zipball/main"))[1] == repo.sha


def test_faults_apply_to_archives(hub: Hub, github: GitHub, repo: Repo) -> None:
    hub.fail(repo.codeload_path(), faults.cut(0.5), faults.flip())
    url = f"{github.web}/Ada/nets/zipball/main"
    with pytest.raises(httpx.RemoteProtocolError):
        get(url)
    damaged = get(url).content
    assert get(url).content != damaged
    assert len(get(url).content) == len(damaged)


# TORCH.HUB

PLAY = """
import sys, warnings
from torchinf_core.testing.detour import send_https_to
send_https_to(int(sys.argv[1]))
fork = sys.argv[2]
import torch
torch.hub.set_dir(sys.argv[3])

def load(repo, **options):
    for name in [name for name in sys.modules if name.split(".")[0] == "nets"]:
        del sys.modules[name]  # torch.hub leaves the modules of one repository to the next
    return torch.hub.load(repo, "net", trust_repo=True, verbose=False, **options)

assert load("Ada/nets").weight.shape == (1, 3)
assert load("Ada/nets:v1").weight.shape == (1, 3)
assert load("Ada/nets:feat/wide").weight.shape == (1, 7)
assert load("ada/old").weight.shape == (1, 3)
assert torch.equal(load("Ada/nets", pretrained=True).weight, torch.ones(1, 3))
assert torch.hub.list("Ada/nets", trust_repo=True, verbose=False) == ["net"]
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    assert load("Ada/nets:both").weight.shape == (1, 7)
assert "ambiguous" in str(seen[0].message), seen
for missing in (fork, "none"):
    try:
        load("Ada/nets:" + missing)
    except ValueError as error:
        assert "forked repo" in str(error), error
    else:
        raise AssertionError(missing)
try:
    torch.hub.load_state_dict_from_url(
        "https://download.pytorch.org/models/bad-00000000.pth", check_hash=True
    )
except RuntimeError as error:
    assert "invalid hash" in str(error), error
else:
    raise AssertionError("a wrong hash")
"""


@pytest.mark.slow
def test_an_unmodified_torch_hub_loads_from_it(hub: Hub, github: GitHub, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    weights = io.BytesIO()
    torch.save({"weight": torch.ones(1, 3), "bias": torch.zeros(1)}, weights)
    url = add_checkpoint(hub, "net", weights.getvalue())
    add_checkpoint(hub, "bad", weights.getvalue(), digest="00000000")
    digits = url[-12:-4].encode()
    files = {**FILES, "hubconf.py": HUBCONF.replace(b"DIGITS", digits)}
    repo = github.add_repo("Ada/nets", files)
    repo.tag("v1")
    repo.tag("both")
    wide = repo.commit({"nets/layers.py": b"width = 7\n"}, branch="feat/wide")
    repo.branch("both", wide)
    fork = github.fork(repo, "eve/nets").commit({"hubconf.py": b"evil"})
    github.add_repo("ada/old", files, default="master")
    done = subprocess.run(
        [sys.executable, "-c", PLAY, str(httpx.URL(hub.url()).port), fork, tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    asked = {(seen.headers["Host"], seen.path) for seen in hub.requests}
    assert {
        ("github.com", "/Ada/nets/tree/main/"),
        ("api.github.com", "/repos/Ada/nets/branches"),
        ("github.com", "/Ada/nets/zipball/main"),
        ("codeload.github.com", "/Ada/nets/legacy.zip/main"),
        ("download.pytorch.org", f"/models/net-{digits.decode()}.pth"),
    } <= asked
