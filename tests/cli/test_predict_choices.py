"""``explain``, ``optimize`` and ``bench``, and what ``info`` and ``doctor`` tell of runtimes."""

import json
import sys

import pytest

from torchinf_core.cli.checkup import gpus, required

pytest.importorskip("numpy")


def test_explain_marks_the_winner_and_says_why_not(toys, torchinf):
    ran = torchinf("explain", "sum")
    assert ran.status == 0
    [head, row] = ran.out.splitlines()
    assert head.split()[:4] == ["RUNTIME", "FORM", "SCORE", "DEVICE"]
    assert row.startswith("*")
    assert "made for toys" in row
    ran = torchinf("explain", "sum", "--device", "cuda:0")
    assert ran.status == 8
    assert "there is no cuda:0 here" in ran.out
    assert "--device cpu would do" in ran.err
    [bid] = torchinf("explain", "sum", "--json").document["bids"]
    assert (bid["runtime"], bid["score"], bid["chosen"]) == ("toys", 100, True)


def test_what_is_optimised_is_shown_used_and_forgotten(toys, torchinf):
    ran = torchinf("optimize", "sum", "--keep", "packed", "--time", "60")
    assert ran.status == 0
    assert "sum: packed is used on cpu" in ran.out
    [row] = [line for line in ran.out.splitlines() if line.startswith("*")]
    assert "packed" in row
    rows = torchinf("explain", "sum", "--json").document["bids"]
    assert [(row["form"], row["chosen"]) for row in rows] == [("packed", True), ("", False)]
    assert rows[0]["error"] == 0
    assert "OPTIMISED FORM" in torchinf("info", "sum").out
    [form] = torchinf("info", "sum", "--json").document["forms"]
    assert (form["label"], form["stale"]) == ("packed", "")
    words = ("predict", "sum", "[1, 1, 1, 1]")
    assert torchinf(*words, "-q").out == "10\n"
    assert "sum: toys on cpu, fp32, packed\n" in torchinf(*words, "-v").err
    assert "packed" not in torchinf(*words, "-v", "--original").err
    assert "would be forgotten" in torchinf("optimize", "sum", "--clear", "--dry-run").out
    ran = torchinf("optimize", "sum", "--clear", "--json")
    assert ran.document == {"model": "sum", "forgotten": ["packed"]}
    assert torchinf("info", "sum", "--json").document["forms"] == []


def test_what_computes_something_else_is_refused(toys, torchinf):
    document = torchinf("optimize", "sum", "--dry-run", "--json").document
    verdicts = {row["label"]: row["verdict"] for row in document["rows"]}
    assert verdicts["doubled"] == "wrong"
    assert document["kept"] is False
    assert torchinf("info", "sum", "--json").document["forms"] == []
    ran = torchinf("optimize", "sum", "--keep", "doubled")
    assert "wrong" in ran.out
    assert "sum: used as downloaded" in ran.out


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["optimize", "smu"], 3, "did you mean 'sum'?"),
        (["optimize", "sum", "--clear", "--full"], 2, "--clear goes with no other wish"),
        (["optimize", "sum", "--tolerance", "-1"], 2, "expected a number above 0"),
        (["optimize", "sum", "--inputs", "nosuch.npy"], 2, "nosuch.npy"),
        (["optimize", "sum", "--keep", "nosuch"], 2, "nosuch"),
        (["explain", "smu"], 3, "did you mean 'sum'?"),
        (["bench", "sum", "--batch", "0"], 2, "--batch takes sizes such as 1,8"),
        (["bench", "sum", "--batch", "x"], 2, "--batch takes sizes such as 1,8"),
        (["bench", "sum", "--runtime", "nosuch"], 2, "those there are: toys"),
        (["bench", "sum", "--device", "cuda:0"], 8, "--device cpu would do"),
        (["bench", "sum", "--plot", "p.gif"], 2, "ends in none of .png"),
    ],
)
def test_what_goes_wrong_has_a_status_and_says_what_to_do(toys, torchinf, words, status, told):
    ran = torchinf(*words)
    assert (ran.status, ran.out) == (status, "")
    assert told in ran.err


def test_bench_has_a_row_for_each_form_and_batch_and_draws_them(toys, torchinf, tmp_path):
    pytest.importorskip("matplotlib")
    assert torchinf("optimize", "sum", "--keep", "packed").status == 0
    words = ("bench", "sum", "--batch", "1,2", "--seconds", "0.01", "--plot", "p.png")
    ran = torchinf(*words, "--json")
    assert ran.status == 0
    rows = ran.document["rows"]
    assert sorted((row["batch"], row["form"]) for row in rows) == [
        (1, ""), (1, "packed"), (2, ""), (2, "packed"),
    ]  # fmt: skip
    for row in rows:
        assert 0 < row["p50"] <= row["p90"] <= row["p99"]
        assert row["throughput"] > 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    ran = torchinf(*words)
    assert (ran.status, ran.out) == (2, "")
    assert "--force replaces it" in ran.err
    assert torchinf(*words, "--force").out.count("\n") == 5


def test_a_plot_without_matplotlib_is_said_at_once(toys, torchinf, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    ran = torchinf("bench", "sum", "--plot", "p.png")
    assert (ran.status, "pip install matplotlib" in ran.err) == (9, True)


def test_doctor_tells_of_runtimes_and_devices(toys, torchinf, monkeypatch):
    found = {(row["check"], row["state"]) for row in torchinf("doctor", "--json").document}
    assert {("runtimes", "ok"), ("devices", "ok")} <= found
    monkeypatch.setenv("TORCHINF_DISABLE", "toys,url,torchvision,hub,hf,torch,cuda,onnx,tensorrt")
    rows = torchinf("doctor", "--json").document
    [row] = [row for row in rows if row["check"] == "runtimes"]
    assert (row["state"], "torchinf[torch]" in row["hint"]) == ("warn", True)


def test_gpus_are_read_off_their_driver(tmp_path):
    (tmp_path / "0000:01:00.0").mkdir()
    (tmp_path / "0000:01:00.0" / "information").write_text("Model: \t NVIDIA H100\nIRQ: 12\n")
    assert gpus(str(tmp_path)) == ["NVIDIA H100"]
    assert gpus(str(tmp_path / "nothing")) == []


def test_what_a_runtime_needs_is_read_off_its_metadata(tmp_path, monkeypatch):
    info = tmp_path / "torchinf_zap-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: torchinf-zap\nVersion: 1.0\n"
        "Requires-Dist: torchinf<1,>=0.1\nRequires-Dist: pytest>=1\n"
        'Requires-Dist: nosuch-thing>=1\nRequires-Dist: other; extra == "x"\n'
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    there, absent = required("torchinf-zap")
    assert (list(there), absent) == (["pytest"], ["nosuch-thing"])
    assert required("torchinf-nosuch") == ({}, [])


def test_a_json_document_is_one_document(toys, torchinf):
    for words in (["explain", "sum"], ["bench", "sum", "--seconds", "0.01", "--batch", "1"]):
        json.loads(torchinf(*words, "--json").out)
