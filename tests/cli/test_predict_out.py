"""``--out``: files of results that are whole, or not there."""

import json
import os
import signal
import subprocess
import sys

import pytest

np = pytest.importorskip("numpy")


def test_jsonl_has_a_line_for_each_input(toys, torchinf, tmp_path):
    ran = torchinf("predict", "text", "one", "boom", "--out", "o.jsonl")
    assert (ran.status, ran.out) == (2, "")
    assert "boom: it goes boom" in ran.err
    [line] = (tmp_path / "o.jsonl").read_text().splitlines()
    assert json.loads(line)["input"] == "one"


def test_npz_holds_arrays_by_input(toys, torchinf, tmp_path):
    words = ["[1, 0, 0, 0]", "../a//b.json", "[1, 0, 0, 0]"]
    (tmp_path.parent / "a").mkdir(exist_ok=True)
    (tmp_path.parent / "a" / "b.json").write_text("[[1, 1, 1, 1]]")
    ran = torchinf("predict", "sum", *words, "--out", "o.npz")
    assert (ran.status, ran.out) == (0, "")
    with np.load(tmp_path / "o.npz") as found:
        assert {key: found[key].tolist() for key in found} == {
            "[1, 0, 0, 0]": 1.0,
            "a/b.json": [10.0],
            "[1, 0, 0, 0]#2": 1.0,
        }
        assert found["a/b.json"].dtype == np.float32


def test_npz_refuses_what_is_no_array(toys, torchinf, tmp_path):
    ran = torchinf("predict", "text", "x", "--out", "o.npz")
    assert ran.status == 2
    assert "--out FILE.jsonl" in ran.err
    assert not list(tmp_path.glob("*o.npz*"))


def test_parquet_keeps_types_and_takes_any_number_of_rows(toys, torchinf, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    (tmp_path / "in.jsonl").write_text("".join(f"[[{n}, 0, 0, 0]]\n" for n in range(600)))
    assert torchinf("predict", "sum", "in.jsonl", "--out", "o.parquet").status == 0
    table = parquet.read_table(tmp_path / "o.parquet")
    assert str(table.schema.field("result").type) == "list<element: float>"
    assert table.column("result").to_pylist() == [[float(n)] for n in range(600)]
    assert parquet.ParquetFile(tmp_path / "o.parquet").num_row_groups == 3
    assert torchinf("predict", "text", "x", "--out", "t.parquet").status == 0
    [row] = parquet.read_table(tmp_path / "t.parquet").to_pylist()
    assert row["result"][0] == {"label": "love of x", "score": 0.75}
    question = json.dumps({"question": "who?", "context": "Ada was here"})
    assert torchinf("predict", "mapping", question, "--out", "m.parquet").status == 0
    [row] = parquet.read_table(tmp_path / "m.parquet").to_pylist()
    assert row == {"input": question, "answer": "Ada", "score": 0.5}


def test_parquet_without_pyarrow_is_said_before_anything_is_done(toys, torchinf, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    ran = torchinf("predict", "nothing", "x", "--out", "o.parquet")
    assert ran.status == 9
    assert "pip install pyarrow" in ran.err


def test_what_is_there_is_replaced_only_by_force(toys, torchinf, tmp_path):
    (tmp_path / "o.jsonl").write_text("mine")
    ran = torchinf("predict", "text", "x", "--out", "o.jsonl")
    assert (ran.status, (tmp_path / "o.jsonl").read_text()) == (2, "mine")
    assert "--force replaces it" in ran.err
    assert torchinf("predict", "text", "x", "--out", "o.jsonl", "--force").status == 0
    assert '"love of x"' in (tmp_path / "o.jsonl").read_text()


@pytest.mark.parametrize(
    ("place", "status", "told"),
    [
        ("o.csv", 2, "ends in none of .jsonl, .npz, .parquet"),
        ("nosuch/o.jsonl", 6, "nosuch"),
    ],
)
def test_an_impossible_place_is_said(toys, torchinf, place, status, told):
    ran = torchinf("predict", "text", "x", "--out", place)
    assert ran.status == status
    assert told in ran.err


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_leaves_no_half_file(toys, tmp_path, number, status):
    with subprocess.Popen(
        [sys.executable, "-m", "torchinf_core", "predict", "text", "-", "--out", "o.jsonl"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    ) as process:
        assert process.stdin is not None
        process.stdin.write("one\n" * 8)
        process.stdin.flush()
        while not list(tmp_path.glob(".o.jsonl.*.part")):
            assert process.poll() is None
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (status, "")
    assert not list(tmp_path.glob("*o.jsonl*")) + list(tmp_path.glob(".o.jsonl*"))
