"""The reference grammar: ``scheme:locator[@revision][#sha256=<64 hex>]``.

A URL or a path to an existing file stands for itself; ``url:`` before either
changes nothing.  Parsing never opens a connection or runs anything; the only
thing it looks at is whether a path exists.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from torchinf_core.errors import RefError, UsageError
from torchinf_core.types import ModelRef

MAX_LENGTH = 8192
MAX_NAME = 128
URL_SCHEMES = ("http", "https")
SECRET_WORDS = "token|key|sig|secret|pass|pwd|auth|credential|policy|session|jwt|code"  # noqa: S105 - a pattern

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_+.-]+):(.*)", re.DOTALL)
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
_RESERVED = frozenset(
    {"all", "con", "prn", "aux", "nul"}
    | {f"{device}{n}" for device in ("com", "lpt") for n in range(1, 10)}
)
# Compiled when they are first used, which most commands do not.
_SECRET_PARAM = rf"(?i)((?:^|[?&;])[^=&;#]*(?:{SECRET_WORDS})[^=&;#]*=)[^&;#]*"
_URL_IN_TEXT = r"(?i)https?://[^\s'\"<>]+"


def parse_ref(text: str) -> ModelRef:
    """Parse a reference as a person writes it.

    Args:
        text: for example ``torchvision:resnet18``, ``hf:org/name@main``,
            ``https://host/m.onnx#sha256=…``, ``./model.pt``.

    Raises:
        RefError: when it can't be parsed, or is a bare word that no path matches.
    """
    text = text.strip()
    if not text:
        raise RefError("the reference is empty", hint="torchinf download torchvision:resnet18")
    if len(text) > MAX_LENGTH:
        raise RefError(f"the reference is longer than {MAX_LENGTH} characters")
    if _CONTROL.search(text):
        raise RefError(
            f"the reference {text!a} holds control characters or bytes that are not UTF-8"
        )
    body, sha256 = _split_digest(text)
    match = _SCHEME.fullmatch(body)
    if match is None:
        return _parse_path(body, sha256)
    scheme, rest = match[1].lower(), match[2]
    if scheme == "url":
        return parse_ref(rest + (f"#sha256={sha256}" if sha256 else ""))
    if scheme in URL_SCHEMES:
        return _parse_url(body, scheme, sha256)
    if scheme == "file":
        return _parse_file_url(body, sha256)
    locator, at, revision = rest.rpartition("@")
    if not at:
        locator, revision = rest, ""
    if not locator or (at and not revision):
        raise RefError(
            f"the reference {text!r} lacks its {'revision behind @' if locator else 'model'}",
            hint=f"{scheme}:MODEL or {scheme}:MODEL@REVISION",
        )
    if locator.startswith(("./", "../", "~/")):
        # As a path alone: the same model, whatever directory it is asked for from.
        locator = os.path.abspath(os.path.expanduser(locator))
    return ModelRef(scheme, locator, revision or None, sha256)


def join_words(source: str, model_id: str) -> str:
    """The one-word form of ``download SOURCE MODEL_ID``.

    ``SOURCE`` may repeat as a prefix of ``MODEL_ID`` without harm.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_+.-]+", source):
        raise RefError(
            f"{source!r} is no source and {model_id!r} no option of one",
            hint="torchinf download SOURCE MODEL_ID, or torchinf download REF",
        )
    prefix = f"{source.lower()}:"
    if model_id.lower().startswith(prefix):
        return model_id
    if source.lower() in (*URL_SCHEMES, "file") and "://" in model_id:
        return model_id
    return prefix + model_id


def format_ref(ref: ModelRef) -> str:
    """Write a reference so that :func:`parse_ref` gives it back."""
    if ref.scheme in URL_SCHEMES:
        text = ref.locator
    elif ref.scheme == "file":
        text = "file://" + quote(ref.locator)
    else:
        text = f"{ref.scheme}:{ref.locator}" + (f"@{ref.revision}" if ref.revision else "")
    return text + (f"#sha256={ref.sha256}" if ref.sha256 else "")


