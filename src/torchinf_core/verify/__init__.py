"""Everything that judges names and bytes before they may enter the store.

Nothing here opens a connection, imports a framework, unpickles or runs what it
looks at.  :mod:`~torchinf_core.verify.archives` is imported by name, where an
archive is to be unpacked.
"""

from torchinf_core.verify.content import sniff
from torchinf_core.verify.digests import check_digests, hash_file, hash_git_blob
from torchinf_core.verify.paths import check_path, fold_path, safe_filename
from torchinf_core.verify.plan import check_plan
from torchinf_core.verify.sniffed import Sniffed

__all__ = [
    "Sniffed",
    "check_digests",
    "check_path",
    "check_plan",
    "fold_path",
    "hash_file",
    "hash_git_blob",
    "safe_filename",
    "sniff",
]
