"""What tests of several areas share: models on a loopback hub, and a store to fill."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.registry import Registry
from torchinf_core.store import Store, generation
from torchinf_core.testing import Hub
from torchinf_core.types import Record, StoredFile, Trust

PLUGIN = """
from torchinf_core import (
    ModelNotFoundError, ModelRef, Plan, RemoteFile, SearchHit, SourceInfo, Trust, hookimpl
)


@hookimpl
def sources():
    yield SourceInfo(
        "zoo", ("zoo", "menagerie"), "Models of a test", ("zoo:tiny", "zoo:tiny@1"),
        ("width", "task"), searchable=True,
    )


@hookimpl
def resolve(ref, options, host):
    answer = host.http.get(f"{host.setting('host')}/index/{ref.locator}")
    if answer.status_code == 404:
        raise ModelNotFoundError(f"the zoo has no {ref.locator!r}", hint="torchinf search zoo")
    page = answer.json()
    revision = ref.revision or page["latest"]
    fields = page["revisions"][revision]
    files = tuple(RemoteFile(**file) for file in fields.pop("files"))
    fields["trust"] = Trust(fields.pop("trust", 0))
    fields["tags"] = tuple(fields.pop("tags", ()))
    metadata = {**fields.pop("metadata", {}), **({"options": options} if options else {})}
    return Plan(
        ref=ref, name=ref.locator, files=files, revision=fields.pop("revision", revision),
        metadata=metadata, **fields
    )


@hookimpl
def search(scheme, pattern, limit, host):
    page = host.http.get(f"{host.setting('host')}/catalogue").json()
    for name in page:
        if pattern.strip("*") in name:
            yield SearchHit(f"{scheme}:{name}", "a test model", 3, "testing")
