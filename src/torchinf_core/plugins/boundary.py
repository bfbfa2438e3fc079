"""Where foreign code is called: its errors are translated and its calls traced.

Nothing a plugin raises reaches a caller as anything but a TorchinfError, except
KeyboardInterrupt.
"""

from __future__ import annotations

import errno
import inspect
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from threading import current_thread, main_thread
from typing import TextIO, TypeVar

from torchinf_core.errors import (
    PluginContractError,
    PluginError,
    TorchinfError,
    from_os_error,
)
from torchinf_core.plugins.discovery import EntryPoint
from torchinf_core.settings import Settings
from torchinf_core.types import Plan

T = TypeVar("T")

_LONGEST = 400
_CONTROL = r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+"
_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)


def guarded(
    call: Callable[[], T],
    *,
    owner: EntryPoint,
    hook: str,
    about: str,
    settings: Settings,
    authors: Mapping[int, EntryPoint],
    wrappers: Sequence[str] = (),
) -> T:
    """The result of ``call``, which runs a hook of a plugin and checks what it returned.

    Args:
        call: takes nothing.
        owner: the plugin that is called.
        hook: name of the hook.
        about: what it is called for, such as a reference; shown to people.
        settings: tell the secrets that a message may not hold.
        authors: which plugin the function with a code object of this ``id`` is
            from, so that a failing wrapper is not blamed on the plugin it wraps.
        wrappers: names of plugins that may have changed what the owner gave.

    Raises:
        TorchinfError: that of the plugin, a translated one of httpx, or a
            PluginError that names plugin and hook.
    """
    started = time.perf_counter()
    try:
        with _data_kept_clean():
            result = call()
    except BaseException as error:
        blamed = _blamed(error, authors)
        hint = _mend(blamed) if blamed else _mend(owner, wrappers)
        where = f"the plugin {(blamed or owner).name!r} failed in {hook} for {about}"
        translated = _translate(error, hook, about, settings, where, hint)
        if tracing():
            seconds = time.perf_counter() - started
            trace(owner, hook, seconds, one_line(describe(translated), settings))
        if translated is error:
            raise
        raise translated from error
    if tracing():
        trace(owner, hook, time.perf_counter() - started, one_line(_summary(result), settings))
    return result


def _data_kept_clean() -> AbstractContextManager[object]:
    """Sends what a hook prints to stderr: stdout holds what a command was asked for alone.

    Only in the main thread, where commands run: streams belong to the whole process,
    and two threads that put them back would end with the wrong one.
    """
    return printing_to(sys.stderr)


def printing_to(stream: TextIO) -> AbstractContextManager[object]:
    """Sends what is printed there, in the main thread."""
    return redirect_stdout(stream) if current_thread() is main_thread() else nullcontext()


@contextmanager
def answerable(owner: EntryPoint, wrappers: Sequence[str]) -> Iterator[None]:
    """Where the core looks at what a hook gave: a breach of its contract names the plugin.

    Args:
        owner: the plugin that was called.
        wrappers: names of those that may have changed what it gave.
    """
    try:
        yield
    except PluginContractError as error:
        wrapped = f" (wrapped by {', '.join(wrappers)})" if wrappers else ""
        raise PluginContractError(
            f"the plugin {owner}{wrapped} is at fault: {error}", hint=_mend(owner, wrappers)
        ) from error


def _mend(blamed: EntryPoint, wrappers: Sequence[str] = ()) -> str:
    hint = f"update {blamed.distribution}, or leave it out with TORCHINF_DISABLE={blamed.name}"
    others = " or ".join(f"TORCHINF_DISABLE={name}" for name in wrappers)
    return f"{hint}, or what wraps it with {others}" if others else hint


def tracing() -> bool:
    """True when calls are to be shown; what a trace would say is not made for nothing."""
    return os.environ.get("TORCHINF_TRACE", "") not in ("", "0")


def trace(owner: EntryPoint, hook: str, seconds: float, outcome: str) -> None:
    """With ``TORCHINF_TRACE=1``, one line on stderr for a call."""
    if tracing():
        sys.stderr.write(f"torchinf: {hook} {owner.name} {seconds * 1e3:.1f} ms -> {outcome}\n")


def one_line(text: str, settings: Settings | None = None) -> str:
    """``text`` as one printable line without secrets, of bounded length."""
    text = " ".join(re.sub(_CONTROL, " ", _without_secrets(text, settings)).split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def describe(error: BaseException) -> str:
    """Type and message of an error on one line, whatever its ``__str__`` does."""
    try:
        message = str(error)
    except Exception:  # noqa: BLE001 - foreign code
        message = ""
    return one_line(f"{type(error).__name__}: {message}" if message else type(error).__name__)


def _translate(
    error: BaseException, hook: str, about: str, settings: Settings, where: str, hint: str
) -> BaseException:
    # One that has another for its cause was named here before, for a hook that this one led to.
    named = isinstance(error.__cause__, PluginContractError)
    if isinstance(error, PluginContractError) and not named:
        return PluginContractError(one_line(f"{where}: {error}", settings), hint=hint)
    if isinstance(error, TorchinfError):
        error.args = (_without_secrets(str(error), settings),)
        error.hint = _without_secrets(error.hint, settings)
        return error
    if _is_httpx(error) and isinstance(error, Exception):
        from torchinf_core.network.failures import translate

        return translate(error, _url_of(error) or about, settings)
    if hook == "fetch" and isinstance(error, OSError) and error.errno in _DISK:
        return from_os_error(error, error.filename or about)
    if isinstance(error, KeyboardInterrupt):
        return error
    return PluginError(one_line(f"{where}: {describe(error)}", settings), hint=hint)


def _blamed(error: BaseException, authors: Mapping[int, EntryPoint]) -> EntryPoint | None:
    """The plugin whose hook is the innermost one in the traceback."""
    blamed = None
    traceback = error.__traceback__
    while traceback is not None:
        blamed = authors.get(id(traceback.tb_frame.f_code), blamed)
        traceback = traceback.tb_next
    return blamed


def code_id(function: Callable[..., object]) -> int:
    """The key of a function in ``authors``."""
    return id(getattr(inspect.unwrap(function), "__code__", None))


def _is_httpx(error: BaseException) -> bool:
    """Asked by name: importing httpx to compare costs more than most hooks."""
    return any(
        parent.__module__.partition(".")[0] == "httpx" and parent.__name__ in _HTTPX_ERRORS
        for parent in type(error).__mro__
    )


_HTTPX_ERRORS = ("HTTPError", "InvalidURL")


def _url_of(error: BaseException) -> str:
    try:
        return str(error.request.url)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        return ""


def _without_secrets(text: str, settings: Settings | None) -> str:
    from torchinf_core.refs import redact

    text = redact(text)
    secrets = [v for name, v in os.environ.items() if name.startswith("TORCHINF_TOKEN_")]
    for secret in (*secrets, *(settings.tokens.values() if settings else ())):
        if secret:
            text = text.replace(secret, "***")
    return text


def _summary(result: object) -> str:
    if isinstance(result, Plan):
        size = "unknown size" if result.size is None else f"{result.size} bytes"
        files = f"{size} in {len(result.files)} files"
        return f"Plan {result.name!r}, {files}, revision {result.revision!r}"
    if isinstance(result, (list, tuple)):
        return f"{len(result)} of {type(result[0]).__name__}" if result else "nothing"
    # A text is a token; no trace may show it.
    return "a text" if isinstance(result, str) else repr(result)
