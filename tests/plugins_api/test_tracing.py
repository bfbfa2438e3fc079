"""``TORCHINF_TRACE=1`` writes a line on stderr for each call of a plugin."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from torchinf_core.errors import PluginError
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    from conftest import Site

LINE = re.compile(r"torchinf: (\S+) (\S+) \d+\.\d ms -> (.*)")


def traced(capsys: pytest.CaptureFixture[str]) -> list[tuple[str, ...]]:
    out, err = capsys.readouterr()
    assert out == ""
    lines = [LINE.fullmatch(line) for line in err.splitlines()]
    assert all(lines), err
    return [match.groups() for match in lines if match]


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINF_TRACE", "1")


@pytest.mark.usefixtures("tracing")
def test_each_call_shows_hook_owner_duration_and_result(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.source("zoo", resolve="return Plan(ref, 'n', (RemoteFile('a', 'https://h/a', 7),), 'r1')")
    site.install("bad", "1 / 0")
    site.plugins().resolve(parse_ref("zoo:x"), {}, Settings())
    assert traced(capsys) == [
        ("import", "bad", "ZeroDivisionError: division by zero"),
        ("import", "zoo", "zoo"),
        ("resolve", "zoo", "Plan 'n', 7 bytes in 1 files, revision 'r1'"),
    ]


@pytest.mark.usefixtures("tracing")
def test_a_failure_is_traced_without_secrets(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.source("zoo", resolve="raise ValueError('https://u:pw@h')")
    with pytest.raises(PluginError):
        site.plugins().resolve(parse_ref("zoo:x"), {}, Settings())
    [_, (hook, owner, outcome)] = traced(capsys)
    assert (hook, owner) == ("resolve", "zoo")
    assert outcome.startswith("PluginError: the plugin 'zoo' failed in resolve")
    assert "pw" not in outcome


@pytest.mark.parametrize("value", [None, "", "0"])
def test_nothing_is_traced_unless_asked_for(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    value: str | None,
) -> None:
    if value is not None:
        monkeypatch.setenv("TORCHINF_TRACE", value)
    site.source("zoo")
    site.plugins().resolve(parse_ref("zoo:x"), {}, Settings())
    assert traced(capsys) == []
