"""The answers that take a record and nothing else: version, path, a warm download.

Imports only what Python starts with, json and hashlib, and so answers in a few
milliseconds.  Whatever is unusual (an option, a settings file, a file that was
touched, no such name) is left to the whole command line: nothing here reports
an error.
"""

from __future__ import annotations

import os

from torchinf_core import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def answer(argv: Sequence[str]) -> int | None:
    """Do what ``argv`` asks and return 0, or do nothing and return None."""
    if not argv:
        return None
    if argv[0] in ("--version", "-V"):
        print(f"torchinf {__version__}")  # noqa: T201
        return 0
    if argv[0] not in ("path", "download"):
        return None
    words, cache_dir, quiet = _understand(argv[1:])
    if not words or _has_settings_file() or os.environ.get("TORCHINF_DEBUG"):
        return None
    from torchinf_core import warm

    root = os.path.abspath(os.path.expanduser(cache_dir or warm.default_cache_dir()))
    if argv[0] == "path":
        found = warm.find_name(root, words[0]) if len(words) == 1 and not quiet else None
    else:
        found = warm.find_request(root, warm.request_key(_reference(words), {}, None))
    if found is None:
        return None
    if argv[0] == "download" and not quiet:
        from torchinf_core.cli import output

        output.tell(output.summary(found.name, len(found.sizes), sum(found.sizes), "already here"))
    try:
        print(found.path, flush=True)  # noqa: T201
    except OSError:
        return None
    return 0


def _understand(words: Sequence[str]) -> tuple[list[str], str | None, bool]:
    """Plain words, ``--cache-dir`` and ``--quiet``; no words when there is more to it."""
    plain: list[str] = []
    cache_dir, quiet = None, False
    rest = iter(words)
    for word in rest:
        if word in ("-q", "--quiet"):
            quiet = True
        elif word == "--cache-dir":
            cache_dir = next(rest, "")
            if not cache_dir:
                return [], None, False
        elif word.startswith("-"):
            return [], None, False
        else:
            plain.append(word)
    return plain, cache_dir, quiet


def _reference(words: Sequence[str]) -> str:
    """The canonical reference if the words are written that way, else one nobody asked for.

    A text that equals some reference's canonical form means that reference.
    """
    if len(words) == 1:
        return words[0]
    source, model = words[0].lower(), words[1]
    if len(words) > 2 or model.lower().startswith(f"{source}:"):
        return ""
    if source in ("url", "http", "https", "file"):
        return model
    return f"{source}:{model}"


def _has_settings_file() -> bool:
    if os.environ.get("TORCHINF_CONFIG"):
        return True
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return os.path.lexists(f"{base}/torchinf/config.toml")
