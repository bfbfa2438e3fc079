"""GGUF: magic, version and plausible counts.

Layout: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from torchinf_core.errors import FormatError
from torchinf_core.verify.sniffed import Sniffed

MAGIC = b"GGUF"
_VERSIONS = (1, 2, 3)


def judge(file: BinaryIO, size: int) -> Sniffed:
    """Check the fixed part of the header, in either byte order.

    Raises:
        FormatError: when it is cut, of an unknown version, or claims more
            tensors or keys than the file has room for.
    """
    file.seek(0)
    head = file.read(24)
    if head[:4] != MAGIC or len(head) < 24:
        raise FormatError("is not GGUF, or is cut within its header")
    order = "<" if struct.unpack_from("<I", head, 4)[0] < 1 << 16 else ">"
    (version,) = struct.unpack_from(order + "I", head, 4)
    if version not in _VERSIONS:
        raise FormatError(f"has the unknown GGUF version {version}")
    # Version 1 had 32-bit counts.
    counts = struct.unpack_from(order + ("II" if version == 1 else "QQ"), head, 8)
    if any(count > size // 8 for count in counts):
        raise FormatError(f"is GGUF, but has no room for its {max(counts)} entries")
    return Sniffed("gguf")
