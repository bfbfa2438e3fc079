"""What a model hub says of its repositories, as files that nginx gives out.

The same repository is there for the official client, for git with git-lfs, for
Xet, and as a plain list for our own source.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.content import Item

COMMIT = "5ca1ab1e" * 5
OWNER = "bench"
HERE = "http://this.server.invalid"
"""Stands in answers where nginx puts the address that the client came to."""


def storage(files: Path) -> Path:
    """Folder of the Xet storage for what is served from ``files``."""
    return files.with_name("xet")


def write(files: Path, work: Path, items: Sequence[Item]) -> None:
    """Make each folder of ``items`` a repository: metadata, git, and the maps for nginx."""
    repos: defaultdict[str, list[Item]] = defaultdict(list)
    for item in items:
        repos[item.repo].append(item)
    for name, members in repos.items():
        model = work / "api" / "models" / OWNER / name
        for folder in ("revision", "tree"):
            (model / folder).mkdir(parents=True)
        about = json.dumps({"id": f"{OWNER}/{name}", "sha": COMMIT})
        (model / "revision" / "main").write_text(about)
        (model / "revision" / COMMIT).write_text(about)
        listing = [asdict(item) | {"name": item.name} for item in members]
        (files / f"{name}.json").write_text(json.dumps(listing))
        tree = [_entry(item) for item in members]
        (model / "tree" / COMMIT).write_text(json.dumps(tree))
        if any(item.git for item in members) and shutil.which("git"):
            _write_git(files, work, name, members)
    for variable in ("sha256", "size", "git", "xet"):
        values = [(item.path, getattr(item, variable)) for item in items]
        lines = [f'"{path}" "{value}";\n' for path, value in values if value]
        (work / f"{variable}.map").write_text("".join(lines))


def _entry(item: Item) -> dict[str, object]:
    entry: dict[str, object] = {"type": "file", "path": item.name, "size": item.size}
    if item.git:
        return entry | {"oid": item.git}
    lfs = {"oid": item.sha256, "size": item.size, "pointerSize": 134}
    xet = {"xetHash": item.xet} if item.xet else {}
    return entry | {"oid": item.sha256[:40], "lfs": lfs} | xet


def _write_git(files: Path, work: Path, name: str, members: Sequence[Item]) -> None:
    """A bare repository of one commit in one pack, and the answer about its large files."""
    tree, bare = work / "trees" / name, work / "git" / f"{name}.git"
    tree.mkdir(parents=True)
    (tree / ".gitattributes").write_text("*.safetensors filter=lfs diff=lfs merge=lfs -text\n")
    for item in members:
        target = tree / item.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text((files / item.path).read_text() if item.git else _pointer(item))
    author = ["-c", "user.name=bench", "-c", "user.email=bench@bench.invalid"]
    # without anybody's configuration, that of git-lfs too: pointers are to stay pointers
    env = os.environ | {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-q", "-m", "Upload"],
        ["clone", "-q", "--bare", ".", str(bare)],
        ["-C", str(bare), "repack", "-adq"],
        ["-C", str(bare), "update-server-info"],
    ):
        command = ["git", *author, *words]
        subprocess.run(command, cwd=tree, env=env, check=True, capture_output=True)
    objects = [
        {
            "oid": item.sha256,
            "size": item.size,
            "authenticated": True,
            "actions": {"download": {"href": f"{HERE}/{item.path}"}},
        }
        for item in members
        if not item.git
    ]
    (work / "lfs").mkdir(exist_ok=True)
    answer = {"transfer": "basic", "objects": objects, "hash_algo": "sha256"}
    (work / "lfs" / f"{name}.json").write_text(json.dumps(answer))


def _pointer(item: Item) -> str:
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{item.sha256}\nsize {item.size}\n"
