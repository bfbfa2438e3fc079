"""Checks that what a hook returned has the types its contract promises.

What the values mean (safe paths, possible sizes, allowed URLs) is checked for
every source alike by :mod:`torchinf_core.verify`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice

from torchinf_core.errors import PluginContractError
from torchinf_core.runtimes import Architecture, Candidate, Claim, Signature, TensorSpec
from torchinf_core.types import ModelRef, Plan, RemoteFile, SearchHit, SourceInfo, Trust

_SCHEME = r"[a-z][a-z0-9_+.-]+"
_OPTIONAL_TEXT = (str, type(None))


def check_sources(result: object) -> tuple[SourceInfo, ...]:
    """The sources a plugin declared.

    Raises:
        PluginContractError: it is no iterable of valid :class:`SourceInfo`.
    """
    infos: list[SourceInfo] = []
    taken: set[str] = set()
    for info in _iterate(result):
        if not isinstance(info, SourceInfo):
            raise _wrong(f"{_kind(info)} among the SourceInfo")
        _check_texts("SourceInfo", info, ("name", "description"))
        for field in ("schemes", "examples", "options"):
            _check_tuple("SourceInfo", field, getattr(info, field), str)
        if not info.name or not info.schemes or not info.examples:
            raise _wrong("a SourceInfo without name, schemes or examples")
        for scheme in info.schemes:
            if not re.fullmatch(_SCHEME, scheme):
                raise _wrong(f"the scheme {scheme!r}, which is not {_SCHEME}")
            if scheme in taken:
                raise _wrong(f"the scheme {scheme!r} twice")
            taken.add(scheme)
        infos.append(info)
    if not infos:
        raise _wrong("no source")
    return tuple(infos)


def check_plan(result: object, ref: ModelRef) -> Plan:
    """The plan a plugin made for ``ref``.

    Raises:
        PluginContractError: it is no plan for that reference.
    """
    if not isinstance(result, Plan):
        raise _wrong(f"{_kind(result)} instead of a Plan")
    if not isinstance(result.ref, ModelRef):
        raise _wrong(f"a Plan whose ref is {_kind(result.ref)}")
    if result.ref.scheme != ref.scheme:
        raise _wrong(f"a plan for {result.ref}, not for a {ref.scheme}: reference")
    _check_texts("Plan", result, ("name",))
    _check_texts(
        "Plan", result, ("revision", "format", "task", "description", "license"), _OPTIONAL_TEXT
    )
    if not result.name:
        raise _wrong("a Plan without a name")
    if not isinstance(result.trust, Trust):
        raise _wrong(f"a Plan whose trust is {_kind(result.trust)}")
    _check_tuple("Plan", "tags", result.tags, str)
    _check_tuple("Plan", "notes", result.notes, str)
    _check_tuple("Plan", "files", result.files, RemoteFile)
    for file in result.files:
        _check_file(file)
    if not isinstance(result.metadata, Mapping):
        raise _wrong(f"a Plan whose metadata is {_kind(result.metadata)}")
    try:
        json.dumps(dict(result.metadata), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise _wrong(f"a Plan whose metadata is not JSON: {error}") from None
    return result


def check_fetched(result: object) -> bool:
    """What ``fetch`` said: True when it wrote the files.

    Raises:
        PluginContractError: it is neither True nor False.
    """
    if not isinstance(result, bool):
        raise _wrong(f"{_kind(result)} instead of True or False")
    return result


def check_token(result: object) -> str | None:
    """A bearer token, or None.

    Raises:
        PluginContractError: it is something else, or can't stand in a header.
    """
    if result is None:
        return None
    if not isinstance(result, str) or not (result.isascii() and result.isprintable()):
        raise _wrong("something that can't be a bearer token")
    return result.strip() or None


def check_hits(result: object, limit: int) -> list[SearchHit]:
    """At most ``limit`` search hits.

    Raises:
        PluginContractError: it is no iterable of :class:`SearchHit`.
    """
    hits: list[SearchHit] = []
    for hit in islice(_iterate(result), limit):
        if not isinstance(hit, SearchHit):
            raise _wrong(f"{_kind(hit)} among the SearchHit")
        _check_texts("SearchHit", hit, ("ref", "description"))
        _check_texts("SearchHit", hit, ("task",), _OPTIONAL_TEXT)
        if not _is_size(hit.size):
            raise _wrong(f"a SearchHit whose size is {_kind(hit.size)}")
        hits.append(hit)
    return hits


def check_trusts(result: object) -> bool:
    """Whether the settings trust a model; no implementation's answer is no.

    Raises:
        PluginContractError: it is neither True, False nor None.
    """
    if result is not None and not isinstance(result, bool):
        raise _wrong(f"{_kind(result)} instead of True or False")
    return bool(result)


def check_architecture(result: object) -> Architecture:
    """What a source tells of a model.

    Raises:
        PluginContractError: it is no Architecture, or one that contradicts itself.
    """
    if not isinstance(result, Architecture):
        raise _wrong(f"{_kind(result)} instead of an Architecture")
    _check_texts("Architecture", result, ("name", "kind"))
    for field in ("weights", "options"):
        _check_tuple("Architecture", field, getattr(result, field), str)
    check_signature(result.signature)
    for field in ("build", "pipeline", "examples"):
        value = getattr(result, field)
        if value is not None and not callable(value):
            raise _wrong(f"an Architecture whose {field} can't be called")
    if not (result.build or result.pipeline):
        raise _wrong("an Architecture with neither build nor pipeline")
    if str(result.kind) not in ("array", "image", "text", "mapping"):
        raise _wrong(f"an Architecture of the kind {result.kind!r}")
    return result


def check_signature(result: object) -> Signature:
    """A signature.

    Raises:
        PluginContractError: it is none.
    """
    if not isinstance(result, Signature):
        raise _wrong(f"{_kind(result)} instead of a Signature")
    for field in ("inputs", "outputs"):
        _check_tuple("Signature", field, getattr(result, field), TensorSpec)
    return result


def check_claim(result: object, runtime: str) -> Claim:
    """A runtime's bid, with its name in it.

    Raises:
        PluginContractError: it is no Claim with a sensible score and a reason.
    """
    from dataclasses import replace

    if not isinstance(result, Claim):
        raise _wrong(f"{_kind(result)} instead of a Claim")
    _check_texts("Claim", result, ("device", "reason", "hint"))
    if type(result.score) is not int or not 0 <= result.score <= 1000:
        raise _wrong(f"a Claim whose score is {result.score!r}, not 0 to 1000")
    if not result.reason:
        raise _wrong("a Claim without a reason")
    return replace(result, runtime=runtime)


def check_candidates(result: object) -> list[Candidate]:
    """The forms that a runtime offers; None is none.

    Raises:
        PluginContractError: it is no iterable of Candidates with labels of their own.
    """
    found: list[Candidate] = []
    for candidate in () if result is None else _iterate(result):
        if not isinstance(candidate, Candidate):
            raise _wrong(f"{_kind(candidate)} among the Candidates")
        _check_texts("Candidate", candidate, ("label", "format", "precision", "hardware"))
        _check_tuple("Candidate", "distributions", candidate.distributions, str)
        if candidate.label in {other.label for other in found}:
            raise _wrong(f"two Candidates with the label {candidate.label!r}")
        found.append(candidate)
    return found


def _check_file(file: RemoteFile) -> None:
    _check_texts("RemoteFile", file, ("path", "url"))
    _check_texts(
        "RemoteFile", file, ("sha256", "sha256_prefix", "git_sha1", "validator"), _OPTIONAL_TEXT
    )
    _check_tuple("RemoteFile", "mirrors", file.mirrors, str)
    for field in ("size", "approximate_size"):
        if not _is_size(getattr(file, field)):
            raise _wrong(f"a RemoteFile whose {field} is {_kind(getattr(file, field))}")
    for field, kind in (("unpack", bool), ("strip", int)):
        if not isinstance(getattr(file, field), kind):
            raise _wrong(f"a RemoteFile whose {field} is no {kind.__name__}")


def _is_size(value: object) -> bool:
    return value is None or (isinstance(value, int) and not isinstance(value, bool))


def _iterate(result: object) -> Iterable[object]:
    if isinstance(result, (str, bytes, Mapping)) or not isinstance(result, Iterable):
        raise _wrong(f"{_kind(result)} instead of an iterable")
    return result


def _check_texts(
    what: str, value: object, fields: tuple[str, ...], types: type | tuple[type, ...] = str
) -> None:
    for field in fields:
        if not isinstance(getattr(value, field), types):
            raise _wrong(f"a {what} whose {field} is {_kind(getattr(value, field))}")


def _check_tuple(what: str, field: str, value: object, kind: type) -> None:
    if not isinstance(value, tuple) or not all(isinstance(item, kind) for item in value):
        raise _wrong(f"a {what} whose {field} is no tuple of {kind.__name__}")


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _wrong(what: str) -> PluginContractError:
    return PluginContractError(f"it returned {what}")
