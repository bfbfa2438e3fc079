"""Digests of files and their comparison with the plan."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from torchinf_core.errors import IntegrityError
from torchinf_core.types import RemoteFile
from torchinf_core.verify import check_digests, hash_file, hash_git_blob

CONTENT = b"weights" * 400_000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
GIT = hashlib.sha1(b"blob %d\0" % len(CONTENT) + CONTENT).hexdigest()
FILE = RemoteFile("m.bin", "https://user:pw@host/m.bin")


def test_a_file_of_several_pieces_hashes_to_its_digests(tmp_path: Path) -> None:
    path = tmp_path / "m.bin"
    path.write_bytes(CONTENT)
    assert hash_file(path) == (SHA256, len(CONTENT))
    assert hash_git_blob(path) == GIT


def test_an_empty_file_has_the_known_digests(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert hash_file(path) == (hashlib.sha256().hexdigest(), 0)
    assert hash_git_blob(path) == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


@pytest.mark.parametrize(
    "file",
    [
        FILE,
        replace(FILE, size=len(CONTENT), sha256=SHA256, sha256_prefix=SHA256[:8], git_sha1=GIT),
    ],
)
def test_equal_values_pass_and_unknown_ones_are_not_compared(file: RemoteFile) -> None:
    check_digests(file, SHA256, len(CONTENT), GIT)


def test_a_git_id_need_not_be_computed_when_the_sha256_is_published() -> None:
    check_digests(replace(FILE, sha256=SHA256, git_sha1=GIT), SHA256, len(CONTENT))


@pytest.mark.parametrize(
    ("expected", "shown"),
    [
        ({"size": 7}, ("7", str(len(CONTENT)))),
        ({"sha256": "0" * 64}, ("0" * 64, SHA256)),
        ({"sha256_prefix": "00000000"}, ("00000000", SHA256[:8])),
        ({"git_sha1": "0" * 40}, ("0" * 40, GIT)),
    ],
)
def test_a_difference_is_refused_with_the_expected_and_the_actual_value(
    expected: dict[str, str | int], shown: tuple[str, str]
) -> None:
    with pytest.raises(IntegrityError) as caught:
        check_digests(replace(FILE, **expected), SHA256, len(CONTENT), GIT)  # type: ignore[arg-type]
    for value in (*shown, "m.bin", "host"):
        assert value in str(caught.value)
    assert "pw" not in str(caught.value)


def test_a_git_id_that_nobody_computed_is_a_difference() -> None:
    with pytest.raises(IntegrityError, match="not computed"):
        check_digests(replace(FILE, git_sha1=GIT), SHA256, len(CONTENT))
