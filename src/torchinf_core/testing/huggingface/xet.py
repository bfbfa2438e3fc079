"""Xet storage in a folder: chunks of large files, as hf_xet keeps them for ``local://``.

Needs the package hf_xet.  That runs in a process of its own, so that the threads
which it starts don't stay in the process of the tests.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from torchinf_core.testing.content import Content, FileData
from torchinf_core.testing.git import BLOCK
from torchinf_core.testing.messages import Reply, page

LIFE = 3600
"""Seconds that a token for the storage is good for."""
PUT = """
import sys, hf_xet
with hf_xet.XetSession().new_upload_commit(endpoint=sys.argv[1]) as commit:
    upload = commit.start_upload_file(sys.argv[2])
print(upload.result().xet_info.hash)
"""


def have_xet() -> bool:
    """True when hf_xet is installed."""
    return find_spec("hf_xet") is not None


def put(folder: Path, content: Content) -> str:
    """Store a content in a folder; returns its Xet hash, 64 hex digits.

    Raises:
        RuntimeError: hf_xet is missing or could not.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(content, FileData):
        return _put(folder, content.path)
    with tempfile.NamedTemporaryFile() as file:
        for start in range(0, content.size, BLOCK):
            file.write(content.read(start, min(start + BLOCK, content.size)))
        file.flush()
        return _put(folder, Path(file.name))


def connection(folder: Path) -> Reply:
    """The page that tells a client where the storage is and opens it."""
    fields = {"casUrl": f"local://{folder}", "accessToken": "xet", "exp": int(time.time()) + LIFE}
    headers = {
        "X-Xet-Cas-Url": str(fields["casUrl"]),
        "X-Xet-Access-Token": str(fields["accessToken"]),
        "X-Xet-Token-Expiration": str(fields["exp"]),
    }
    return page(fields, headers)


def _put(folder: Path, file: Path) -> str:
    done = subprocess.run(  # noqa: S603 - own program and own paths
        [sys.executable, "-c", PUT, f"local://{folder}", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"hf_xet stored nothing: {done.stderr}")
    return done.stdout.strip()
