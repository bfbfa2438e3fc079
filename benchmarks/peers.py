"""The programs that are compared, and how each is asked for the same files.

Only options that make a peer faster or quiet are given, and those that make it
check digests where it can.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from benchmarks.content import Item
from benchmarks.hub import OWNER
from benchmarks.measure import Command
from benchmarks.nginx import Site

HERE = Path(__file__).parent
DURABLE = "verified, durable"
HF_ENV = {
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_UPDATE_CHECK": "1",
}
XET = {"HF_HUB_DISABLE_XET": "0", "TORCHINF_HF_XET": "on"}
GIT_LFS = (
    ("filter.lfs.process", "git-lfs filter-process"),
    ("filter.lfs.smudge", "git-lfs smudge -- %f"),
    ("filter.lfs.clean", "git-lfs clean -- %f"),
    ("filter.lfs.required", "true"),
)
"""What ``git lfs install`` sets."""


@dataclass(frozen=True, slots=True)
class Job:
    """What to bring: files of one folder of a site, which is also a repository of the hub.

    ``revision`` is the commit, where it is known from an earlier time.
    """

    site: Site
    items: Sequence[Item]
    tls: bool = False
    revision: str = ""

    @property
    def repo(self) -> str:
        return self.items[0].repo

    @property
    def base(self) -> str:
        return self.site.https if self.tls else self.site.http

    def url(self, item: Item) -> str:
        return f"{self.base}/{item.path}"

    @property
    def first(self) -> str:
        return self.url(self.items[0])

    @property
    def trust(self) -> dict[str, str]:
        """Variables by which libraries find the server's certificate."""
        names = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "TORCHINF_CA_FILE")
        return dict.fromkeys(names, str(self.site.ca)) if self.tls else {}


Build = Callable[[Job, Path], Command]


@dataclass(frozen=True, slots=True)
class Peer:
    """A program to compare.

    Attributes:
        name: as the table has it.
        needs: its executable, or the module that its script imports.
        build: makes the command that brings a job's files into a folder.
        gives: what it does beyond writing the bytes: ``verified`` when it compares
            the digest, ``durable`` when it also waits for the disk.
        served: False when the bytes are not the server's, but come from a folder.
    """

    name: str
    needs: str
    build: Build
    gives: str = ""
    served: bool = True

    @property
    def missing(self) -> bool:
        return find_program(self.needs) is None and find_spec(self.needs) is None


def find_program(name: str) -> str | None:
    """Path of an executable, those beside this Python first."""
    return shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)


def program(name: str, *arguments: str, **env: str) -> Command:
    return Command([find_program(name) or name, *arguments], env)


def script(name: str, *arguments: str, **env: str) -> Command:
    return Command([sys.executable, str(HERE / "clients" / f"{name}.py"), *arguments], env)


def _script_peer(name: str) -> Build:
    def build(job: Job, out: Path) -> Command:
        item = job.items[0]
        return script(name, job.first, str(out / item.name), item.sha256, **job.trust)

    return build


def curl(job: Job, out: Path) -> Command:
    trust = ["--cacert", str(job.site.ca)] if job.tls else []
    return program("curl", "-sf", *trust, "-o", str(out / "file"), job.first)


def curl_many(job: Job, out: Path) -> Command:
    config = out.parent / "curl.config"
    lines = [f'url = "{job.url(item)}"\noutput = "{out / item.name}"\n' for item in job.items]
    config.write_text("".join(lines))
    return program("curl", "-sfZ", "--parallel-max", "8", "-K", str(config))


def wget(job: Job, out: Path) -> Command:
    trust = [f"--ca-certificate={job.site.ca}"] if job.tls else []
    return program("wget", "-q", *trust, "-O", str(out / "file"), job.first)


def aria2(job: Job, out: Path) -> Command:
    return _aria2(job, out, "-x16", "-s16", "-k1M", job.first)


def aria2_checked(job: Job, out: Path) -> Command:
    digest = f"--checksum=sha-256={job.items[0].sha256}"
    return _aria2(job, out, "-x16", "-s16", "-k1M", digest, job.first)


def aria2_many(job: Job, out: Path) -> Command:
    listing = out.parent / "aria2.list"
    lines = [f"{job.url(item)}\n  out={item.name}\n" for item in job.items]
    listing.write_text("".join(lines))
    return _aria2(job, out, "-j8", "-i", str(listing))


def _aria2(job: Job, out: Path, *arguments: str) -> Command:
    trust = [f"--ca-certificate={job.site.ca}"] if job.tls else []
    common = ["-q", "--no-conf", "--file-allocation=none", "--allow-overwrite", "-d", str(out)]
    return program("aria2c", *common, *trust, *arguments)


