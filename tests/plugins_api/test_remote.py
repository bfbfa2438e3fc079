"""``--server URL``: the commands of the plugin that asks servers, in the place of the core's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core.cli import elsewhere
from torchinf_core.cli.fast import answer
from torchinf_core.cli.run import run
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    from conftest import Site

REMOTE = (
    "@hookimpl\ndef remote(app, server):\n"
    "    @app.command('list')\n    def anything(json: bool = False):\n"
    "        print(f'the models of {server}' + (' as JSON' if json else ''))\n"
    "    @app.command('fail')\n    def fail():\n"
    "        from torchinf_core.errors import NotCachedError\n"
    "        raise NotCachedError('not there', hint='look elsewhere')\n"
)
URL = "http://localhost:1"


@pytest.fixture
def asking(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """A plugin that asks servers is the only one."""
    site.install("far", REMOTE)
    monkeypatch.setattr("torchinf_core.plugins.load_plugins", lambda _: site.plugins())
    return site


@pytest.mark.parametrize(
    "argv",
    [
        ["--server", URL, "list"],
        ["list", "--server", URL],
        [f"--server={URL}", "list"],
        ["list", f"--server={URL}"],
    ],
)
def test_the_option_may_stand_anywhere(
    asking: Site, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(argv) is None
    assert run(argv) == 0
    assert capsys.readouterr().out == f"the models of {URL}\n"


def test_the_environment_names_a_server_for_commands_alone(
    asking: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCHINF_SERVER", URL)
    assert answer(["list"]) is None
    assert run(["list"]) == 0
    assert run(["--json", "list"]) == 0
    assert run(["list", "--server", "http://localhost:2"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown == [
        f"the models of {URL}",
        f"the models of {URL} as JSON",
        "the models of http://localhost:2",
    ]
    assert run(["--version"]) == 0
    monkeypatch.setenv("TORCHINF_SERVER", "")
    assert elsewhere.usual_server(["list"]) is None


def test_what_stands_behind_two_dashes_is_no_option() -> None:
    argv = ["predict", "m", "--", "--server", "x"]
    assert elsewhere.take_server(argv) == (None, argv)


def test_the_help_lists_what_a_server_does(
    asking: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    for argv in (["--help"], []):
        assert run(["--server", URL, *argv]) == 0
        shown = capsys.readouterr().out
        assert "list" in shown
        assert "gc" not in shown.split()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["gc"], "'gc' is for this machine"),
        (["doctor"], "'doctor' is for this machine"),
        (["nothing"], "a server has no command 'nothing'"),
        (["list", "--colour"], "no option"),
    ],
)
def test_what_a_server_does_not_do_is_a_usage_error(
    asking: Site, argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--server", URL, *argv]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("argv", [["--server"], ["list", "--server"], ["--server=", "list"]])
def test_an_option_without_an_address_is_a_usage_error(asking: Site, argv: list[str]) -> None:
    assert run(argv) == 2


def test_errors_end_as_those_of_the_core(asking: Site, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--server", URL, "fail"]) == 3
    assert capsys.readouterr().err == "error: not there\nhint: look elsewhere\n"


def test_without_such_a_plugin_the_way_to_one_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torchinf_core.plugins.load_plugins", lambda _: site.plugins())
    assert run(["--server", URL, "list"]) == 9
    assert "pip install 'torchinf[serve]'" in capsys.readouterr().err


def test_two_such_plugins_are_a_conflict(asking: Site, capsys: pytest.CaptureFixture[str]) -> None:
    asking.install("further", REMOTE)
    assert run(["--server", URL, "list"]) == 9
    assert "far and further" in capsys.readouterr().err


def test_a_plugin_that_fails_is_named(site: Site) -> None:
    from torchinf_core.errors import PluginError

    site.install("far", "@hookimpl\ndef remote(app): raise SystemExit\n")
    import typer

    with pytest.raises(PluginError, match="'far' failed in remote"):
        site.plugins().remote(typer.Typer(), URL, Settings())


def test_the_core_names_no_plugin_for_it() -> None:
    source = Path(elsewhere.__file__).read_text()
    assert "torchinf_serve" not in source
