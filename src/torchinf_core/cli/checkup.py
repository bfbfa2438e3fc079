"""What ``torchinf doctor`` looks at.  Nothing is sent anywhere."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from torchinf_core import __version__
from torchinf_core.cli import output
from torchinf_core.errors import TorchinfError
from torchinf_core.frozen import dataclass

if TYPE_CHECKING:
    from torchinf_core.manager import ModelDownloader


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        check: what, in a word.
        state: ``ok``, ``warn`` or ``fail``.
        detail: what was found.
        hint: the next step, or ``""``.
        status: exit status that a failure stands for.
    """

    check: str
    state: str
    detail: str
    hint: str = ""
    status: int = 0


def examine(downloader: ModelDownloader) -> list[Finding]:
    """Look at everything; a check that breaks is itself a finding."""
    findings: list[Finding] = []
    for check in CHECKS:
        try:
            findings += check(downloader)
        except TorchinfError as error:
            word = check.__name__.lstrip("_")
            findings.append(Finding(word, "fail", str(error), error.hint, error.exit_code))
    return findings


def _program(_: ModelDownloader) -> Iterator[Finding]:
    yield Finding(
        "program",
        "ok",
        f"torchinf {__version__}, Python {platform.python_version()}, {platform.platform()}",
    )


def _settings(downloader: ModelDownloader) -> Iterator[Finding]:
    changed = {
        key: origin for key, origin in downloader.settings.origins.items() if origin != "default"
    }
    told = ", ".join(f"{key} from {origin}" for key, origin in sorted(changed.items()))
    yield Finding("settings", "ok", told or "all at their defaults")
    if downloader.settings.offline:
        yield Finding("settings", "warn", "offline mode is on: nothing can be downloaded")


def _store(downloader: ModelDownloader) -> Iterator[Finding]:
    root = downloader.cache_dir
    if not root.exists():
        parent = _nearest(root)
        if os.access(parent, os.W_OK):
            yield Finding("store", "ok", f"{root} will be made by the first download")
        else:
            yield Finding(
                "store",
                "fail",
                f"{root} can't be made: {parent} is not writable",
                "--cache-dir or TORCHINF_CACHE_DIR names another place",
                6,
            )
        return
    downloader.store.prepare()
    listing = downloader.registry.records()
    usage = downloader.store.usage()
    yield Finding(
        "store",
        "ok",
        f"{root}: {output.plural(len(listing.records), 'model')}, {output.size(usage.total)}",
    )
    if listing.damaged:
        yield Finding(
            "store",
            "fail",
            f"{output.plural(len(listing.damaged), 'record')} damaged",
            "torchinf fsck --repair",
            6,
        )


def _disk(downloader: ModelDownloader) -> Iterator[Finding]:
    where = _nearest(downloader.cache_dir)
    status = os.statvfs(where)
    free = status.f_bavail * status.f_frsize
    kind = file_system(where)
    detail = f"{output.size(free)} free on {kind or 'an unknown file system'}"
    if free < 1_000_000_000:
        yield Finding("disk", "warn", detail, "torchinf gc, or a store on another disk")
    else:
        yield Finding("disk", "ok", detail)


def _locks(downloader: ModelDownloader) -> Iterator[Finding]:
    if not downloader.cache_dir.exists():
        return
    if downloader.store.locks_work:
        yield Finding("locks", "ok", "work: of several processes one downloads a model")
    else:
        yield Finding(
            "locks",
            "warn",
            "do not work on this file system",
            "results stay right, but processes may download the same model side by side",
        )


def _tls(downloader: ModelDownloader) -> Iterator[Finding]:
    settings = downloader.settings
    chosen = settings.ca_file or os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR")
    from torchinf_core.network.http import tls_context

    count = len(tls_context(settings).get_ca_certs())
    source = chosen or "certifi"
    if count or (chosen and os.path.isdir(chosen)):
        yield Finding("tls", "ok", f"certificates from {source}")
    else:
        yield Finding("tls", "fail", f"{source} holds no certificate", "a PEM file is needed", 4)


def _proxy(downloader: ModelDownloader) -> Iterator[Finding]:
    from torchinf_core.network.http import proxy_for
    from torchinf_core.refs import redact

    proxy = proxy_for("https://example.org/", downloader.settings)
    yield Finding("proxy", "ok", f"https goes through {redact(proxy)}" if proxy else "none")


