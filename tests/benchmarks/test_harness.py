"""The benchmark harness measures what it says; no figure is judged here."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks.bench import Bench  # noqa: E402
from benchmarks.measure import Command, PeerError, Sample, middle, run  # noqa: E402
from benchmarks.peers import Job, Peer  # noqa: E402
from benchmarks.report import FAILED, Goal, Report, Row, table  # noqa: E402

from benchmarks import content, hub, nginx, repositories  # noqa: E402

needs_nginx = pytest.mark.skipif(nginx.find() is None, reason="nginx is not installed")


def bench_in(folder: Path) -> Bench:
    return Bench(folder, rounds=1, size=1 << 20, count=3, records=(1,))


def liar(job: Job, out: Path) -> Command:
    del job
    return Command(["/bin/sh", "-c", f"echo wrong > {out}/model.safetensors"], {})


@needs_nginx
def test_every_download_scenario_runs_and_its_result_is_checked(tmp_path):
    target = tmp_path / "figures.json"
    argv = [sys.executable, "-m", "benchmarks", "--only", "one-file", "small-far"]
    argv += ["--size", "1MiB", "--count", "3", "--rounds", "1", "--json", str(target)]
    argv += ["--dir", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = json.loads(target.read_text())
    for report in reports:
        (mine,) = (row for row in report["rows"] if row["who"] == "torchinf")
        assert mine["sample"]["code"] == 0, mine
    assert "torchinf" in done.stdout
    assert list(tmp_path.iterdir()) == [target]


@needs_nginx
def test_the_scenarios_of_the_hugging_face_hub_run_and_a_known_commit_is_no_request(tmp_path):
    target = tmp_path / "figures.json"
    argv = [sys.executable, "-m", "benchmarks", "--only", "hf-many", "hf-resume", "hf-warm"]
    argv += ["--size", "1MiB", "--count", "15", "--rounds", "1", "--json", str(target)]
    argv += ["--dir", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    reports = {report["name"]: report for report in json.loads(target.read_text())}
    cold, resume, warm = (
        {row["who"]: row for row in reports[name]["rows"]}
        for name in ("hf-many", "hf-resume", "hf-warm")
    )
    assert cold["torchinf"]["sample"]["code"] == 0
    assert resume["torchinf, run again"]["note"].endswith("of the bytes sent")
    assert warm["torchinf, weights"]["note"] == "0 bytes of answers"
    assert warm["torchinf, many"]["note"] == "0 bytes of answers"
    assert warm["hf download, http, many"]["note"] != "0 bytes of answers"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_hub_of_the_benchmarks_says_of_a_repository_what_git_does(tmp_path):
    files, work = tmp_path / "files", tmp_path / "work"
    items = repositories.many(files, 9)
    hub.write(files, work, items)
    (bare,) = (work / "git").iterdir()
    listed = ["git", "-C", str(bare), "ls-tree", "-r", "main", "--format=%(path) %(objectname)"]
    known = dict(line.split() for line in subprocess.check_output(listed, text=True).splitlines())
    (tree,) = (work / "api").rglob(f"tree/{hub.COMMIT}")
    entries = {entry["path"]: entry for entry in json.loads(tree.read_text())}
    assert len(entries) == 9
    assert entries.keys() == known.keys() - {".gitattributes"}
    plain = {path: entry["oid"] for path, entry in entries.items() if "lfs" not in entry}
    assert plain == {path: known[path] for path in plain}
    assert len(plain) == 6


@needs_nginx
def test_a_peer_that_leaves_other_bytes_is_shown_as_failed(tmp_path):
    bench = bench_in(tmp_path)
    item = bench.large(1 << 20)
    with bench.serve([item]) as site:
        (row,) = bench.downloads([Peer("liar", "sh", liar)], Job(site, [item]))
    assert row.sample is None
    assert row.note.startswith(FAILED)
    assert "did not arrive whole" in row.note


@needs_nginx
def test_the_slow_link_counts_what_it_carries_and_changes_no_byte(tmp_path):
    bench = bench_in(tmp_path)
    item = bench.large(1 << 20)
    with bench.serve([item]) as near, bench.link(near, "--rtt", "0.004", "--rate", "2e7") as far:
        url = f"{far.http}/{item.path}"
        got = tmp_path / "got"
        fetch = f"import urllib.request as r; r.urlretrieve({url!r}, {str(got)!r})"
        run(Command([sys.executable, "-c", fetch], {}), tmp_path)
        assert content.digest(got) == item.sha256
        assert far.sent() > item.size


def test_a_peer_that_is_not_installed_is_named_as_missing():
    peer = Peer("rocket", "no-such-program-anywhere", liar)
    assert peer.missing
    report = Report("one", "a title", "curl", [Row("curl", Sample(2.0)), Row(peer.name, None)])
    assert table(report).splitlines()[-1].split() == ["rocket", "missing"]


def test_a_goal_without_its_peer_is_neither_met_nor_missed():
    assert Goal("a ÷ b", 1.0, None).met is None
    assert "can't be told" in Goal("a ÷ b", 1.0, None).line()
    assert Goal("a ÷ b", 1.0, 1.0).met
    assert not Goal("a ÷ b", 1.0, 1.01).met


def test_medians_are_taken_of_each_cost_and_the_peak_of_memory_is_the_highest():
    samples = [Sample(1.0, 9.0, 5), Sample(2.0, 1.0, 7), Sample(9.0, 2.0, 6)]
    assert middle(samples) == Sample(2.0, 2.0, 7)


def test_the_memory_of_the_harness_does_not_count_for_what_it_starts(tmp_path):
    ballast = bytearray(100 << 20)
    sample = run(Command(["/bin/true"], {}), tmp_path)
    assert sample.rss < len(ballast) / 4


def test_a_failing_command_is_reported_with_the_end_of_its_output(tmp_path):
    with pytest.raises(PeerError, match="ended with 3: the reason"):
        run(Command(["/bin/sh", "-c", "echo the reason; exit 3"], {}), tmp_path)
