"""Files on this machine: looked at by ``stat``, never opened."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from urllib.parse import quote

from torchinf_core.errors import AccessDeniedError, ModelNotFoundError
from torchinf_core.types import ModelRef
from torchinf_core.verify import safe_filename
from torchinf_url.naming import Found


def find_file(ref: ModelRef) -> Found:
    """The regular file at ``ref.locator``, links followed.

    Raises:
        ModelNotFoundError: there is nothing, or no regular file.
        AccessDeniedError: it can't be read.
    """
    path = Path(ref.locator)
    try:
        status = path.stat()
    except PermissionError:
        raise AccessDeniedError(f"{path} can't be looked at: permission denied") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelNotFoundError(
            f"there is no file {path}: {reason.lower()}", hint="check the path"
        ) from None
    if stat.S_ISDIR(status.st_mode):
        raise ModelNotFoundError(
            f"{path} is a directory; a path names one file",
            hint="name a file in it, or pack it as a .zip or .tar and use --extract",
        )
    if not stat.S_ISREG(status.st_mode):
        raise ModelNotFoundError(f"{path} is no regular file", hint="name one that is")
    if not os.access(path, os.R_OK):
        raise AccessDeniedError(
            f"{path} can't be read: permission denied", hint="check its owner and permissions"
        )
    name = safe_filename(f"file:///{quote(path.name, errors='replace')}")
    return Found(url=path.as_uri(), filename=name, size=status.st_size)
