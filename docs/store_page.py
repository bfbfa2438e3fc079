"""Makes ``reference/store.md``: a store is filled, and what then lies in it is described.

What is in it is told by the docstrings of ``torchinf_core.store``; what others may do with it
is told here.  An entry that nobody described, and a description of nothing, are errors.
"""

from __future__ import annotations

import inspect
import io
import os
import re
import runpy
import tarfile
import tempfile
from contextlib import suppress
from dataclasses import fields
from pathlib import Path

from torchinf_core import store as docstrings
from torchinf_core.errors import NetworkError
from torchinf_core.manager import ModelDownloader
from torchinf_core.runtimes import Derived
from torchinf_core.store import derived, verdicts
from torchinf_core.testing import Hub, faults
from torchinf_core.types import Record, StoredFile

EXAMPLE = Path(__file__).parents[1] / "examples/model_download_example.py"
INTRODUCTION = """\
The store is `~/.torch_inference/models`, or what `TORCHINF_CACHE_DIR` or `--cache-dir` names. It
is on one file system and made for one user, who alone may look into it. This is one with a model
of one file that has an optimised form, a model of two files, and a download that broke off:
"""
NAMES = """\
`<id>` is the name in small letters with eight digits that tell names apart, `<64 hex>` a sha256:
of the content of a blob, or of the paths and digests of a model.
"""
AFTERWARDS = """\
**Reading.** `torchinf path NAME` prints the path under `models/` that any program may open; it
stays the same as long as the content does. Files are read-only and may be hard links of one
another: to change a model, copy it. Do not open `blobs/` or `partial/` by name. For what is known
of a model use `torchinf info NAME --json`; a record may gain fields.

**Deleting.** `torchinf remove NAME` and `torchinf gc`. The whole store may be deleted while no
torchinf runs; nothing else keeps anything of it. What was deleted by hand is found
by `torchinf fsck`.

**Copying.** The whole directory while nobody writes to it, with times kept, and hard links where
space matters: [without a network](../guide/offline.md).

**Writing.** Only torchinf. Every name appears by a rename of something complete and synced, so a
reader never sees half a file.

**Versions.** `VERSION` is the layout's. A torchinf that does not know it refuses the store.
"""
OTHERS = {
    "VERSION": ("", "read", "no"),
    "blobs/sha256/<2>/<64 hex>": ("", "no", "by `gc`"),
    "partial/<32 hex>.part": (
        "an unfinished download: the bytes so far",
        "no",
        "then it starts anew",
    ),
    "partial/<32 hex>.json": ("what they are a part of", "no", "with the `.part`"),
    "partial/<32 hex>.map": ("which blocks are there", "no", "with the `.part`"),
    "models/<id>/<64 hex>/": ("", "**read**", "by `remove`"),
    "models/<id>/<64 hex>.links/": ("", "no", "by `remove`"),
    "models/<id>/<64 hex>.derived/<32 hex>/": (
        "one optimised form of the model: its files and where it came from (`derived.json`)",
        "no",
        "`torchinf optimize NAME --clear`",
    ),
    "models/<id>/<64 hex>.derived/verdict-<32 hex>.json": (
        "what came of optimising, so that it is not tried at each load",
        "no",
        "the same",
    ),
    "records/<id>.json": ("", "better `info --json`", "by `remove`"),
    "requests/<64 hex>": ("", "no", "then the source is asked again"),
    "locks/": (
        "files that are locked while somebody works; they say nothing when nobody does",
        "no",
        "while no torchinf runs",
    ),
    "quarantine/": (
        "what was damaged, or lost its last model; deleted by `gc` after an hour",
        "no",
        "while no torchinf runs",
    ),
    "tmp/<boot id>/": (
        "what is being written, and which models were hashed since the machine started",
        "no",
        "while no torchinf runs",
    ),
}
"""Entry → what it is where no docstring says so, whether others may read and delete it."""


def store_page() -> str:
    """The tree of a store, what each entry is, and what others may do with it."""
    tree = _tree()
    said = _docstrings()
    rows = ["| entry | what | others may read | may be deleted |", "|---|---|---|---|"]
    for entry, (own, read, delete) in OTHERS.items():
        if not any(line.startswith(entry) for line in tree):
            raise AssertionError(f"there is no {entry} in a store")
        what = own or said[entry]
        rows.append(f"| `{entry}` | {what} | {read} | {delete} |")
    for line in tree:
        if not any(line.startswith(entry) or entry.startswith(line) for entry in OTHERS):
            raise AssertionError(f"nobody says what {line} is")
    described = _attributes()
    facts = ["| field | |", "|---|---|"]
    facts += [f"| `{item.name}` | {described.get(item.name, '')} |" for item in fields(Record)]
    return "\n\n".join(
        [
            "# Store",
            "<!-- made by docs/reference.py from the code; change that -->",
            INTRODUCTION.strip(),
            "```text\n" + "\n".join(tree) + "\n```",
            NAMES.strip(),
            "\n".join(rows),
            "## What others may do",
            AFTERWARDS.strip(),
            "## A record",
            "\n".join(facts),
            "",
        ]
    )


