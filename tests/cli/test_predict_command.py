"""``torchinf predict`` and ``run``: inputs of all kinds, and what is printed of the results."""

import io
import json
import subprocess
import sys

import pytest

from torchinf_core.cli import fast

np = pytest.importorskip("numpy")


@pytest.fixture
def arrays(tmp_path):
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number in (1, 2, 3):
        np.save(folder / f"{number}.npy", np.full(4, number, np.float32))
    np.save(tmp_path / "batch.npy", np.ones((2, 4), np.float32))
    np.savez(tmp_path / "named.npz", x=np.ones((1, 4), np.float32))
    (tmp_path / "list.json").write_text("[[1, 1, 1, 1]]")
    return folder


@pytest.mark.parametrize(
    ("word", "shown", "result"),
    [
        ("batch.npy", "float32[2]  10, 10", [10.0, 10.0]),
        ("named.npz", "float32[1]  10", [10.0]),
        ("list.json", "float32[1]  10", [10.0]),
        ("arrays/2.npy", "float32[]  20", 20.0),
        ("[1, 0, 0, 0]", "float32[]  1", 1.0),
        ("[[0, 0, 0, 1]]", "float32[1]  4", [4.0]),
        ('{"x": [[1, 1, 1, 1]]}', "float32[1]  10", [10.0]),
    ],
)
def test_arrays_come_from_files_and_from_the_command_line(
    toys, arrays, torchinf, word, shown, result
):
    ran = torchinf("predict", "sum", word)
    assert (ran.status, ran.out, ran.err) == (0, f"{shown}\n", "")
    assert torchinf("predict", "sum", word, "--json").document == {"input": word, "result": result}


def test_a_directory_of_arrays_goes_through_in_batches(toys, arrays, torchinf):
    assert toys.batches == []
    ran = torchinf("predict", "sum", "arrays", "--json", "--batch-size", "2")
    assert ran.status == 0
    assert ran.stream == [
        {"input": f"arrays/{number}.npy", "result": 10.0 * number} for number in (1, 2, 3)
    ]
    assert toys.batches == [2, 1]


def test_lines_of_json_are_arrays_too(toys, torchinf, tmp_path, monkeypatch):
    (tmp_path / "in.jsonl").write_text("[1, 0, 0, 0]\n\n[0, 1, 0, 0]\n")
    ran = torchinf("predict", "sum", "in.jsonl", "--json")
    assert ran.stream == [
        {"input": "in.jsonl:1", "result": 1.0},
        {"input": "in.jsonl:3", "result": 2.0},
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("[1, 1, 1, 1]\n"))
    assert torchinf("predict", "sum", "-", "-q").out == "10\n"


def test_a_text_is_answered_with_labels(toys, torchinf):
    ran = torchinf("predict", "text", "a day")
    assert ran.out == "love of a day   75.0 %\nhate of a day   25.0 %\n"
    assert torchinf("predict", "text", "a day", "--top", "1").out.count("\n") == 1
    assert torchinf("predict", "text", "a day", "-q").out == "love of a day\n"
    assert torchinf("predict", "text", "a day", "--json").document["result"][0] == {
        "label": "love of a day",
        "score": 0.75,
    }


