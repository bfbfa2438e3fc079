"""``python -m torchinf_core.testing`` as a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from torchinf_core.testing import have_openssl
from torchinf_core.testing.__main__ import main


@contextmanager
def serving(*arguments: str | Path) -> Iterator[str]:
    command = [sys.executable, "-m", "torchinf_core.testing", *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_a_folder_is_served_with_faults_and_a_log(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "m.bin").write_bytes(b"weights")
    log = tmp_path / "log.jsonl"
    extra = ("--fault", "status-503:2", "--latency", "1ms", "--throttle", "5M", "--log", log)
    with serving(tmp_path / "models", *extra) as url:
        assert url.startswith("http://127.0.0.1:")
        with httpx.Client(trust_env=False) as client:
            answers = [client.get(url + "m.bin") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[2].content == b"weights"
    seen = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["path"], line["status"]) for line in seen] == [
        ("/m.bin", 503),
        ("/m.bin", 503),
        ("/m.bin", 200),
    ]
    assert seen[2]["sent"] == 7
    assert seen[2]["headers"]["host"] in url


def test_a_folder_is_served_to_those_alone_who_bring_the_token(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "m.bin").write_bytes(b"weights")
    with serving(tmp_path, "--token", "s3cret") as url, httpx.Client(trust_env=False) as client:
        for path in ("", "deep/m.bin", "absent"):
            assert client.get(url + path).status_code == 401
            wrong = client.get(url + path, headers={"Authorization": "Bearer another"})
            assert wrong.status_code == 401
        right = {"Authorization": "Bearer s3cret"}
        assert client.get(url + "deep/m.bin", headers=right).content == b"weights"
        assert client.get(url + "absent", headers=right).status_code == 404


@pytest.mark.skipif(not have_openssl(), reason="the openssl command is not installed")
def test_a_folder_is_served_over_tls(tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"weights")
    with serving(tmp_path, "--tls") as url:
        assert url.startswith("https://127.0.0.1:")
        with httpx.Client(trust_env=False, verify=False) as client:
            assert client.get(url + "m").content == b"weights"


@pytest.mark.parametrize(
    "arguments",
    [
        ["/does/not/exist"],
        [".", "--fault", "nonsense"],
        [".", "--fault", "cut:often"],
        [".", "--throttle", "fast"],
        [".", "--latency", "late"],
        [".", "--token", ""],
        [".", "--token", "two words"],
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "error: argument" in capsys.readouterr().err
