"""The log says what was fetched, by whom and from where, and no secret."""

import getpass
import json

import pytest


@pytest.fixture
def log(tmp_path, monkeypatch):
    """Where the plugin is told to write."""
    file = tmp_path / "audit.jsonl"
    monkeypatch.setenv("TORCHINF_AUDIT_LOG", str(file))
    return file


def lines(log):
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def test_a_file_that_the_core_transfers_is_logged_and_timed_without_secrets(
    torchinf, hub, weights, log
):
    pytest.importorskip("torchinf_url")
    plain = hub.add("/tiny.safetensors", weights)
    secret = plain.replace("//", "//someone:hidden@") + "?signature=hidden"
    torchinf("download", secret)
    [line] = lines(log)
    assert line.pop("time").endswith("+00:00")
    assert line.pop("revision") is not None
    assert line.pop("seconds") >= 0
    assert line == {
        "who": getpass.getuser(),
        "ref": plain,
        "file": "tiny.safetensors",
        "url": plain,
        "size": len(weights),
        "sha256": None,
        "by": "core",
        "failed": None,
    }
    assert log.stat().st_mode & 0o777 == 0o600


def test_what_is_here_already_adds_no_line(torchinf, log):
    torchinf("download", "tape:tiny")
    torchinf("download", "tape:tiny")
    assert len(lines(log)) == 1


def test_a_source_with_its_own_transport_is_timed(torchinf, log):
    torchinf("download", "tape:tiny")
    [line] = lines(log)
    assert (line["ref"], line["by"], line["revision"]) == ("tape:tiny", "tape", "1")
    assert line["seconds"] >= 0


def test_a_transfer_of_the_core_that_fails_is_logged(torchinf, hub, weights, log):
    pytest.importorskip("torchinf_url")
    url = hub.add("/tiny.safetensors", weights)
    wrong = "0" * 64
    torchinf("download", url, "--sha256", wrong, status=5)
    [line] = lines(log)
    assert (line["failed"], line["by"], line["sha256"]) == ("IntegrityError", None, wrong)
    assert line["seconds"] >= 0


def test_a_failure_is_logged_and_stays_what_it_was(torchinf, log):
    assert "the tape is torn" in torchinf("download", "tape:torn", status=4)
    [line] = lines(log)
    assert (line["file"], line["failed"]) == ("model.bin", "SourceError")


@pytest.mark.parametrize("name", ["tape:tiny", "URL"])
def test_nothing_is_fetched_that_can_not_be_logged(torchinf, hub, weights, tmp_path, name):
    url = hub.add("/tiny.safetensors", weights)
    if name == "URL":
        pytest.importorskip("torchinf_url")
    ref = url if name == "URL" else name
    said = torchinf("download", ref, status=9, TORCHINF_AUDIT_LOG=str(tmp_path))
    assert "the plugin 'audit' failed in fetch" in said
    assert json.loads(torchinf("list", "--json"))["models"] == []
    assert hub.bytes_sent("/tiny.safetensors") < len(weights)


def test_without_the_setting_nothing_is_written(torchinf, log, monkeypatch):
    monkeypatch.delenv("TORCHINF_AUDIT_LOG")
    torchinf("download", "tape:tiny")
    assert lines(log) == []
