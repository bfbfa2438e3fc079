"""The JSON pages of the Hugging Face API: a model, its tree, its refs, a search."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from torchinf_core.testing.git import EPOCH, Blob, Commit
from torchinf_core.testing.huggingface.access import no_entry
from torchinf_core.testing.huggingface.repo import Repo
from torchinf_core.testing.messages import Reply, Request, page

Query = dict[str, list[str]]
LISTED = (
    "_id", "id", "modelId", "private", "gated", "downloads", "likes", "tags", "pipeline_tag",
    "library_name", "createdAt",
)  # fmt: skip
"""What a search says of each model, unless it is asked for more or less."""


def query_of(request: Request) -> Query:
    """The query by name; a name may come several times."""
    found: Query = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return found


def model(repo: Repo, commit: Commit, query: Query) -> Reply:
    """``/api/models/{id}`` and ``/api/models/{id}/revision/{rev}``."""
    blobs = _flag(query, "blobs")
    fields = describe(repo, commit)
    fields["siblings"] = [
        _sibling(path, blob) if blobs else {"rfilename": path}
        for path, blob in sorted(commit.files.items())
    ]
    if "expand" in query:
        fields = {name: fields[name] for name in ("_id", "id", *query["expand"]) if name in fields}
    return page(fields)


def describe(repo: Repo, commit: Commit) -> dict[str, Any]:
    """All that is said of a model but its files."""
    card = repo.card
    library, task, licence = (card.get(key) for key in ("library_name", "pipeline_tag", "license"))
    kinds = {path.rpartition(".")[2] for path in commit.files} & {"safetensors", "onnx", "gguf"}
    marks = [library, *sorted(kinds), *card.get("tags", ()), task]
    marks += [f"license:{licence}" if licence else None, "region:us"]
    fields = {
        "_id": repo.number,
        "id": repo.id,
        "modelId": repo.id,
        "private": repo.private,
        "gated": "auto" if repo.gated else False,
        "disabled": False,
        "sha": commit.sha,
        "lastModified": _time(commit.moment),
        "createdAt": _time(EPOCH),
        "downloads": card.get("downloads", 0),
        "likes": card.get("likes", 0),
        "tags": list(dict.fromkeys(mark for mark in marks if mark)),
        "cardData": {key: card[key] for key in card if key not in ("downloads", "likes")},
        "usedStorage": sum(blob.content.size for blob in commit.files.values()),
        **({"author": repo.id.partition("/")[0]} if "/" in repo.id else {}),
        **({"pipeline_tag": task} if task else {}),
        **({"library_name": library} if library else {}),
    }
    if config := _config(commit.files.get("config.json")):
        fields["config"] = config
    return fields


def tree(
    request: Request, repo: Repo, revision: str, folder: str, base: str, at_most: int
) -> Reply:
    """``/api/models/{id}/tree/{rev}[/{folder}]``, one page of it.

    Args:
        request: with ``recursive``, ``expand``, ``limit`` and ``cursor`` in its query.
        repo: the repository.
        revision: one that is there.
        folder: ``""`` for the root.
        base: the origin that the link to the next page starts with.
        at_most: entries of a page.
    """
    commit = repo.find(revision)
    assert commit is not None
    if folder not in commit.trees:
        return no_entry(folder, commit.sha)
    query = query_of(request)
    prefix = f"{folder}/" if folder else ""
    paths = [path for path in (*commit.files, *commit.trees) if path and path.startswith(prefix)]
    if not _flag(query, "recursive"):
        paths = [path for path in paths if "/" not in path[len(prefix) :]]
    expand = _flag(query, "expand")
    entries = [_entry(commit, path, expand=expand) for path in sorted(paths)]
    return _paged(request, entries, base, at_most)


def _paged(request: Request, entries: Sequence[object], base: str, at_most: int) -> Reply:
    query = query_of(request)
    count = min(int(query.get("limit", [str(at_most)])[0]), at_most)
    start = _cursor(query)
    headers = {}
    if start + count < len(entries):
        cursor = base64.b64encode(json.dumps({"at": start + count}).encode()).decode()
        rest = [(name, value) for name, values in query.items() for value in values]
        rest = [pair for pair in rest if pair[0] not in ("cursor", "limit")]
        link = urlencode([*rest, ("limit", count), ("cursor", cursor)])
        headers["Link"] = f'<{base}{request.path}?{link}>; rel="next"'
    return page(entries[start : start + count], headers)


def search(request: Request, repos: Iterable[Repo], base: str, at_most: int) -> Reply:
    """``/api/models?search=…``: those that fit, the most downloaded first."""
    query = query_of(request)
    found = [describe(repo, repo.commits[repo.sha]) for repo in repos if _fits(repo, query)]
    order = query.get("sort", ["downloads"])[0]
    found.sort(key=lambda fields: fields["id"])
    if all(isinstance(fields.get(order), int | str) for fields in found):
        found.sort(key=lambda fields: fields[order], reverse=True)
    shown: Sequence[str] = ["_id", "id", *query["expand"]] if "expand" in query else LISTED
    if _flag(query, "full"):
        shown = [*shown, "author", "sha", "lastModified"]
    if _flag(query, "cardData"):
        shown = [*shown, "cardData"]
    entries = [{name: fields[name] for name in shown if name in fields} for fields in found]
    return _paged(request, entries, base, at_most)


def refs(repo: Repo) -> Reply:
    """``/api/models/{id}/refs``."""
    tables = (("branches", "heads", repo.branches), ("tags", "tags", repo.tags))
    fields: dict[str, list[dict[str, str]]] = {"converts": []}
    for name, kind, table in tables:
        fields[name] = [
            {"name": ref, "ref": f"refs/{kind}/{ref}", "targetCommit": sha}
            for ref, sha in sorted(table.items())
        ]
    return page(fields)


def _fits(repo: Repo, query: Query) -> bool:
    if repo.private or repo.default not in repo.branches:
        return False
    fields = describe(repo, repo.commits[repo.sha])
    wanted = [word for text in query.get("search", []) for word in text.lower().split()]
    marks = [mark for text in query.get("filter", []) for mark in text.split(",")]
    marks += query.get("pipeline_tag", []) + query.get("library", [])
    authors = query.get("author", [])
    return (
        all(word in repo.id.lower() for word in wanted)
        and all(mark in fields["tags"] for mark in marks)
        and all(author == fields.get("author") for author in authors)
    )


def _entry(commit: Commit, path: str, *, expand: bool) -> dict[str, Any]:
    blob = commit.files.get(path)
    if blob is None:
        entry: dict[str, Any] = {"type": "directory", "oid": commit.trees[path], "size": 0}
    else:
        entry = {"type": "file", "oid": blob.oid, "size": blob.content.size, **_lfs(blob, "oid")}
        if blob.xet is not None:
            entry["xetHash"] = blob.xet
    entry["path"] = path
    if expand:
        when = _time(commit.moment)
        entry["lastCommit"] = {"id": commit.sha, "title": commit.message, "date": when}
    return entry


def _sibling(path: str, blob: Blob) -> dict[str, Any]:
    size = blob.content.size
    return {"rfilename": path, "size": size, "blobId": blob.oid, **_lfs(blob, "sha256")}


def _lfs(blob: Blob, name: str) -> dict[str, Any]:
    if blob.sha256 is None:
        return {}
    size = blob.content.size
    return {"lfs": {name: blob.sha256, "size": size, "pointerSize": blob.pointer_size}}


def _config(blob: Blob | None) -> dict[str, Any] | None:
    """The part of a ``config.json`` that the real hub repeats."""
    if blob is None:
        return None
    try:
        whole = json.loads(bytes(blob.content.read(0, blob.content.size)))
    except ValueError:
        return None
    if not isinstance(whole, dict):
        return None
    return {key: whole[key] for key in ("architectures", "model_type") if key in whole}


def _cursor(query: Query) -> int:
    try:
        return int(json.loads(base64.b64decode(query["cursor"][0]))["at"])
    except (KeyError, ValueError, binascii.Error):
        return 0


def _flag(query: Query, name: str) -> bool:
    return query.get(name, ["false"])[-1].lower() in ("true", "1", "")


def _time(moment: int) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
