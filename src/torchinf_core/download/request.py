"""What a caller asks for, in the one form the pipeline works with.

The key of a request is all a warm hit needs, so nothing here loads a plugin
unless the reference can't be understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torchinf_core.errors import OptionError, RefError
from torchinf_core.refs import URL_SCHEMES, check_name, join_words, parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import Json, ModelRef
from torchinf_core.warm import request_key

DEFAULTS: Mapping[str, Json] = {"pretrained": True}
"""Options every caller may give; leaving one out is the same as giving this value."""
COMMON = frozenset({"include", "exclude", "all_files", "variant", "extract"})
"""Options that have a flag of their own; a source without a use for one ignores it."""

_BARE_WORD = re.compile(r"[\w.+-][\w.+/-]*(@[\w.+/-]+)?")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Request:
    """A download as asked for.

    Attributes:
        ref: what to get.
        options: options for the source, without those at their default.
        name: explicit name in the store, or None for the source's own choice.
        task, description, tags: labels for the record; they win over what the
            source says and never change what is downloaded.
        update: ask the source again, and fetch what changed.
        replace: let the name change its content.
        trust: the user decided that code of this very content may run.
        key: identifies ref, options and name; equal keys are the same request.
    """

    ref: ModelRef
    options: Mapping[str, Json] = field(default_factory=dict)
    name: str | None = None
    task: str | None = None
    description: str | None = None
    tags: tuple[str, ...] = ()
    update: bool = False
    replace: bool = False
    trust: bool = False
    key: str = ""


def make_request(
    source: str,
    model_id: str | None = None,
    *,
    settings: Settings,
    name: str | None = None,
    sha256: str | None = None,
    task: str | None = None,
    description: str | None = None,
    tags: Sequence[str] = (),
    update: bool = False,
    replace_content: bool = False,
    trust: bool = False,
    options: Mapping[str, Json] | None = None,
) -> Request:
    """Understand a download as a person or program words it.

    Args:
        source: a whole reference, or a source's scheme when ``model_id`` is given.
        model_id: what the source calls the model.
        settings: which plugins may be asked for their schemes when ``source``
            is a word that means nothing by itself.
        name: name in the store.
        sha256: 64 hex digits (``sha256:`` may precede them) the file must have.
        task: label of the record.
        description: label of the record.
        tags: labels of the record.
        update: ask the source again.
        replace_content: let the name change its content.
        trust: the user's decision that code of this very content may run.
        options: options for the source; None values were not given.

    Raises:
        RefError: the reference can't be understood.
        OptionError: the digest is no digest.
        UsageError: the name can't be a name.
    """
    text = source if model_id is None else join_words(source, model_id)
    try:
        ref = parse_ref(text)
    except RefError as error:
        raise _with_candidates(error, text, settings) from None
    if sha256:
        ref = _pin(ref, sha256)
    given = {
        key: value
        for key, value in (options or {}).items()
        if value is not None and not (key in DEFAULTS and DEFAULTS[key] == value)
    }
    if name is not None:
        check_name(name)
    return Request(
        ref=ref,
        options=given,
        name=name,
        task=task,
        description=description,
        tags=tuple(tags),
        update=update,
        replace=replace_content,
        trust=trust,
        key=request_key(str(ref), given, name),
    )


def _pin(ref: ModelRef, sha256: str) -> ModelRef:
    digest = sha256.strip().lower().removeprefix("sha256:")
    if not _HEX.fullmatch(digest):
        raise OptionError(
            f"the sha256 {sha256[:80]!r} is not 64 hex digits",
            hint="sha256sum FILE prints the digest",
        )
    if ref.sha256 not in (None, digest):
        raise OptionError("the reference and the sha256 option pin different contents")
    return replace(ref, sha256=digest)


def _with_candidates(error: RefError, text: str, settings: Settings) -> RefError:
    """For a bare word, the references it could have meant; nothing is fetched to guess."""
    word = text.strip()
    if not _BARE_WORD.fullmatch(word) or word.startswith("."):
        return error
    from torchinf_core.known import FIRST_PARTY
    from torchinf_core.plugins import load_plugins

    sources = load_plugins(settings).sources()
    schemes = [info.schemes[0] for info in sources if not _takes_urls(info.schemes)]
    here = {scheme for info in sources for scheme in info.schemes}
    absent = [
        plugin
        for plugin in FIRST_PARTY
        if not here.intersection(plugin.schemes) and not _takes_urls(plugin.schemes)
    ]
    candidates = [f"torchinf download {scheme}:{word}" for scheme in schemes]
    candidates += [
        f"torchinf download {p.schemes[0]}:{word} after {p.install}" for p in absent if p.schemes
    ]
    if not candidates:
        return error
    return RefError(
        f"{word!r} does not say where the model comes from, and no file of that name is here",
        hint=", or ".join(candidates),
    )


def _takes_urls(schemes: Sequence[str]) -> bool:
    return any(scheme in (*URL_SCHEMES, "file") for scheme in schemes)
