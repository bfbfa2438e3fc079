import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from torchinf_core.testing import faults

DATA = {"weights.bin": b"w" * 5000}


def test_the_path_is_data_and_the_rest_is_not(zoo, torchinf):
    zoo.add("tiny", DATA)
    ran = torchinf("download", "zoo:tiny")
    assert ran.status == 0
    (path,) = ran.out.splitlines()
    assert Path(path).read_bytes() == DATA["weights.bin"]
    assert "tiny: 1 file, 5.0 kB, verified (published)" in ran.err


def test_asking_again_says_that_it_is_here(stocked, torchinf):
    first = torchinf("download", "zoo", "tiny")
    assert first.status == 0
    assert "already here" in first.err


def test_quiet_prints_the_path_alone(zoo, torchinf):
    zoo.add("tiny", DATA)
    ran = torchinf("download", "zoo:tiny", "--quiet")
    assert ran.status == 0
    assert ran.out.endswith("weights.bin\n")
    assert ran.err == ""


def test_json_is_a_stream_that_ends_in_the_result(zoo, torchinf):
    zoo.add("tiny", DATA)
    ran = torchinf("download", "zoo:tiny", "--json", "--no-pretrained")
    assert ran.err == ""
    kinds = [line["event"] for line in ran.stream]
    assert kinds[0] == "resolved"
    assert "note" in kinds
    result = ran.stream[-1]
    assert result["event"] == "result"
    assert (result["name"], result["hit"], result["fetched"]) == ("tiny", False, 5000)
    assert result["files"][0]["sha256"] == hashlib.sha256(DATA["weights.bin"]).hexdigest()
    again = torchinf("download", "zoo:tiny", "--json").stream[-1]
    assert (again["hit"], again["fetched"], again["path"]) == (True, 0, result["path"])


def test_every_label_lands_in_the_record(zoo, torchinf):
    zoo.add("tiny", DATA)
    ran = torchinf(
        "download",
        "zoo:tiny",
        "--name",
        "mine",
        "--task",
        "t",
        "--tag",
        "a",
        "--tag",
        "b",
        "--description",
        "words",
        "-q",
    )
    assert ran.status == 0
    info = torchinf("info", "mine", "--json").document
    assert (info["task"], info["tags"], info["description"]) == ("t", ["a", "b"], "words")


def test_a_dry_run_shows_the_plan_and_fetches_nothing(zoo, torchinf, store):
    zoo.add("tiny", {**DATA, "config.json": b"{}"}, license="mit")
    ran = torchinf("download", "zoo:tiny", "--dry-run")
    assert ran.status == 0
    assert "weights.bin" in ran.out
    assert "5.0 kB to fetch" in ran.err
    assert zoo.fetched == []
    assert not (store / "records").exists()
    plan = torchinf("download", "zoo:tiny", "--dry-run", "--json").document
    assert (plan["name"], plan["size"], plan["transfer"], plan["cached"]) == (
        "tiny",
        5002,
        5002,
        False,
    )
    torchinf("download", "zoo:tiny")
    plan = torchinf("download", "zoo:tiny", "--dry-run", "--json").document
    assert (plan["transfer"], plan["cached"]) == (0, True)


def test_options_of_a_source_are_given_as_pairs(zoo, torchinf):
    zoo.add("tiny", DATA)
    assert torchinf("download", "zoo:tiny", "-o", "width=2", "-q").status == 0
    assert torchinf("info", "tiny", "--json").document["metadata"] == {"options": {"width": 2}}
    wrong = torchinf("download", "zoo:tiny", "-o", "width", "--name", "x")
    assert wrong.status == 2
    own = torchinf("download", "zoo:tiny", "-o", "name=x")
    assert own.status == 2
    assert "--name" in own.err
    unknown = torchinf("download", "zoo:tiny", "-o", "widht=2", "--name", "x")
    assert unknown.status == 2
    assert "did you mean 'width'?" in unknown.err