def _plugins(downloader: ModelDownloader) -> Iterator[Finding]:
    import typer

    from torchinf_core.cli.commands import MODULE_OF
    from torchinf_core.plugins import load_plugins

    states = load_plugins(downloader.settings).examined(typer.Typer(), MODULE_OF)
    good = [state.name for state in states if state.state == "ok"]
    if good:
        yield Finding("plugins", "ok", ", ".join(good))
    else:
        yield Finding(
            "plugins",
            "fail",
            "no source is installed",
            "pip install 'torchinf[url,torchvision]'",
            9,
        )
    for state in states:
        if state.state not in ("ok", "disabled"):
            yield Finding("plugins", "fail", str(state), state.hint, 9)


def _runtimes(downloader: ModelDownloader) -> Iterator[Finding]:
    from torchinf_core.plugins import load_plugins

    plugins = load_plugins(downloader.settings)
    names = plugins.implementing("claim")
    if not names:
        yield Finding(
            "runtimes",
            "warn",
            "none is installed: models can be downloaded, and not run",
            "pip install 'torchinf[torch]', or 'torchinf[onnx]' for ONNX models",
        )
    for state in plugins.states():
        if state.name in names:
            there, absent = required(state.distribution)
            told = ", ".join(f"{name} {version}" for name, version in there.items())
            if absent:
                hint = f"pip install {' '.join(absent)}"
                yield Finding("runtimes", "warn", f"{state.name}: no {', '.join(absent)}", hint)
            else:
                yield Finding("runtimes", "ok", f"{state.name}: {told}" if told else state.name)


def _devices(_: ModelDownloader) -> Iterator[Finding]:
    from torchinf_core.hardware import fingerprint

    yield Finding("devices", "ok", f"cpu: {fingerprint().rpartition(' ')[0]}")
    found = gpus()
    for place, name in enumerate(found):
        yield Finding("devices", "ok", f"cuda:{place}: {name}")
    if not found:
        yield Finding("devices", "ok", "cuda: there is no NVIDIA GPU here")


def _terminal(_: ModelDownloader) -> Iterator[Finding]:
    bars = "progress bars" if output.is_terminal(sys.stderr) else "progress lines"
    colour = "colours" if output.has_color(sys.stdout) else "no colours"
    yield Finding("terminal", "ok", f"{bars}, {colour}, {sys.stdout.encoding or 'no encoding'}")


CHECKS: tuple[Callable[[ModelDownloader], Iterator[Finding]], ...] = (
    _program,
    _settings,
    _store,
    _disk,
    _locks,
    _tls,
    _proxy,
    _plugins,
    _runtimes,
    _devices,
    _terminal,
)


def required(distribution: str) -> tuple[dict[str, str], list[str]]:
    """What a plugin's distribution needs beside torchinf: versions, and what is not there."""
    import re
    from importlib.metadata import PackageNotFoundError, requires, version

    there: dict[str, str] = {}
    absent = []
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return {}, []
    for line in lines:
        name = re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]
        if name.startswith("torchinf") or "extra ==" in line:
            continue
        try:
            there[name] = version(name)
        except PackageNotFoundError:
            absent.append(name)
    return there, absent


def gpus(folder: str = "/proc/driver/nvidia/gpus") -> list[str]:
    """Names of the NVIDIA GPUs as their driver tells them, without asking a framework."""
    found = []
    with suppress(OSError):
        for entry in sorted(os.listdir(folder)):
            with open(f"{folder}/{entry}/information", encoding="utf-8", errors="replace") as file:
                fields = dict(line.split(":", 1) for line in file if ":" in line)
            found.append(fields.get("Model", "unknown").strip())
    return found


def file_system(path: Path) -> str | None:
    """The type of the file system that holds ``path``, as ``/proc/mounts`` calls it."""
    target = os.path.realpath(path)
    best, kind = "", None
    try:
        with open("/proc/mounts", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                _, point, name, *_ = line.split(" ")
                point = point.replace("\\040", " ")
                inside = target == point or target.startswith(point.rstrip("/") + "/")
                if inside and len(point) >= len(best):
                    best, kind = point, name
    except OSError:
        return None
    return kind


def _nearest(path: Path) -> Path:
    """The path itself, or the nearest folder above it that exists."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