def _tree() -> list[str]:
    with tempfile.TemporaryDirectory() as folder, Hub() as hub:
        root = Path(folder) / "store"
        downloader = ModelDownloader(cache_dir=str(root), retries=1)
        _fill(downloader, hub)
        lines = set()
        for place, directories, files in os.walk(root):
            for name in (*(f"{name}/" for name in directories), *files):
                lines.add(
                    _shown((Path(place) / name).relative_to(root).as_posix(), name[-1] == "/")
                )
    return sorted(lines)


def _shown(path: str, directory: bool) -> str:
    path = re.sub(r"\b[0-9a-f]{64}\b", "<64 hex>", path)
    path = re.sub(r"\b[0-9a-f]{32}\b", "<32 hex>", path)
    path = re.sub(r"^blobs/sha256/[0-9a-f]{2}\b", "blobs/sha256/<2>", path)
    path = re.sub(r"^(models|records)/[a-z]+-[0-9a-f]{8}\b", r"\1/<id>", path)
    path = re.sub(r"^tmp/[^/]+", "tmp/<boot id>", path)
    path = re.sub(r"^quarantine/.+", "quarantine/…", path)
    return path + ("/" if directory and not path.endswith("…") else "")


def _fill(downloader: ModelDownloader, hub: Hub) -> None:
    onnx: bytes = runpy.run_path(str(EXAMPLE))["ONNX"]
    _, info = downloader.download("url", hub.add("/detector.onnx", onnx))
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in (("model.onnx", onnx), ("labels.txt", b"cat\ndog\n")):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    downloader.download("url", hub.add("/pair.tar", archive.getvalue()), extract=True)
    hub.add("/large.bin", bytes(1 << 22))
    hub.fail("/large.bin", faults.cut(0.5).repeat(9))
    with suppress(NetworkError):
        downloader.download("url", hub.url("/large.bin"))
    store, record = downloader.store, info.record
    with store.staging() as stage:
        (stage / "form.onnx").write_bytes(onnx)
        form = Derived(
            runtime="onnx",
            label="a form",
            format="onnx",
            device="cpu",
            precision="fp32",
            options={},
            versions={},
            hardware="",
            parent=record.generation,
            files=(StoredFile("form.onnx", len(onnx), record.files[0].sha256),),
        )
        derived.publish(store.layout, record.name, form, str(stage))
    verdict = verdicts.Verdict("cpu", {}, "", {}, "onnx")
    verdicts.write(store.layout, record.name, record.generation, verdict)
    store.quarantine(_unused(downloader))


def _unused(downloader: ModelDownloader) -> str:
    """The digest of the archive, which is in the store although no model needs it."""
    needed = {
        file.sha256
        for info in downloader.list_available_models().values()
        for file in info.record.files
    }
    blobs = (path.name for path in (downloader.store.root / "blobs/sha256").glob("*/*"))
    return next(name for name in blobs if name not in needed)


def _docstrings() -> dict[str, str]:
    """Entry → what the package's docstring says of it."""
    found = {}
    names = {
        "VERSION": "VERSION",
        "blobs/sha256/ab/<64 hex>": "blobs/sha256/<2>/<64 hex>",
        "models/<id>/<generation>/…": "models/<id>/<64 hex>/",
        "models/<id>/<generation>.links/": "models/<id>/<64 hex>.links/",
        "records/<id>.json": "records/<id>.json",
        "requests/<key>": "requests/<64 hex>",
    }
    for line in (docstrings.__doc__ or "").splitlines():
        match = re.fullmatch(r"\s+(?:<root>/)?(\S+(?: hex>)?)\s{2,}(\S.*)", line)
        if match and match[1] in names:
            found[names[match[1]]] = match[2].replace("→", "to")
    found["VERSION"] = f"`{found['VERSION']}`"
    return found


def _attributes() -> dict[str, str]:
    from reference import attributes

    told: dict[str, str] = attributes(inspect.getdoc(Record) or "")
    return told
