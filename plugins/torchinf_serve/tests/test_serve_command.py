"""``torchinf serve`` as a person meets it: what it refuses, what it says, what it imports."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from torchinf_core.errors import PolicyError, UsageError
from torchinf_serve import starting
from torchinf_serve.config import Config


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "torchinf_core", "serve", *words],
        capture_output=True, text=True, timeout=100, env={**os.environ, **environment},
    )  # fmt: skip


def test_help_names_the_options_and_starts_nothing() -> None:
    done = run("--help")
    assert done.returncode == 0
    for option in ("--host", "--port", "--workers", "--token-file", "--allow-host", "--url-host",
                   "--allow-code", "--expose"):  # fmt: skip
        assert option in done.stdout


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.com"])
def test_an_address_that_others_reach_has_to_be_meant(host: str) -> None:
    with pytest.raises(UsageError, match="other machines"):
        Config(host=host).check()
    Config(host=host, expose=True).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]", "127.0.0.2"])
def test_loopback_needs_no_permission(host: str) -> None:
    assert Config(host=host).check().is_loopback


@pytest.mark.parametrize(
    "options",
    [{"port": 70000}, {"workers": 0}, {"downloads": 0}, {"allow_hosts": ("a/b",)},
     {"url_hosts": ("https://x",)}, {"url_hosts": ("*",)}, {"allow_hosts": ("a b",)},
     {"url_hosts": ("u@x",)}, {"url_hosts": ("x:y",)}],
)  # fmt: skip
def test_a_value_that_makes_no_sense_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Config(**options).check()


def test_a_config_survives_the_way_to_another_process() -> None:
    config = Config(port=1, allow_hosts=("a", "b"), url_hosts=("c",), rate=0.5)
    assert Config.from_json(config.to_json()) == config


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Config]:
    seen: list[Config] = []
    monkeypatch.setattr(
        "torchinf_serve.serving.run", lambda config, *_rest, **_more: seen.append(config) or 0
    )
    monkeypatch.setattr("os.umask", lambda _: 0)
    monkeypatch.setattr("torchinf_serve.logging.set_up", lambda _: None)
    return seen


@pytest.mark.parametrize("root", [True, False])
def test_root_is_warned_and_never_exposed(
    started: list[Config],
    root: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    store: Path,
) -> None:
    monkeypatch.setattr(starting, "is_root", lambda: root)
    starting.start(Config(), str(store))
    assert ("running as root" in capsys.readouterr().err) == root
    exposed = Config(host="0.0.0.0", expose=True)
    if root:
        with pytest.raises(PolicyError, match="root"):
            starting.start(exposed, str(store))
        starting.start(Config(host="0.0.0.0", expose=True, allow_root=True), str(store))
    else:
        starting.start(exposed, str(store))
    assert len(started) == 2


def test_the_place_of_the_token_is_told_and_not_the_token(
    started: list[Config], capsys: pytest.CaptureFixture[str], store: Path, tmp_path: Path
) -> None:
    starting.start(Config(), str(store))
    path = tmp_path / "home" / ".config" / "torchinf" / "serve.token"
    error = capsys.readouterr().err
    assert str(path) in error
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for file in (path, path.with_name("serve.token.read")):
        assert file.read_text().split()[0] not in error
    own = tmp_path / "own" / "tokens"
    starting.start(Config(token_file=str(own)), str(store))
    assert own.exists()


def test_a_port_that_is_taken_is_an_error_with_a_hint(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("--port", str(port), "--cache-dir", str(tmp_path / "store"))
    assert done.returncode == 2
    assert f"can't listen on 127.0.0.1 port {port}" in done.stderr
    assert "hint: --port 0" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_plugin_costs_next_to_nothing_until_a_server_starts() -> None:
    heavy = "fastapi uvicorn starlette pydantic numpy prometheus_client orjson httpx typer asyncio"
    code = (
        "import sys, torchinf_serve\n"
        f"print([name for name in '{heavy}'.split() if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