"""


class Zoo:
    """What the zoo has; every model is one JSON page and its files on the hub."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.pages: dict[str, dict[str, Any]] = {}

    def add(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        revision: str = "1",
        digests: bool = True,
        sizes: bool = True,
        validators: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> None:
        """Publish a revision of a model and make it the latest."""
        entries = []
        for path, content in files.items():
            where = f"/files/{name}/{revision}/{path}"
            entry: dict[str, Any] = {"path": path, "url": self.hub.add(where, content)}
            if sizes:
                entry["size"] = len(content)
            if digests:
                entry["sha256"] = hashlib.sha256(content).hexdigest()
            if validators:
                entry["validator"] = validators[path]
            entry.update(fields.pop("file_fields", {}))
            entries.append(entry)
        page = self.pages.setdefault(name, {"latest": "", "revisions": {}})
        page["latest"] = revision
        page["revisions"][revision] = {"files": entries, **fields}
        self.publish(name)

    def publish(self, name: str) -> None:
        """Serve the page of a model as it is now."""
        self.hub.add(f"/index/{name}", json.dumps(self.pages[name]).encode())
        self.hub.add("/catalogue", json.dumps(sorted(self.pages)).encode())

    def file_of(self, name: str, path: str, revision: str = "1") -> str:
        """The hub's path of a file."""
        return f"/files/{name}/{revision}/{path}"

    @property
    def asked(self) -> list[str]:
        """Paths that were asked for so far."""
        return [exchange.path for exchange in self.hub.requests]

    @property
    def fetched(self) -> list[str]:
        """Files that were asked for so far."""
        return [path for path in self.asked if path.startswith("/files/")]


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A loopback server."""
    with Hub() as hub:
        yield hub


@pytest.fixture(scope="session")
def _zoo_plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo-plugin")
    (folder / "zoo_of_the_tests.py").write_text(PLUGIN)
    info = folder / "zoo_of_the_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-of-the-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[torchinf.v1]\nzoo = zoo_of_the_tests\n")
    return folder


@pytest.fixture
def zoo(_zoo_plugin: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Zoo:
    """An installed source plugin ``zoo``, whose models the test adds."""
    monkeypatch.syspath_prepend(str(_zoo_plugin))
    monkeypatch.setenv("TORCHINF_ZOO_HOST", hub.url("").rstrip("/"))
    return Zoo(hub)


class Shelf:
    """A store and its registry, with models made of given bytes."""

    def __init__(self, root: Path, *, lock_timeout: float = 5.0) -> None:
        self.store = Store(root, lock_timeout=lock_timeout)
        self.registry = Registry(self.store)

    def blob(self, content: bytes) -> str:
        """Add a blob as the transfer engine does; its digest."""
        digest = hashlib.sha256(content).hexdigest()
        part = self.store.partial(f"{digest[:32]}-{os.urandom(4).hex()}")
        with open(part, "wb") as file:
            file.write(content)
            file.flush()
            os.fdatasync(file.fileno())
        self.store.add_blob(part, digest)
        return digest

    def record(self, name: str, files: Mapping[str, bytes], **fields: Any) -> Record:
        """A record of files that need not be in the store."""
        stored = tuple(
            StoredFile(path, len(content), hashlib.sha256(content).hexdigest())
            for path, content in sorted(files.items())
        )
        values: dict[str, Any] = {
            "name": name,
            "source": "test",
            "ref": f"test:{name}",
            "model_id": name,
            "requested_revision": None,
            "revision": None,
            "files": stored,
            "generation": generation(stored),
            "format": None,
            "trust": Trust.DATA,
            "trusted": None,
            "verified": "recorded",
            "task": None,
            "description": None,
            "license": None,
            "tags": (),
            "metadata": {},
            "request_key": hashlib.sha256(name.encode()).hexdigest(),
            "created": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z",
            "torchinf_version": "0",
        }
        return Record(**{**values, **fields})

    def add(self, name: str, files: Mapping[str, bytes], **fields: Any) -> Record:
        """Publish a model as a download does."""
        self.store.prepare()
        with self.store.lease():
            for content in files.values():
                self.blob(content)
            record = self.record(name, files, **fields)
            record = replace(record, files=self.store.materialise(name, record.files))
            self.registry.put(record)
        return record

    def content(self, name: str) -> dict[str, bytes]:
        """The files of a model as they are on disk."""
        directory = self.store.model_dir(self.registry.get(name))
        return {
            path.relative_to(directory).as_posix(): path.read_bytes()
            for path in directory.rglob("*")
            if path.is_file()
        }

    def damage(self) -> list[str]:
        """Everything that is wrong with the store, hashing every model."""
        listing = self.registry.records()
        return [
            *(str(problem) for problem in self.store.fsck()),
            *(str(damaged) for damaged in listing.damaged),
            *(
                str(problem)
                for record in listing.records
                for problem in self.store.check(record, full=True)
            ),
        ]


@pytest.fixture(scope="session")
def make_shelf() -> type[Shelf]:
    """Makes a shelf in a given directory; nothing is there before the first model."""
    return Shelf


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    """An empty shelf."""
    return Shelf(tmp_path / "store")


@pytest.fixture(scope="session")
def onnx_bytes() -> bytes:
    """A whole ONNX model: one Identity node over a float."""

    def field(number: int, wire: int, value: bytes | int) -> bytes:
        key = bytes([number << 3 | wire])
        if isinstance(value, int):
            return key + bytes([value])
        return key + bytes([len(value)]) + value

    tensor = field(1, 2, field(1, 0, 1) + field(2, 2, field(1, 2, field(1, 0, 1))))
    value = {n: field(1, 2, n) + field(2, 2, tensor) for n in (b"x", b"y")}
    node = field(1, 2, b"x") + field(2, 2, b"y") + field(4, 2, b"Identity")
    graph = field(1, 2, node) + field(2, 2, b"g")
    graph += field(11, 2, value[b"x"]) + field(12, 2, value[b"y"])
    opset = field(1, 2, b"") + field(2, 0, 13)
    return field(1, 0, 8) + field(7, 2, graph) + field(8, 2, opset)
