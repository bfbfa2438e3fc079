"""The exception tree: one for the library, the command line and a server.

::

    TorchinfError                                                    exit  http
    ├ UsageError(ValueError): RefError, OptionError, InputError, NameTakenError  2   422 / 409
    ├ NotFoundError(LookupError): ModelNotFoundError, NotCachedError    3   404
    ├ SourceError: NetworkError(ConnectionError) ─ OfflineError,
    │              AccessDeniedError                                    4   502 / 503 / 403
    ├ IntegrityError                                                    5   502
    ├ StoreError(OSError): DiskSpaceError                               6   500 / 507
    ├ PolicyError(PermissionError): UntrustedError, SizeLimitError      7   403 / 413
    ├ LoadError: FormatError(ValueError), NoRuntimeError,
    │            AmbiguousRuntimeError, DeviceError                     8   422 / 501 / 503
    ├ MissingError: UnknownSourceError, MissingDependencyError(ImportError)  9   501
    ├ PluginError: PluginConflictError, PluginContractError             9   500
    └ BusyError(TimeoutError)                                          10   503

Exit code 1 is a bug in torchinf; 130 and 143 are an interrupt.  Every message
says what happened and on what; ``hint`` says what to do next.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class TorchinfError(Exception):
    """Anything torchinf reports on purpose.

    Attributes:
        exit_code: process exit status, stable between releases.
        http_status: status a server answers with.
        hint: the next step as a sentence or a command, or ``""``.
    """

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        """The message alone, also where a built-in parent would show a tuple."""
        return str(self.args[0]) if self.args else self.__class__.__name__


# USAGE


class UsageError(TorchinfError, ValueError):
    """The request itself is wrong; trying again will not help."""

    exit_code, http_status = 2, 422


class RefError(UsageError):
    """A reference that can't be parsed."""


class OptionError(UsageError):
    """An option that no installed source knows, or a value it can't have."""


class InputError(UsageError):
    """An input that the model can't take; the message says what it wants."""


class NameTakenError(UsageError):
    """The name belongs to a model with another content."""

    http_status = 409


# NOT FOUND


class NotFoundError(TorchinfError, LookupError):
    """Something that was asked for by name does not exist."""

    exit_code, http_status = 3, 404


class ModelNotFoundError(NotFoundError):
    """The source has no such model, revision or file."""


class NotCachedError(NotFoundError):
    """The local store has no such model."""


# SOURCE AND NETWORK


class SourceError(TorchinfError):
    """A source answered, but not usefully."""

    exit_code, http_status = 4, 502


class NetworkError(SourceError, ConnectionError):
    """The source could not be reached, or broke off too often."""


class OfflineError(NetworkError):
    """A connection would be needed, and offline mode forbids it."""

    http_status = 503


class AccessDeniedError(SourceError):
    """The source wants (other) credentials."""

    http_status = 403


# INTEGRITY


class IntegrityError(TorchinfError):
    """Bytes differ from what was pinned, published or recorded."""

    exit_code, http_status = 5, 502


# STORE


class StoreError(TorchinfError, OSError):
    """The local store can't be read or written."""

    exit_code, http_status = 6, 500


class DiskSpaceError(StoreError):
    """The file system (or its quota) can't hold the model."""

    http_status = 507


# POLICY


class PolicyError(TorchinfError, PermissionError):
    """Refused by a rule the user set or the defaults set."""

    exit_code, http_status = 7, 403


class UntrustedError(PolicyError):
    """Using it would run code that nobody trusted yet."""


class SizeLimitError(PolicyError):
    """More bytes than ``max_bytes`` allows."""

    http_status = 413


# MODEL FILES


class LoadError(TorchinfError):
    """A model file that can't be used."""

    exit_code, http_status = 8, 422


class FormatError(LoadError, ValueError):
    """The content is not what its format demands."""


class NoRuntimeError(LoadError):
    """No installed runtime can load this model."""

    http_status = 501


class AmbiguousRuntimeError(LoadError):
    """Several runtimes fit equally well, and nobody said which one to take."""


class DeviceError(LoadError):
    """The device that was asked for is not there, or can't hold the model."""

    http_status = 503


# MISSING AND BROKEN PARTS


class MissingError(TorchinfError):
    """A plugin or package is not installed."""

    exit_code, http_status = 9, 501


class UnknownSourceError(MissingError):
    """No installed plugin serves this scheme."""


class MissingDependencyError(MissingError, ImportError):
    """A package that a plugin needs is not installed."""


class PluginError(TorchinfError):
    """A plugin failed; the message names it and the hook."""

    exit_code, http_status = 9, 500


class PluginConflictError(PluginError):
    """Two plugins claim the same scheme."""


class PluginContractError(PluginError):
    """A plugin returned something its contract does not allow."""


# BUSY


class BusyError(TorchinfError, TimeoutError):
    """Another process holds what is needed."""

    exit_code, http_status = 10, 503


def from_os_error(error: OSError, path: object) -> StoreError:
    """The StoreError that says what an operating system error means for ``path``."""
    import errno

    reason = (error.strerror or str(error)).lower()
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskSpaceError(
            f"no space left for {path} ({reason})",
            hint="torchinf gc, torchinf remove NAME, or --cache-dir on another disk",
        )
    if error.errno == errno.EFBIG:
        return StoreError(
            f"{path} would be larger than this process may write ({reason})",
            hint="raise the limit (ulimit -f), or use another file system",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StoreError(
            f"{path} can't be written: {reason}",
            hint="check its owner and permissions, or choose another --cache-dir",
        )
    return StoreError(f"{path}: {reason}", hint="torchinf doctor checks the store and its disk")
