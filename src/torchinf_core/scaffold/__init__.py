"""Starts a plugin: a small distribution that works, passes the kit, and is to be changed.

The files are templates in the folders of this package: ``both`` and one folder for each
kind; what stands between two ``@`` is filled in by :func:`render`.
"""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

from torchinf_core import __version__
from torchinf_core.errors import UsageError, from_os_error

KINDS = ("source", "runtime")
_NAME = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_PREFIX = re.compile(r"-?(?:torchinf(?:-|$))+")


def render(name: str, kind: str) -> dict[str, str]:
    """Path → content of the files of a new plugin.

    Args:
        name: of the plugin: lower-case letters and digits, ``-`` between words.
        kind: ``source`` or ``runtime``.

    Raises:
        UsageError: the name or the kind can't be.
    """
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise UsageError(
            f"{name!r} can't be the name of a plugin: lower-case letters, digits, single dashes",
            hint=_like(name),
        )
    if _PREFIX.match(name):
        raise UsageError(
            f"{name!r} can't be the name of a plugin: its distribution gets the prefix by itself",
            hint=_like(name),
        )
    if kind not in KINDS:
        raise UsageError(f"there is no kind {kind!r} of plugin", hint=f"kinds: {', '.join(KINDS)}")
    major, minor, _ = __version__.split(".", 2)
    window = f">={major}.{minor},<{major}.{int(minor) + 1}"
    requires = [f"torchinf{window}", *(["numpy>=1.24"] if kind == "runtime" else [])]
    words = {
        "NAME": name,
        "MODULE": "torchinf_" + name.replace("-", "_"),
        "TITLE": "".join(word.capitalize() for word in name.split("-")),
        "WINDOW": window,
        "REQUIRES": ", ".join(f'"{each}"' for each in requires),
        "VARIABLE": "TORCHINF_" + name.upper().replace("-", "_"),
    }
    found = {}
    for folder in ("both", kind):
        for template in files(__package__).joinpath(folder).iterdir():
            place = template.name.removesuffix(".in").replace("__", "/")
            found[_filled(place, words)] = _filled(template.read_text("utf-8"), words)
    return dict(sorted(found.items()))


def write(folder: Path, content: dict[str, str]) -> None:
    """Write the files of a new plugin into a folder that is not there yet.

    Raises:
        UsageError: the folder is there.
        StoreError: it can't be written.
    """
    try:
        folder.mkdir(parents=True)
        for place, text in content.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    except FileExistsError:
        raise UsageError(
            f"{folder} is there already, and nothing in it was changed",
            hint="take another name, or --into another folder",
        ) from None
    except OSError as error:
        raise from_os_error(error, folder) from None


def _like(name: str) -> str:
    """The command with a name that can be, as near to this one as may be."""
    near = _PREFIX.sub("", re.sub(r"[^a-z0-9]+", "-", name.lower()), count=1)
    wish = near.strip("-0123456789")[:40].rstrip("-")
    return f"torchinf new-plugin {wish or 'zoo'}"


def _filled(text: str, words: dict[str, str]) -> str:
    return re.sub(r"@([A-Z]+)@", lambda match: words[match[1]], text)
