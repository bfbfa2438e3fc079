"""Builds every wheel and source distribution of a commit, twice, and compares the two.

``python packaging/make.py FOLDER``: what is not committed is not in them.  The time in the archives
is that of the commit, so who builds the same commit with the same hatchling gets the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).parents[1]
BUILT = ("*.whl", "*.tar.gz", "*.cdx.json", "SHA256SUMS")


def projects(tree: Path = ROOT) -> list[Path]:
    """The folders of a tree that are built: the core, then each plugin."""
    return [tree, *sorted(path.parent for path in tree.glob("plugins/*/pyproject.toml"))]


def git(*words: str) -> str:
    """What git says in this repository."""
    done = subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def export(commit: str, folder: Path) -> None:
    """Write the tree of a commit, without a repository, into a folder."""
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", "--format=tar", commit], check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")


def build(tree: Path, out: Path, epoch: int, *, targets: str = "sdist,wheel") -> list[Path]:
    """Build all projects of a tree into a folder; returns the files, sorted.

    Args:
        tree: root of the sources.
        out: where the files go.
        epoch: time that the archives carry, seconds since 1970.
        targets: of hatchling, by comma.

    Raises:
        RuntimeError: with what hatchling said.
    """
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(out)]
    for target in targets.split(","):
        command += ["-t", target]

    def one(project: Path) -> None:
        done = subprocess.run(
            command, cwd=project, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{project}: {done.stdout}{done.stderr}")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, projects(tree)))
    return sorted(path for path in out.iterdir() if path.suffix in (".whl", ".gz"))


def digests(files: list[Path]) -> dict[str, str]:
    """SHA-256 of files by their name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def main(out: Path) -> int:
    """Build the last commit into a folder; returns the exit status."""
    commit = git("rev-parse", "HEAD")
    epoch = int(git("log", "-1", "--format=%ct", commit))
    if git("status", "--porcelain", "--untracked-files=no"):
        sys.stderr.write("changes that are not committed are left out\n")
    out.mkdir(parents=True, exist_ok=True)
    for pattern in BUILT:
        for old in out.glob(pattern):
            old.unlink()
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        export(commit, Path(first))
        export(commit, Path(second, "elsewhere"))
        made = digests(build(Path(first), out.resolve(), epoch))
        again = digests(build(Path(second, "elsewhere"), Path(second, "out"), epoch))
    different = sorted(
        name for name in made.keys() | again.keys() if made.get(name) != again.get(name)
    )
    if different:
        sys.stderr.write(f"built twice, and not the same: {', '.join(different)}\n")
        return 1
    sums = "".join(f"{digest}  {name}\n" for name, digest in sorted(made.items()))
    (out / "SHA256SUMS").write_text(sums)
    print(f"{sums}{len(made)} files of commit {commit[:12]}, the same when built again elsewhere")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
