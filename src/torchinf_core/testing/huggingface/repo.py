"""A model repository of the Hugging Face hub: git for small files, pointers for large ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from torchinf_core.testing.content import Content, Data
from torchinf_core.testing.faults import Fault
from torchinf_core.testing.git import Blob, Repository, content_sha256, object_id
from torchinf_core.testing.huggingface.xet import put

if TYPE_CHECKING:
    from torchinf_core.testing.hub import Hub

LFS_PATTERNS = (
    "*.7z", "*.arrow", "*.bin", "*.bz2", "*.ckpt", "*.ftz", "*.gguf", "*.gz", "*.h5",
    "*.joblib", "*.lfs.*", "*.mlmodel", "*.model", "*.msgpack", "*.npy", "*.npz", "*.onnx",
    "*.onnx.data", "*.ot", "*.parquet", "*.pb", "*.pickle", "*.pkl", "*.pt", "*.pt2", "*.pth",
    "*.rar", "*.safetensors", "*.tar", "*.tar.*", "*.tflite", "*.tgz", "*.wasm", "*.xz",
    "*.zip", "*.zst", "*tfevents*",
)  # fmt: skip
"""What a new repository of the real hub keeps as LFS files."""


class Repo(Repository):
    """A repository; made by :meth:`HuggingFace.add_repo`.

    Besides what every :class:`~torchinf_core.testing.git.Repository` can
    (``commit``, ``branch``, ``tag``, ``forget``, ``sha``):

    Attributes:
        id: ``org/name``, or ``name`` alone.
        number: the hub's own id of it, 24 hex digits, which survives a rename.
        private: only tokens that were let in see that it exists.
        gated: everybody sees it, only tokens that were let in get files.
        card: what the model card says: ``pipeline_tag``, ``license``,
            ``library_name``, ``tags``, ``downloads``, ``likes``, …
        xet: folder of the Xet storage that large files are put in, or None.
    """

    def __init__(
        self,
        name: str,
        hub: Hub,
        cdn: Hub,
        contents: dict[str, Content],
        *,
        private: bool,
        gated: bool,
        card: Mapping[str, Any],
        lfs: int | Sequence[str],
        xet: Path | None,
    ) -> None:
        super().__init__()
        self.id = name
        self.number = hashlib.sha256(name.encode()).hexdigest()[:24]
        self.private = private
        self.gated = gated
        self.card = dict(card)
        self._hub = hub
        self._cdn = cdn
        self._contents = contents
        self._lfs = lfs
        self.xet = xet

    def blob(self, path: str, content: Content) -> Blob:
        """A plain file, or a large one that the CDN gives out."""
        if not self._is_lfs(path, content):
            return Blob(content, object_id("blob", content))
        sha256 = content_sha256(content)
        pointer = Data(pointer_of(sha256, content.size))
        self._contents[self.cdn_path(sha256)] = content
        xet = None if self.xet is None else put(self.xet, content)
        return Blob(content, object_id("blob", pointer), sha256, pointer.size, xet)

    def url(self, path: str, revision: str | None = None) -> str:
        """The URL of a file at a revision, its commit by default."""
        return self._hub.url(self.resolve_path(path, revision))

    def resolve_path(self, path: str, revision: str | None = None) -> str:
        """The hub's path of a file at a revision; the commit of the default branch if None."""
        return f"/{self.id}/resolve/{revision or self.sha}/{path}"

    def cdn_path(self, sha256: str) -> str:
        """The CDN's path of a large file."""
        return f"/repos/{self.number}/{sha256}"

    def source(self, path: str, revision: str | None = None) -> tuple[Hub, str]:
        """The hub and the path there that a file's bytes come from.

        That is the CDN for a large file, and the URL with the commit in it for
        others: clients ask for the commit first and then for files *at* it.
        """
        commit = self.commits[self._known(revision)]
        blob = commit.files[path]
        if blob.sha256 is not None:
            return self._cdn, self.cdn_path(blob.sha256)
        return self._hub, self.resolve_path(path, commit.sha)

    def fail(self, path: str, *faults: Fault, revision: str | None = None) -> None:
        """Queue faults where a file's bytes come from, see :meth:`source`."""
        hub, where = self.source(path, revision)
        hub.fail(where, *faults)

    def _is_lfs(self, path: str, content: Content) -> bool:
        if isinstance(self._lfs, int):
            return content.size >= self._lfs
        name = path.rpartition("/")[2]
        return any(fnmatch(name, pattern) for pattern in self._lfs)


def pointer_of(sha256: str, size: int) -> bytes:
    """The text that git holds in place of a large file."""
    head = "version https://git-lfs.github.com/spec/v1"
    return f"{head}\noid sha256:{sha256}\nsize {size}\n".encode()


def readme(card: Mapping[str, Any]) -> bytes:
    """A model card whose front matter says what ``card`` does."""
    fields = {key: value for key, value in card.items() if key not in ("downloads", "likes")}
    lines = [f"{key}: {json.dumps(value)}" for key, value in fields.items()]
    return "\n".join(["---", *lines, "---", "", "# A model", ""]).encode()


def quoted(path: str) -> str:
    """A path as it is written in a URL."""
    return quote(path, safe="/")
