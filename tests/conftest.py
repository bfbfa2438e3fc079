"""A source of models that lives on the loopback hub, for tests of everything above plugins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.testing import Hub

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
def zoo(_zoo_plugin: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Zoo]:
    """An installed source plugin ``zoo``, whose models the test adds."""
    with Hub() as hub:
        monkeypatch.syspath_prepend(str(_zoo_plugin))
        monkeypatch.setenv("TORCHINF_ZOO_HOST", hub.url("").rstrip("/"))
        yield Zoo(hub)
