"""What torch and pickle files need: checkpoints, TorchScript, exported programs.

Decides by what the file holds, never by its name, and without unpickling.  The
verdict is a classification, not the defence: a checkpoint is read with
``weights_only=True`` all the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO

from torchinf_core.errors import FormatError
from torchinf_core.types import Trust
from torchinf_core.verify.pickles import Scan, scan
from torchinf_core.verify.sniffed import Sniffed
from torchinf_core.verify.streams import open_entry, open_section
from torchinf_core.verify.zipdir import Entry, read_entries

# Protocol 2 and up, then the number 0x1950a86a20f9469cfc6c: torch/serialization.py, MAGIC_NUMBER.
_LEGACY = re.compile(rb"\x80[\x02-\x05](?:\x95.{8})?\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19\.", re.DOTALL)
_LEGACY_PICKLES = 5

# A path in the archive, without its root folder, that only one kind of file has.
_MARKS = (
    ("torchscript", re.compile(r"constants\.pkl|bytecode\.pkl")),
    (
        "torch-export",
        re.compile(r"archive_format|serialized_exported_program\.json|data/aotinductor/.*"),
    ),
    ("torch-package", re.compile(r"\.data/(?:extern_modules|python_version)")),
)
_DATA = re.compile(r"[^/]+/data\.pkl", re.IGNORECASE)


def judge_zip(file: BinaryIO, size: int) -> Sniffed:
    """Tell torch's kinds of zip files from each other and from other zips.

    Raises:
        FormatError: for a zip that is damaged or could be read in two ways.
        PolicyError: for one of too many members.
    """
    entries = read_entries(file, size)
    for kind, mark in _MARKS:
        if any(mark.fullmatch(name) for name in _inner_names(entries)):
            return Sniffed(kind, Trust.CODE)
    data = [entry for entry in entries if _DATA.fullmatch(entry.name)]
    if not data:
        return Sniffed("zip")
    if any(name.startswith("code/") for name in _inner_names(entries)):
        return Sniffed("torchscript", Trust.CODE)
    if len(data) > 1:
        raise FormatError("is a torch file with two members named data.pkl")
    return Sniffed("torch", _trust_of([_scan_member(file, data[0])]))


def _inner_names(entries: list[Entry]) -> Iterator[str]:
    """Paths as they are and without their root, in lower case: torch finds records in any case."""
    for entry in entries:
        name = entry.name.lower()
        yield name
        yield name.partition("/")[2]


def judge_pickle(file: BinaryIO, size: int) -> Sniffed:
    """Judge a file that is one pickle, or several as torch wrote them before 1.6.

    Raises:
        FormatError: when it ends within a pickle that looked harmless so far.
    """
    file.seek(0)
    legacy = _LEGACY.match(file.read(64)) is not None
    stream = open_section(file, 0, size)
    scans = [scan(stream)]
    while legacy and len(scans) < _LEGACY_PICKLES and scans[-1].complete:
        scans.append(scan(stream))
    trust = _trust_of(scans)
    if not legacy and stream.read(1):
        trust = Trust.CODE  # what follows the pickle is read by nobody knows what
    return Sniffed("torch" if legacy else "pickle", trust)


def is_code_pickle(file: BinaryIO, size: int) -> bool:
    """Whether a file without a pickle's first byte is one that names globals all the same."""
    found = scan(open_section(file, 0, size))
    return found.complete and found.calls


def _scan_member(file: BinaryIO, entry: Entry) -> Scan:
    with open_entry(file, entry) as stream:
        return scan(stream)


def _trust_of(scans: list[Scan]) -> Trust:
    if any(found.foreign for found in scans):
        return Trust.CODE
    if not all(found.complete for found in scans):
        raise FormatError("is a pickle that is cut or damaged")
    return Trust.PICKLE
