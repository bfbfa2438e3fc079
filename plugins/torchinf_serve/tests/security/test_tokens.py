"""Tokens: where they are kept, what a file may hold, and who is told what."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from torchinf_core.errors import UsageError
from torchinf_serve.security.tokens import Caller, Tokens, load_tokens, reading_path

LONG = "x" * 20


def write(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


def test_tokens_are_made_once_for_the_user_alone(tmp_path: Path) -> None:
    path = str(tmp_path / "config" / "serve.token")
    tokens, made = load_tokens(path)
    assert made
    assert len(tokens) == 2
    for name in (path, reading_path(path)):
        assert stat.S_IMODE(Path(name).stat().st_mode) == 0o600
    before = Path(path).read_text()
    assert load_tokens(path)[1] is False
    assert Path(path).read_text() == before
    caller = tokens.find(f"Bearer {before.split()[0]}".encode())
    assert caller is not None
    assert caller.may_write
    reader = tokens.find(b"Bearer " + Path(reading_path(path)).read_bytes().split()[0])
    assert reader is not None
    assert not reader.may_write


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "tokens"
    path.write_text(LONG)
    path.chmod(mode)
    with pytest.raises(UsageError, match="other users"):
        load_tokens(str(path))


def test_lines_name_their_scope_and_label(tmp_path: Path) -> None:
    text = f"# for the dashboards\n\n{LONG}r read dashboard\n{LONG}w write\n{LONG}p\n"
    tokens, _ = load_tokens(write(tmp_path / "tokens", text))
    assert tokens.find(f"Bearer {LONG}r".encode()) == Caller("dashboard", False)
    assert tokens.find(f"bearer {LONG}w".encode()) == Caller("write-4", True)
    assert tokens.find(f"Bearer {LONG}p".encode()) == Caller("write-5", True)
    assert tokens.find(f"Bearer {LONG}".encode()) is None


@pytest.mark.parametrize("line", ["short", f"{LONG} admin", f"{LONG} read a b", f"{LONG}\x01"])
def test_a_line_that_is_no_token_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(UsageError, match="line 1"):
        load_tokens(write(tmp_path / "tokens", line + "\n"))


def test_a_file_without_a_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no token"):
        load_tokens(write(tmp_path / "tokens", "# nothing yet\n"))


def test_every_token_is_compared_whatever_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    from torchinf_serve.security import tokens as module

    compared: list[bytes] = []
    real = module.compare_digest

    def counting(left: bytes, right: bytes) -> bool:
        compared.append(right)
        return real(left, right)

    monkeypatch.setattr(module, "compare_digest", counting)
    tokens = Tokens([(LONG + str(n), Caller(str(n), True)) for n in range(3)])
    for header in (b"", b"Bearer", f"Bearer {LONG}0".encode(), f"Basic {LONG}0".encode()):
        compared.clear()
        tokens.find(header)
        assert len(compared) == 3
        assert {len(digest) for digest in compared} == {32}
