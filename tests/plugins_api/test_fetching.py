"""``fetch`` of a source or the core's transfer, with wrappers around the whole of either."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core.errors import NetworkError, PluginContractError, PluginError
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import Plan

if TYPE_CHECKING:
    from conftest import Site

SETTINGS = Settings()
PLAN = Plan(parse_ref("zoo:x"), "m", ())

AUDIT = """
seen = []
@hookimpl(wrapper=True)
def fetch(plan, into):
    seen.append("before")
    try:
        done = yield
    except BaseException as error:
        seen.append(type(error).__name__)
        raise
    seen.append(done)
    return done
"""


def own(body: str) -> str:
    return f"@hookimpl\ndef fetch(plan, into, host):\n    {body}\n"


class Transfer:
    """The core's part, which tells when it ran."""

    def __init__(self, does: Callable[[], object] = lambda: None) -> None:
        self.does = does
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        self.does()


def fetch(site: Site, into: Path, transfer: Callable[[], None]) -> bool:
    return site.plugins().fetch(PLAN, into, SETTINGS, transfer)


# THE OWNER AND THE CORE


def test_a_source_without_fetch_leaves_all_to_the_core(site: Site, tmp_path: Path) -> None:
    site.source("zoo")
    transfer = Transfer()
    assert fetch(site, tmp_path, transfer) is False
    assert transfer.calls == 1


@pytest.mark.parametrize("answer", [True, False])
def test_fetch_says_whether_the_core_is_to_transfer(
    site: Site, tmp_path: Path, answer: bool
) -> None:
    site.source("zoo", extra=own(f"host.note('slow'); (into / plan.name).touch(); return {answer}"))
    transfer = Transfer()
    assert fetch(site, tmp_path, transfer) is answer
    assert transfer.calls == (not answer)
    assert (tmp_path / "m").exists()


def test_notes_outside_of_resolve_are_logged(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    site.source("zoo", extra="@hookimpl\ndef fetch(host): host.note('slow'); return True\n")
    with caplog.at_level("INFO", "torchinf.plugin.zoo"):
        fetch(site, tmp_path, Transfer())
    assert [record.getMessage() for record in caplog.records] == ["slow"]


# WRAPPERS


@pytest.mark.parametrize("extra", ["", own("return False")])
def test_a_wrapper_runs_around_the_whole_transfer(site: Site, tmp_path: Path, extra: str) -> None:
    module = site.install("audit", AUDIT)
    site.source("zoo", extra=extra)
    assert fetch(site, tmp_path, Transfer(lambda: sys.modules[module].seen.append("moved"))) is (
        False
    )
    assert sys.modules[module].seen == ["before", "moved", False]


def test_a_wrapper_is_told_that_the_source_did_it(site: Site, tmp_path: Path) -> None:
    module = site.install("audit", AUDIT)
    site.source("zoo", extra=own("return True"))
    transfer = Transfer()
    assert fetch(site, tmp_path, transfer) is True
    assert transfer.calls == 0
    assert sys.modules[module].seen == ["before", True]


def raising(error: BaseException) -> Callable[[], object]:
    def does() -> None:
        raise error

    return does


@pytest.mark.parametrize(
    "error", [NetworkError("no way", hint="try"), KeyError("a bug"), KeyboardInterrupt()]
)
def test_a_failing_transfer_is_seen_and_stays_what_it_was(
    site: Site, tmp_path: Path, error: BaseException
) -> None:
    module = site.install("audit", AUDIT)
    site.source("zoo")
    with pytest.raises(type(error)) as caught:
        fetch(site, tmp_path, Transfer(raising(error)))
    assert caught.value is error
    assert sys.modules[module].seen == ["before", type(error).__name__]


@pytest.mark.parametrize("then", ["return True", "return False", "raise ValueError('mine')"])
def test_no_wrapper_makes_a_failed_transfer_a_success(
    site: Site, tmp_path: Path, then: str
) -> None:
    site.install(
        "calm",
        "@hookimpl(wrapper=True)\ndef fetch():\n    try:\n        yield\n"
        f"    except BaseException:\n        {then}\n",
    )
    site.source("zoo")
    with pytest.raises(NetworkError, match="no way"):
        fetch(site, tmp_path, Transfer(raising(NetworkError("no way"))))


@pytest.mark.parametrize("extra", ["", own("return True")])
@pytest.mark.parametrize("then", ["yield", "return not (yield)", "yield; return 'x'"])
def test_a_wrapper_returns_what_it_got(site: Site, tmp_path: Path, extra: str, then: str) -> None:
    site.install("wrong", f"@hookimpl(wrapper=True)\ndef fetch():\n    {then}\n")
    site.source("zoo", extra=extra)
    with pytest.raises(PluginContractError, match=r"'wrong' returned .* for zoo:x") as caught:
        fetch(site, tmp_path, Transfer())
    assert caught.value.hint == "TORCHINF_DISABLE=wrong leaves it out"


@pytest.mark.parametrize(("before", "after", "calls"), [("1 / 0", "pass", 0), ("pass", "1 / 0", 1)])
def test_a_wrapper_that_fails_ends_the_download_and_is_named(
    site: Site, tmp_path: Path, before: str, after: str, calls: int
) -> None:
    site.install(
        "wrong",
        "@hookimpl(wrapper=True)\ndef fetch():\n"
        f"    {before}\n    done = yield\n    {after}\n    return done\n",
    )
    site.source("zoo")
    transfer = Transfer()
    with pytest.raises(PluginError, match="the plugin 'wrong' failed in fetch for zoo:x"):
        fetch(site, tmp_path, transfer)
    assert transfer.calls == calls


def test_the_owner_is_blamed_for_a_wrong_answer_inside_a_wrapper(
    site: Site, tmp_path: Path
) -> None:
    site.install("audit", AUDIT)
    site.source("zoo", extra=own("return 'yes'"))
    with pytest.raises(PluginContractError, match="the plugin 'zoo' failed in fetch") as caught:
        fetch(site, tmp_path, Transfer())
    assert "instead of True or False" in str(caught.value)


def test_where_all_files_are_here_the_wrappers_run_alone(site: Site, tmp_path: Path) -> None:
    module = site.install("audit", AUDIT)
    site.source("zoo", extra=own("raise ValueError('asked')"))
    assert site.plugins().fetch(PLAN, tmp_path, SETTINGS, None) is False
    assert sys.modules[module].seen == ["before", False]


# WHAT IS PRINTED


def test_a_hook_prints_to_stderr_and_the_transfer_to_stdout(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install("audit", AUDIT.replace('seen.append("before")', 'print("noise")'))
    site.source("zoo", extra=own("print('noise'); return False"))
    fetch(site, tmp_path, Transfer(lambda: print('{"event": "data"}')))
    out, err = capsys.readouterr()
    assert out == '{"event": "data"}\n'
    assert err.splitlines() == ["noise", "noise"]