def test_an_option_that_means_nothing_is_ignored_with_a_note(zoo, torchinf):
    zoo.add("tiny", DATA)
    ran = torchinf("download", "zoo:tiny", "--no-pretrained")
    assert ran.status == 0
    assert "note: the zoo source has no option 'pretrained'; it was ignored" in ran.err


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (["download"], 2, "error: missing argument 'REF | SOURCE'"),
        (["download", "tiny"], 2, "torchinf download zoo:tiny"),
        (["download", "zoo:nothing"], 3, "hint: torchinf search zoo"),
        (["download", "nosuch:thing"], 9, "error:"),
        (["download", "zoo:tiny", "--name", "all"], 2, "can't be the name"),
        (["download", "zoo:tiny", "--sha256", "abc"], 2, "64 hex digits"),
        (["download", "zoo:tiny", "--sha256", "00" * 32], 5, "error:"),
        (["download", "zoo:tiny", "--limit-rate", "fast"], 2, "limit_rate is 'fast'"),
        (["download", "zoo:tiny", "--max-bytes", "10"], 7, "error:"),
        (["download", "zoo:tiny", "--offline"], 4, "offline"),
        (["download", "zoo:tiny", "--nmae", "x"], 2, "hint: did you mean --name?"),
        (["download", "a", "b", "c"], 2, "error:"),
        (["download", ""], 2, "empty"),
    ],
)
def test_what_goes_wrong_has_its_exit_status_and_a_next_step(zoo, torchinf, argv, status, words):
    zoo.add("tiny", DATA)
    ran = torchinf(*argv)
    assert (ran.status, ran.out) == (status, "")
    assert words in ran.err
    assert ran.err.startswith("error: ")
    assert "Traceback" not in ran.err


def test_an_error_is_a_document_for_programs(zoo, torchinf):
    ran = torchinf("download", "zoo:nothing", "--json")
    assert ran.status == 3
    (document,) = ran.stream
    assert document["error"]["type"] == "ModelNotFoundError"
    assert document["error"]["exit_code"] == 3
    assert document["error"]["hint"] == "torchinf search zoo"
    assert ran.err.startswith("error: ")


def test_a_retry_is_told_in_a_line(zoo, torchinf):
    content = b"x" * 300_000
    zoo.add("tiny", {"weights.bin": content})
    zoo.hub.fail(zoo.file_of("tiny", "weights.bin"), faults.flip())
    ran = torchinf("download", "zoo:tiny")
    assert ran.status == 0
    assert "weights.bin: " in ran.err
    assert "trying" in ran.err


def test_a_name_conflict_offers_both_ways_out(zoo, torchinf):
    zoo.add("tiny", DATA)
    zoo.add("huge", {"weights.bin": b"h" * 10})
    torchinf("download", "zoo:tiny")
    ran = torchinf("download", "zoo:huge", "--name", "tiny")
    assert ran.status == 2
    assert "--name" in ran.err
    assert "--replace" in ran.err
    assert torchinf("download", "zoo:huge", "--name", "tiny", "--replace").status == 0
    assert torchinf("info", "tiny", "--json").document["model_id"] == "huge"


def test_global_options_may_come_first(zoo, torchinf, tmp_path):
    zoo.add("tiny", DATA)
    elsewhere = str(tmp_path / "elsewhere")
    ran = torchinf("--cache-dir", elsewhere, "-q", "download", "zoo:tiny")
    assert ran.status == 0
    assert ran.out.startswith(elsewhere)
    assert torchinf("--json", "list").document["models"] == []


def test_verbose_tells_the_steps_without_secrets(zoo, torchinf):
    zoo.add("tiny", DATA)
    page = zoo.pages["tiny"]["revisions"]["1"]
    page["files"][0]["url"] += "?token=s3cr3t"
    zoo.publish("tiny")
    ran = torchinf("download", "zoo:tiny", "-vv")
    assert "resolved by the zoo source" in ran.err
    assert "s3cr3t" not in ran.err


def test_a_file_url_and_a_path_are_references(torchinf, tmp_path, onnx_bytes):
    path = tmp_path / "net.onnx"
    path.write_bytes(onnx_bytes)
    assert torchinf("download", str(path), "-q").status == 0
    info = torchinf("info", "net", "--json").document
    assert (info["source"], info["format"], info["verified"]) == ("url", "onnx", "recorded")
    assert torchinf("download", path.as_uri()).err.endswith("already here\n")


def test_nothing_heavy_is_loaded_by_a_download(zoo, torchinf):
    zoo.add("tiny", DATA)
    program = (
        "import sys, json\n"
        "from torchinf_core.cli.run import run\n"
        "status = run(['download', 'zoo:tiny', '-q'])\n"
        "bad = {'torch', 'numpy', 'pydantic', 'torchvision', 'transformers', 'rich'}\n"
        "print(json.dumps([status, sorted(bad & sys.modules.keys())]))\n"
    )
    path = [folder for folder in sys.path if folder]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}\n{program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout.splitlines()[-1]) == [0, []]
