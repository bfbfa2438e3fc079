"""Answers that need no Typer: version, help, simple forms of path, list, info, download, predict.

``path`` and a warm ``download`` import only what Python starts with and json,
and so take a few milliseconds.  Whatever is unusual (an option, a
settings file, a file that was touched, no such name) is left to the whole
command line: nothing here reports an error, but for ``predict``, which is not
begun before its words are understood and then ends as it would there.
"""

from __future__ import annotations

import os
import sys

from torchinf_core import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def answer(argv: Sequence[str]) -> int | None:
    """Do what ``argv`` asks and return an exit status, or do nothing and return None."""
    if any(os.environ.get(variable) for variable in _UNUSUAL):
        return None
    if argv and argv[0] == "predict":
        return _predict(argv)
    from torchinf_core.cli import output

    try:
        page = _page(argv)
        if page is None:
            return None
        output.prepare_streams()
        if isinstance(page, str):
            print(page)  # noqa: T201
        else:
            page()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        output.drop_stdout()
        return output.BROKEN_PIPE
    except Exception:  # noqa: BLE001 - the whole command line meets it again, and reports it
        return None
    return 0


def _page(argv: Sequence[str]) -> str | Callable[[], None] | None:
    """What to print, or what prints it; None for whatever is not simple."""
    command = argv[0] if argv else "--help"
    if command in ("--version", "-V"):
        return f"torchinf {__version__}"
    if command in ("--help", "-h"):
        from torchinf_core.cli.commands import help_page

        return help_page().rstrip("\n")
    if command not in ("path", "download", "list", "info"):
        return None
    understood = _understand(argv[1:])
    if understood is None:
        return None
    words, flags, cache_dir = understood
    if command == "path" and len(words) == 1 and not flags:
        return _path(words[0], cache_dir)
    if command == "download" and words and flags <= {"--quiet"}:
        return _download(words, cache_dir, quiet=bool(flags))
    if command == "list" and not words:
        return lambda: _list(cache_dir, flags)
    if command == "info" and len(words) == 1 and flags <= {"--json"}:
        return lambda: _info(words[0], cache_dir, flags)
    return None


def _path(name: str, cache_dir: str | None) -> str | None:
    from torchinf_core import warm

    root = _root(cache_dir)
    found = warm.find_name(root, name) if root else None
    return found.path if found else None


def _download(words: Sequence[str], cache_dir: str | None, *, quiet: bool) -> str | None:
    from torchinf_core import warm

    root = _root(cache_dir)
    key = warm.request_key(_reference(words), {}, None)
    found = warm.find_request(root, key) if root else None
    if found is not None and not quiet:
        from torchinf_core.cli import output

        output.tell(output.summary(found.name, len(found.sizes), sum(found.sizes), "already here"))
    return found.path if found else None


def _list(cache_dir: str | None, flags: set[str]) -> None:
    from torchinf_core.cli.show import show_list
    from torchinf_core.manager import ModelDownloader

    downloader = ModelDownloader(cache_dir)
    show_list(downloader, as_json="--json" in flags, quiet="--quiet" in flags)


def _info(name: str, cache_dir: str | None, flags: set[str]) -> None:
    from torchinf_core.cli.show import show_info
    from torchinf_core.manager import ModelDownloader

    show_info(ModelDownloader(cache_dir), name, as_json="--json" in flags)


def _predict(argv: Sequence[str]) -> int | None:
    words: list[str] = []
    asked: dict[str, object] = {}
    rest = iter(argv[1:])
    for word in rest:
        if word in _PREDICT_FLAGS:
            asked[_PREDICT_FLAGS[word]] = True
        elif word in _PREDICT_VALUES:
            value = next(rest, "")
            if not value or value.startswith("-") or _PREDICT_VALUES[word] in asked:
                return None
            asked[_PREDICT_VALUES[word]] = value
        elif word in _PREDICT_NUMBERS:
            value = next(rest, "")
            if not (value.isascii() and value.isdecimal() and int(value)):
                return None
            asked[_PREDICT_NUMBERS[word]] = int(value)
        elif word.startswith("-") and word != "-":
            return None
        else:
            words.append(word)
    if len(words) < 2:  # a model and an input
        return None
    import gc

    from torchinf_core.cli.ending import ended

    gc.disable()  # nothing of what is imported from here on becomes garbage

    def command() -> int:
        from torchinf_core.cli.predicting.predict import predict
        from torchinf_core.cli.predicting.request import Request

        return predict(Request(words[0], words[1:], **asked))  # type: ignore[arg-type]

    return ended(argv, command)


_UNUSUAL = ("_TORCHINF_COMPLETE", "TORCHINF_DEBUG", "TORCHINF_SERVER")
_PREDICT_FLAGS = {
    "-q": "quiet",
    "--quiet": "quiet",
    "--json": "as_json",
    "--original": "original",
    "--force": "force",
    "--fail-fast": "fail_fast",
}
_PREDICT_VALUES = {
    "--cache-dir": "cache_dir",
    "--device": "device",
    "--runtime": "runtime",
    "--precision": "precision",
    "--out": "out",
}
_PREDICT_NUMBERS = {"--top": "top", "--batch-size": "batch_size", "--threads": "threads"}

_FLAGS = {"-q": "--quiet", "--quiet": "--quiet", "--json": "--json"}


def _understand(words: Sequence[str]) -> tuple[list[str], set[str], str | None] | None:
    """Plain words, flags and ``--cache-dir``; None when there is more to it."""
    plain: list[str] = []
    flags: set[str] = set()
    cache_dir = None
    rest = iter(words)
    for word in rest:
        if word in _FLAGS:
            flags.add(_FLAGS[word])
        elif word == "--cache-dir":
            cache_dir = next(rest, "")
            if not cache_dir:
                return None
        elif word.startswith("-"):
            return None
        else:
            plain.append(word)
    return plain, flags, cache_dir


def _root(cache_dir: str | None) -> str | None:
    """The store, when no settings file needs to be read to know it."""
    from torchinf_core import warm

    if os.environ.get("TORCHINF_CONFIG"):
        return None
    base = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    if os.path.lexists(f"{base}/torchinf/config.toml"):
        return None
    return os.path.abspath(os.path.expanduser(cache_dir or warm.default_cache_dir()))


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