def redact(text: str) -> str:
    """Hide user names, passwords and secret-looking query values of URLs in ``text``.

    Safe on any text; used wherever a reference is shown, logged or stored.
    """
    return re.sub(_URL_IN_TEXT, lambda match: _redact_url(match[0]), text)


def check_name(name: str) -> str:
    """Return ``name`` if a model may have it.

    Letters, digits and ``. _ + -``, at most 128, not starting with ``.``, ``-``
    or ``+``, and not a word that means something else (``all``, ``CON``).

    Raises:
        UsageError: otherwise.
    """
    if len(name) <= MAX_NAME and _NAME.fullmatch(name) and not _is_reserved(name):
        return name
    shown = ascii(name if len(name) <= 60 else name[:57] + "...")
    suggestion = suggest_name(name)
    raise UsageError(
        f"{shown} can't be the name of a model: letters, digits and . _ + - are allowed, "
        f"at most {MAX_NAME}, starting with a letter, a digit or _, and not a reserved word",
        hint=f"--name {suggestion}",
    )


def suggest_name(text: str) -> str:
    """The nearest allowed name to any text; never empty."""
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", text).strip("-.+")[:MAX_NAME].rstrip("-.+")
    if not name or not _NAME.fullmatch(name) or _is_reserved(name):
        name = f"model-{name}".rstrip("-")[:MAX_NAME]
    return name


def _is_reserved(name: str) -> bool:
    return name.lower().split(".")[0] in _RESERVED


def _split_digest(text: str) -> tuple[str, str | None]:
    body, sign, fragment = text.partition("#")
    if not sign:
        return text, None
    key, _, value = fragment.partition("=")
    if key.lower() == "sha256":
        if not _SHA256.fullmatch(value):
            raise RefError(
                f"#sha256= is followed by {value[:80]!r}, not by 64 hex digits",
                hint="sha256sum FILE prints the digest",
            )
        return body, value.lower()
    if re.match(r"[A-Za-z]+://", text):
        raise RefError(
            f"the URL ends in the fragment {sign + fragment[:80]!r}, which no server sees",
            hint="drop it, or pin the content with #sha256=<64 hex digits>",
        )
    return text, None


def _parse_url(body: str, scheme: str, sha256: str | None) -> ModelRef:
    try:
        parts = urlsplit(body)
        port = parts.port
    except ValueError as error:
        raise RefError(f"{redact(body)!r} is not a URL: {error}") from None
    if not parts.hostname or not body[len(scheme) :].startswith("://") or port == 0:
        raise RefError(f"{redact(body)!r} is not a URL: it names no host")
    if re.search(r"[\s\\]", body):
        raise RefError(f"{redact(body)!r} is not a URL: it holds a space or a backslash")
    return ModelRef(scheme, urlunsplit(parts), None, sha256)


def _parse_file_url(body: str, sha256: str | None) -> ModelRef:
    parts = urlsplit(body)
    if parts.netloc not in ("", "localhost"):
        raise RefError(
            f"{body!r} names the host {parts.netloc!r}; file URLs are local",
            hint=f"file:///{parts.netloc}{parts.path} for an absolute path",
        )
    path = unquote(parts.path)
    if not path.startswith("/") or "\0" in path:
        raise RefError(f"{body!r} is not an absolute file URL", hint="file:///path/to/model.onnx")
    return ModelRef("file", os.path.normpath(path), None, sha256)


def _parse_path(body: str, sha256: str | None) -> ModelRef:
    explicit = body.startswith(("./", "../", "/", "~")) or body in (".", "..")
    path = os.path.expanduser(body)
    if explicit or os.path.isfile(path):
        return ModelRef("file", os.path.abspath(path), None, sha256)
    raise RefError(
        f"{body!r} names no source, and no file of that name is here",
        hint=f"write SOURCE:{body}; torchinf plugins lists the sources",
    )


def _redact_url(url: str) -> str:
    head, sign, tail = url.partition("://")
    authority = re.split(r"[/?#]", tail, maxsplit=1)[0]
    rest = tail[len(authority) :]
    if "@" in authority:
        authority = "***@" + authority.rpartition("@")[2]
    return head + sign + authority + re.sub(_SECRET_PARAM, r"\1***", rest)
