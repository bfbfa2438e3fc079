"""A source's token goes to its own host, for one transfer, and is never seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchinf_core import Plan, RemoteFile, load_settings, parse_ref
from torchinf_core.errors import PluginContractError

TOKEN = (
    "@hookimpl\ndef token(hostname):\n    return 's3cret' if hostname == 'zoo.example' else None\n"
)


def plan(*urls: str) -> Plan:
    files = tuple(RemoteFile(f"{n}.bin", url) for n, url in enumerate(urls))
    return Plan(parse_ref("zoo:x"), "x", files)


def test_each_host_is_asked_for_once_and_only_the_own_one_has_a_token(site) -> None:
    site.source("zoo", extra=TOKEN)
    tokens = site.plugins().tokens(
        plan("https://ZOO.example/a", "https://zoo.example:444/b", "https://cdn.example/c"),
        load_settings({}),
    )
    assert tokens == {"zoo.example": "s3cret"}


def test_a_source_is_told_which_files_the_token_is_for(site) -> None:
    site.source(
        "zoo",
        extra="@hookimpl\ndef token(plan, hostname, host):\n"
        "    return f'{plan.ref.locator}-{plan.files[0].path}-{host.plugin}'\n",
    )
    tokens = site.plugins().tokens(plan("https://zoo.example/a"), load_settings({}))
    assert tokens == {"zoo.example": "x-0.bin-zoo"}


def test_the_token_of_the_user_wins(site) -> None:
    site.source("zoo", extra=TOKEN)
    from dataclasses import replace

    settings = replace(load_settings({}), tokens={"zoo.example": "mine"})
    assert site.plugins().tokens(plan("https://zoo.example/a"), settings) == {}


def test_a_source_without_the_hook_has_none(site) -> None:
    site.source("zoo")
    site.install("other", TOKEN)
    assert site.plugins().tokens(plan("https://zoo.example/a"), load_settings({})) == {}


@pytest.mark.parametrize("value", ["3", "b'x'", "'two\\nlines'", "'é'"])
def test_what_can_not_stand_in_a_header_is_refused_and_not_shown(site, value: str) -> None:
    site.source("zoo", extra=f"@hookimpl\ndef token(hostname):\n    return {value}\n")
    with pytest.raises(PluginContractError) as caught:
        site.plugins().tokens(plan("https://zoo.example/a"), load_settings({}))
    assert "two" not in str(caught.value)


def test_no_trace_shows_a_token(
    site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TORCHINF_TRACE", "1")
    site.source("zoo", extra=TOKEN)
    site.plugins().tokens(plan("https://zoo.example/a"), load_settings({}))
    seen = capsys.readouterr().err
    assert "token" in seen
    assert "s3cret" not in seen
