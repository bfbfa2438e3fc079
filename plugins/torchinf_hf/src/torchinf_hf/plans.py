"""From a reference to the plan of one model at one commit."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from torchinf_core.errors import FormatError, ModelNotFoundError, SourceError
from torchinf_core.types import Json, ModelRef, Plan, RemoteFile, Trust
from torchinf_core.verify import check_path
from torchinf_hf import failures
from torchinf_hf.api import Api
from torchinf_hf.cached import Cache
from torchinf_hf.choosing import Choice, Wish, choose, read_wish
from torchinf_hf.facts import Facts, read_facts
from torchinf_hf.listing import Entry
from torchinf_hf.locators import Place, parse_place

if TYPE_CHECKING:
    from torchinf_core.host import Host

_FORMATS = frozenset({"safetensors", "onnx", "gguf"})
"""Formats whose name here is the one that looking at the content gives."""

_OWN_CODE = (
    "this model brings Python code of its own, which is kept as data and not run; "
    "loading it needs --trust, or torchinf trust NAME"
)
_SOME_CODE = "the Python files among these are kept as data and not run"


def make_plan(ref: ModelRef, options: Mapping[str, Json], host: Host) -> Plan:
    """The plan for a reference; see :func:`torchinf_hf.resolve`."""
    place = parse_place(ref)
    wish = read_wish(options)
    api = Api(host)
    facts, commit = _settle(place, api)
    if facts.repo != place.repo:
        host.note(f"{place.repo} is called {facts.repo} now")
    entries = api.files(facts.repo, commit, place.folder)
    if place.path:
        entries = _below(place, entries, api, facts.repo, commit)
        if any(entry.source == place.path for entry in entries):
            wish = Wish(all_files=True)
    where = f"{facts.repo} at {commit[:12]}"
    choice = choose(entries, wish, custom_code=facts.custom_code, where=where)
    if facts.gated:
        first = choice.entries[0]
        api.check_access(facts.repo, commit, first.source or first.path)
    cache = Cache((facts.repo, place.repo))
    base = f"{api.endpoint}/{facts.repo}/resolve/{commit}/"
    files = tuple(_file(entry, base, cache) for entry in choice.entries)
    return Plan(
        ref=replace(ref, locator="/".join(filter(None, (place.repo, place.path)))),
        name=place.name,
        files=files,
        revision=commit,
        format=choice.format if choice.format in _FORMATS else None,
        trust=_trust(choice, facts),
        task=facts.task,
        license=facts.license,
        tags=facts.tags,
        metadata=facts.metadata,
        notes=(*choice.notes, *_code_notes(choice, facts)),
    )


def _settle(place: Place, api: Api) -> tuple[Facts, str]:
    """What the hub says of the model, and the commit that everything is taken at."""
    try:
        facts = read_facts(api.model(place.repo, place.revision), place.repo)
    except ModelNotFoundError as error:
        if place.is_commit:
            # The listing decides whether the commit is there; mirrors may know no more.
            return Facts(place.repo, metadata={"repo": place.repo}), str(place.revision)
        raise _with_revisions(error, place, api) from None
    if place.is_commit:
        return facts, str(place.revision)
    if facts.commit is None:
        raise failures.not_a_hub(api.endpoint, f"it names no commit for {place.repo}")
    return facts, facts.commit


def _with_revisions(error: ModelNotFoundError, place: Place, api: Api) -> ModelNotFoundError:
    if place.revision is None or "no revision" not in str(error):
        return error
    asked = failures.Asked(api.endpoint, place.repo, place.revision, None, api.token is not None)
    return failures.no_revision(asked, api.names_of_revisions(place.repo))


def _below(place: Place, entries: Sequence[Entry], api: Api, repo: str, commit: str) -> list[Entry]:
    """The files that the path of the reference means, by their paths from there.

    Raises:
        ModelNotFoundError: there is no such file or folder.
    """
    for entry in entries:
        if entry.path == place.path:
            return [_from(place.folder, near) for near in [entry, *_companions(entry, entries)]]
    inside = [entry for entry in entries if entry.path.startswith(f"{place.path}/")]
    if inside:
        return [_from(place.path, entry) for entry in inside]
    near = difflib.get_close_matches(place.path, [entry.path for entry in entries], 3, 0.5)
    asked = failures.Asked(api.endpoint, repo, commit, place.path, api.token is not None)
    raise failures.no_file(asked, near)


def _companions(entry: Entry, entries: Sequence[Entry]) -> list[Entry]:
    """Files with the tensors of an ONNX file, without which it can't be used."""
    if not entry.path.endswith(".onnx"):
        return []
    starts = (f"{entry.path}_data", f"{entry.path}.data")
    return [other for other in entries if other.path.startswith(starts)]


def _from(folder: str, entry: Entry) -> Entry:
    path = entry.path.removeprefix(f"{folder}/") if folder else entry.path
    return replace(entry, path=path, source=entry.path)


def _file(entry: Entry, base: str, cache: Cache) -> RemoteFile:
    try:
        check_path(entry.path)
    except FormatError as error:
        raise SourceError(f"{base} lists a file that can't be kept: {error}") from None
    return RemoteFile(
        path=entry.path,
        url=base + quote(entry.source or entry.path),
        size=entry.size,
        sha256=entry.sha256,
        git_sha1=entry.git_sha1,
        # Of a plain file the hub's entity tag is git's id, so a later plan of the same
        # content is known as such before a byte is asked for.
        validator=f'"{entry.git_sha1}"' if entry.git_sha1 else None,
        local=cache.find(entry),
    )


def _trust(choice: Choice, facts: Facts) -> Trust:
    if facts.custom_code or choice.has_code:
        return Trust.CODE
    return Trust.PICKLE if "torch" in choice.formats else Trust.DATA


def _code_notes(choice: Choice, facts: Facts) -> tuple[str, ...]:
    if facts.custom_code:
        return (_OWN_CODE,)
    return (_SOME_CODE,) if choice.has_code else ()