def test_on_a_terminal_shares_are_drawn(toys, torchinf, monkeypatch):
    monkeypatch.setattr("torchinf_core.cli.output.is_terminal", lambda stream: stream is sys.stdout)
    monkeypatch.setenv("NO_COLOR", "1")
    lines = torchinf("predict", "text", "x").out.splitlines()
    assert lines[0].endswith("█" * 18)
    assert lines[1].endswith("█" * 6)
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b[32m█" in torchinf("predict", "text", "x").out


def test_texts_come_from_lines(toys, torchinf, tmp_path, monkeypatch):
    (tmp_path / "lines.txt").write_text("one\ntwo\n\nthree\n")
    for words in (["lines.txt"], ["@lines.txt"]):
        ran = torchinf("predict", "text", *words, "--json")
        assert [line["input"] for line in ran.stream] == ["one", "two", "three"]
    monkeypatch.setattr("sys.stdin", io.StringIO("one\ntwo\n"))
    assert torchinf("predict", "text", "-", "-q").out == "love of one\nlove of two\n"
    (tmp_path / "lines.jsonl").write_text('"one"\n{"text": "two"}\n{"x": "no"}\n[\n')
    ran = torchinf("predict", "text", "lines.jsonl", "--json")
    assert ran.status == 2
    assert [line.get("result", [{}])[0].get("label") for line in ran.stream] == [
        "love of one", "love of two", None, None
    ]  # fmt: skip
    assert ran.stream[3]["error"]["exit_code"] == 2


def test_results_of_several_inputs_stand_below_their_names(toys, torchinf):
    ran = torchinf("predict", "text", "one", "two", "--top", "1")
    assert ran.out == "one\n  love of one   75.0 %\ntwo\n  love of two   75.0 %\n"


def test_a_mapping_is_a_json_object(toys, torchinf, tmp_path):
    question = {"question": "who?", "context": "Ada was here"}
    ran = torchinf("predict", "mapping", json.dumps(question))
    assert ran.out == "Ada  ( 50.0 %)\n"
    (tmp_path / "one.json").write_text(json.dumps(question))
    assert torchinf("predict", "mapping", "one.json", "-q").out == "Ada\n"
    (tmp_path / "two.json").write_text(json.dumps([question, question]))
    assert len(torchinf("predict", "mapping", "two.json", "--json").stream) == 2
    ran = torchinf("predict", "mapping", "who?")
    assert (ran.status, ran.out) == (2, "")
    assert "'who?' is not a JSON object, such as" in ran.err


def test_pictures_below_a_directory_are_taken_in_order(toys, pictures, torchinf):
    ran = torchinf("predict", "image", "pictures", "--json", "--top", "1")
    assert [(line["input"], line["result"][0]["label"]) for line in ran.stream] == [
        ("pictures/a.png", "red"),
        ("pictures/b.png", "green"),
        ("pictures/more/c.png", "blue"),
    ]
    assert toys.batches == [3, 3]  # the pipeline's, and the model's inside it


def test_a_picture_that_is_none_costs_nothing_but_itself(toys, pictures, torchinf):
    (pictures / "aa.png").write_text("not a picture")
    (pictures / "zz.jpg").write_bytes(b"")
    ran = torchinf("predict", "image", "pictures", "--json")
    assert ran.status == 2
    assert [line["input"][9:] for line in ran.stream] == [
        "a.png", "aa.png", "b.png", "more/c.png", "zz.jpg",
    ]  # fmt: skip
    assert [line["input"][9:] for line in ran.stream if "error" in line] == ["aa.png", "zz.jpg"]
    assert ran.err.count("is not a picture that Pillow can read") == 2
    ran = torchinf("predict", "image", "pictures", "--fail-fast")
    assert ran.status == 2
    assert ran.out.startswith("pictures/a.png\n")
    assert "b.png" not in ran.out


def test_when_a_batch_fails_its_inputs_are_tried_one_by_one(toys, torchinf):
    ran = torchinf("predict", "text", "one", "boom", "two", "--json")
    assert ran.status == 2
    assert [line["input"] for line in ran.stream] == ["one", "boom", "two"]
    assert [line["input"] for line in ran.stream if "error" in line] == ["boom"]
    ran = torchinf("predict", "sum", "[666, 0, 0, 0]", "[1, 0, 0, 0]", "[1, 2]", "--json")
    assert ran.status == 8
    assert [line.get("result", line.get("error", {}).get("exit_code")) for line in ran.stream] == [
        8, 1.0, 2
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (["txt", "x"], 3, "did you mean 'text'?"),
        (["sum", "x.npy"], 2, "there is no file 'x.npy'"),
        (["image", "x.png"], 2, "there is no file 'x.png'"),
        (["text", "@lines"], 2, "there is no file 'lines'"),
        (["sum", "word"], 2, "is not a file of arrays"),
        (["sum", "[1, 2"], 2, "'[1, 2' is not JSON"),
        (["sum", "[1, 2]"], 2, "the model takes x: float32[batch, 4]"),
        (["text", "pictures"], 2, "is a directory, and the model takes texts"),
        (["sum", "pictures"], 2, "holds no .npy file"),
        (["text", "x", "--device", "cuda:0"], 8, "--device cpu would do"),
        (["text", "x", "--device", "gpu"], 2, "expected auto, cpu, cuda, cuda:N or mps"),
        (["text", "x", "--runtime", "nosuch"], 9, "those there are: toys"),
        (["text", "x", "--option", "nosuch=1"], 2, "has no option 'nosuch'; it knows top"),
        (["sum", "[1,1,1,1]", "--top", "2"], 2, "has no option 'top'"),
        (["text", "x", "--option", "top"], 2, "--option takes KEY=VALUE"),
        (["text"], 2, "torchinf predict --help"),
        (["text", "x", "--top", "0"], 2, "torchinf predict --help"),
    ],
)
def test_what_goes_wrong_has_a_status_and_says_what_to_do(
    toys, pictures, torchinf, words, status, told
):
    ran = torchinf("predict", *words)
    assert (ran.status, ran.out) == (status, "")
    assert told in ran.err
    assert "Traceback" not in ran.err
    answered = fast.answer(["predict", *words])
    assert answered in (None, status)


