"""Where things are in a store, and how names and digests become paths.

No text from outside becomes part of a path unless it went through a function
of this module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from torchinf_core.errors import IntegrityError, StoreError
from torchinf_core.frozen import dataclass
from torchinf_core.types import StoredFile, is_sha256
from torchinf_core.warm import hex_digest, model_id

LAYOUT = 1
RECORD_SUFFIX = ".json"
DIRECTORIES = (
    "blobs",
    "blobs/sha256",
    "partial",
    "models",
    "records",
    "requests",
    "locks",
    "quarantine",
    "tmp",
)
LINKS_SUFFIX = ".links"
DERIVED_SUFFIX = ".derived"
_SLUG = r"[a-z0-9_+-][a-z0-9._+-]{0,127}"
_KEY = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}"
_boot_id = ""


def name_of(ident: str) -> str | None:
    """The model name behind an id, where the id alone tells (no capital letters)."""
    name = ident[:-9]
    if re.fullmatch(_SLUG, name) and hex_digest(name.encode())[:8] == ident[-8:]:
        return name
    return None


def generation(files: Iterable[StoredFile]) -> str:
    """64 hex digits over the sorted ``(path, sha256)`` pairs: the content of a model."""
    lines = sorted(f"{file.path}\0{file.sha256}\n" for file in files)
    return hex_digest("".join(lines).encode("utf-8", "surrogatepass"))


def check_sha256(sha256: str) -> str:
    """Return ``sha256`` if it is 64 lower-case hex digits.

    Raises:
        IntegrityError: otherwise; no path is ever built from such a text.
    """
    if not is_sha256(sha256):
        raise IntegrityError(f"{sha256[:80]!r} is not a sha256 digest")
    return sha256


def check_key(key: str) -> str:
    """Return ``key`` if it may name a file; else a digest of it."""
    if re.fullmatch(_KEY, key):
        return key
    return hex_digest(key.encode("utf-8", "surrogatepass"))


def is_safe_path(path: str) -> bool:
    """True for a relative POSIX path that stays below its directory."""
    return (
        bool(path)
        and "\0" not in path
        and "\\" not in path
        and all(part not in ("", ".", "..") for part in path.split("/"))
    )


def boot_id() -> str:
    """A text that changes with every start of the machine, where it says so."""
    global _boot_id
    if not _boot_id:
        try:
            with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
                _boot_id = check_key(file.read().strip())
        except (OSError, ValueError):
            _boot_id = check_key(f"boot-of-{os.uname().nodename}")
    return _boot_id


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one store; knows nothing of what is there."""

    root: str

    def path(self, directory: str) -> str:
        """Path of one of the store's own directories or files."""
        return f"{self.root}/{directory}"

    def blob(self, sha256: str) -> str:
        """Path of a blob, whether or not it exists."""
        check_sha256(sha256)
        return f"{self.root}/blobs/sha256/{sha256[:2]}/{sha256}"

    def record(self, name: str) -> str:
        """Path of the record of a model."""
        return f"{self.root}/records/{model_id(name)}{RECORD_SUFFIX}"

    def request(self, key: str) -> str:
        """Path of the pointer from a request to a name."""
        return f"{self.root}/requests/{check_key(key)}"

    def home(self, name: str) -> str:
        """Directory that holds the generations of a model."""
        return f"{self.root}/models/{model_id(name)}"

    def model(self, name: str, generation: str) -> str:
        """Directory that holds the files of a model."""
        if not is_sha256(generation):
            raise StoreError(f"{generation[:80]!r} is not the generation of a model")
        return f"{self.home(name)}/{generation}"

    def derived(self, name: str, generation: str) -> str:
        """Directory of the optimised forms made from one content of a model."""
        return f"{self.model(name, generation)}{DERIVED_SUFFIX}"

    def lock(self, key: str) -> str:
        """Path of a lock file."""
        return f"{self.root}/locks/{check_key(key)}.lock"

    def scratch(self) -> str:
        """Directory for temporary files of this boot of the machine."""
        return f"{self.path('tmp')}/{boot_id()}"