def hf(job: Job, out: Path) -> Command:
    """The whole repository, or the one file of it by name."""
    env = HF_ENV | job.trust | {"HF_ENDPOINT": job.base, "HF_HOME": str(out)}
    names = [job.items[0].name] if len(job.items) == 1 else []
    if job.revision:
        names += ["--revision", job.revision]
    return program("hf", "download", f"{OWNER}/{job.repo}", *names, **env)


def hf_xet(job: Job, out: Path) -> Command:
    command = hf(job, out)
    return Command(command.argv, {**command.env, "HF_HUB_DISABLE_XET": "0"})


def git(job: Job, out: Path) -> Command:
    """A clone, large files by git-lfs; a later time only what is new.

    git refuses a folder that is there, so what a killed clone left is removed first.
    """
    clone = str(out / "clone")
    env = {f"GIT_CONFIG_KEY_{number}": key for number, (key, _) in enumerate(GIT_LFS)}
    env |= {f"GIT_CONFIG_VALUE_{number}": value for number, (_, value) in enumerate(GIT_LFS)}
    env |= {"GIT_CONFIG_COUNT": str(len(GIT_LFS)), "GIT_CONFIG_NOSYSTEM": "1"}
    if job.revision:
        return program("git", "-C", clone, "pull", "-q", **env)
    url = f"{job.base}/git/{job.repo}.git"
    return program("sh", "-c", 'rm -rf "$1" && exec git clone -q "$0" "$1"', url, clone, **env)


def torchinf_hf(job: Job, out: Path) -> Command:
    """The whole repository, as people type it."""
    at = f"@{job.revision}" if job.revision else ""
    ref = f"hf:{OWNER}/{job.repo}{at}"
    return program("torchinf", *_download(ref, out), HF_ENDPOINT=job.base, **job.trust)


def torchinf_xet(job: Job, out: Path) -> Command:
    command = torchinf_hf(job, out)
    return Command(command.argv, {**command.env, **HF_ENV, **XET})


def torchinf(job: Job, out: Path) -> Command:
    """The URL with its digest, or the files as one model of the benchmarks' own source."""
    if len(job.items) > 1:
        env = {"PYTHONPATH": str(HERE / "plugin"), "TORCHINF_BENCH_URL": job.base}
        return program("torchinf", *_download(f"bench:{job.repo}", out), **env, **job.trust)
    return program("torchinf", *_download(pinned(job), out), **job.trust)


def torchinf_new(job: Job, out: Path, number: int) -> Command:
    """A download that nothing in the store answers: another URL and name each time."""
    ref = f"{job.first}?number={number}"
    return program("torchinf", *_download(ref, out), "--name", f"new-{number}", **job.trust)


def torchinf_fixed(count: int) -> Peer:
    """torchinf with ``count`` connections, whatever it measures."""

    def build(job: Job, out: Path) -> Command:
        return script("fixed", str(count), *_download(pinned(job), out), **job.trust)

    return Peer(f"torchinf, {count} fixed", "torchinf_core", build, DURABLE)


def pinned(job: Job) -> str:
    return f"{job.first}#sha256={job.items[0].sha256}"


def _download(ref: str, out: Path) -> tuple[str, ...]:
    return "download", ref, "--quiet", "--cache-dir", str(out)


CURL = Peer("curl", "curl", curl)
CURL_MANY = Peer("curl -Z (8)", "curl", curl_many)
WGET = Peer("wget", "wget", wget)
ARIA2 = Peer("aria2c -x16", "aria2c", aria2)
ARIA2_CHECKED = Peer("aria2c -x16 --checksum", "aria2c", aria2_checked, "verified")
ARIA2_MANY = Peer("aria2c -j8", "aria2c", aria2_many)
HF = Peer("hf download", "hf", hf)
HF_HTTP = Peer("hf download, http", "hf", hf)
HF_XET = Peer("hf download, Xet", "hf_xet", hf_xet, served=False)
GIT = Peer("git clone", "git-lfs", git, "verified")
TORCH_HUB = Peer("torch.hub", "torch", _script_peer("torch_hub"), "verified")
POOCH = Peer("pooch", "pooch", _script_peer("pooch_retrieve"), "verified")
REQUESTS = Peer("requests, then sha256", "requests", _script_peer("requests_twice"), "verified")
TORCHINF = Peer("torchinf", "torchinf", torchinf, DURABLE)
TORCHINF_HF = Peer("torchinf", "torchinf", torchinf_hf, DURABLE)
TORCHINF_XET = Peer("torchinf, Xet", "hf_xet", torchinf_xet, DURABLE, served=False)