def test_an_option_of_the_pipeline_is_json_where_it_can_be(toys, torchinf):
    assert len(torchinf("predict", "text", "x", "-o", "top=1", "--json").document["result"]) == 1


def test_run_downloads_what_is_not_here(toys, torchinf):
    toys.hub.add("/other/toy.json", b"[2, 2, 2, 2]")
    ran = torchinf("run", "toybox:other", "[1, 1, 1, 1]", "--json")
    assert ran.document == {"input": "[1, 1, 1, 1]", "result": 8.0}
    assert torchinf("list", "-q").out.splitlines() == ["image", "mapping", "other", "sum", "text"]
    ran = torchinf("run", "toybox:sum", "[1, 1, 1, 1]", "--json")
    assert ran.document == {"input": "[1, 1, 1, 1]", "result": 10.0}
    assert torchinf("run", "sum", "[1, 1, 1, 1]", "-q").out == "10\n"
    ran = torchinf("run", "smu", "[1, 1, 1, 1]")
    assert (ran.status, "did you mean 'sum'?" in ran.err) == (3, True)


def test_a_number_without_end_is_null(toys, torchinf):
    ran = torchinf("predict", "sum", "[Infinity, 0, 0, 0]", "[NaN, 0, 0, 0]", "--json")
    assert [line["result"] for line in ran.stream] == [None, None]


@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_but_data_is_on_stdout(toys, verbose):
    words = ["predict", "text", "x", "--json", *(["-v"] if verbose else [])]
    done = subprocess.run(
        [sys.executable, "-m", "torchinf_core", *words], capture_output=True, text=True
    )
    assert done.returncode == 0
    assert json.loads(done.stdout)["input"] == "x"
    told = ("a library prints", "a library complains", "from below", "from far below")
    assert [line in done.stderr for line in told] == [verbose] * 4


def test_plain_words_need_no_typer(toys, tmp_path):
    program = (
        "import sys\n"
        "from torchinf_core.cli.fast import answer\n"
        "assert answer(['predict', 'sum', '[1, 1, 1, 1]', '-q']) == 0\n"
        "assert answer(['predict', 'text', 'x', '--top', '1']) == 0\n"
        "assert answer(['predict', 'nothing', 'x']) == 3\n"
        "assert answer(['predict', 'text', 'x', '-v']) is None\n"
        "assert answer(['predict', 'text', 'x', '--top=1']) is None\n"
        "assert answer(['predict', 'text']) is None\n"
        "print(sorted({'typer', 'click', 'rich', 'httpx', 'torch'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["10", "love of x   75.0 %", "[]"]
    assert "did you mean" not in done.stdout


def test_what_runs_is_told_to_a_person(toys, torchinf, monkeypatch):
    monkeypatch.setattr("torchinf_core.cli.output.is_terminal", lambda stream: stream is sys.stderr)
    ran = torchinf("predict", "text", "x")
    assert ran.err == "text: toys on cpu, fp32\n"
    assert torchinf("predict", "text", "x", "-q").err == ""
