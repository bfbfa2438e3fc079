"""``torchinf new-plugin`` and ``torchinf check-plugin``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = """
from torchinf_core import Plan, SourceInfo, hookimpl
import numpy

@hookimpl
def sources():
    print("rattle")
    yield SourceInfo("zoo", ("zoo",), "A zoo", ("zoo:cat",))

@hookimpl
def resolve(ref, host):
    return Plan(ref, "cat", (), metadata={"index": host.json("https://zoo.example")["cat"]})
"""


WRAPPER = """
from torchinf_core import hookimpl

@hookimpl(wrapper=True)
def fetch(plan):
    try:
        return (yield)
    except Exception:
        return False
"""


def torchinf(*words: str, cwd: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "torchinf_core", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd / "site"), *sys.path[1:]])},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    site = tmp_path / "site"
    info = site / "torchinf_zoo-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: torchinf-zoo\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[torchinf.v1]\nzoo = torchinf_zoo\n")
    (site / "torchinf_zoo.py").write_text(BROKEN)
    return tmp_path


def test_check_plugin_tells_each_sentence_what_happened_and_how_to_mend_it(plugin: Path) -> None:
    done = torchinf("check-plugin", "zoo", cwd=plugin, status=9)
    lines = done.stdout.splitlines()
    broken = [line for line in lines if line.startswith("broken      ")]
    assert "importing torchinf_zoo also imports numpy" in done.stdout
    assert any("ends with KeyError" in line or "TypeError" in line for line in broken)
    assert sum("to mend it: " in line for line in broken) == 2
    assert "breaks 2 sentences of its contract" in done.stderr
    assert "rattle" not in done.stdout


def test_check_plugin_tells_programs_all_of_it_in_json(plugin: Path) -> None:
    done = torchinf("check-plugin", "zoo", "--json", cwd=plugin, status=9)
    document = json.loads(done.stdout.splitlines()[0])
    assert document["plugin"] == "zoo"
    assert document["counts"]["broken"] == 2
    broken = [check["check"] for check in document["checks"] if check["outcome"] == "broken"]
    assert broken == ["importing_is_light", "strange_answers_are_errors"]
    assert sum(document["counts"].values()) == len(document["checks"])


def test_check_plugin_looks_at_wrappers_and_at_no_hook_that_there_is_not(plugin: Path) -> None:
    (plugin / "site/torchinf_zoo.py").write_text(WRAPPER)
    done = torchinf("check-plugin", "zoo", "--json", cwd=plugin, status=9)
    document = json.loads(done.stdout.splitlines()[0])
    outcomes = {check["check"]: check["outcome"] for check in document["checks"]}
    assert outcomes == {
        "hooks_are_well_formed": "kept",
        "importing_is_light": "kept",
        "importing_does_nothing": "kept",
        "wrapped_fetches_tell_what_was_done": "broken",
    }


def test_check_plugin_says_quietly_whether_anything_is_broken(plugin: Path) -> None:
    done = torchinf("check-plugin", "zoo", "--quiet", cwd=plugin, status=9)
    assert done.stdout == ""
    assert "hint: torchinf check-plugin zoo" in done.stderr


def test_check_plugin_says_what_is_wrong_with_one_that_can_not_be_imported(plugin: Path) -> None:
    (plugin / "site/torchinf_zoo.py").write_text("import nothing_of_that_name")
    done = torchinf("check-plugin", "zoo", cwd=plugin, status=9)
    assert "can't be imported: ModuleNotFoundError: No module named" in done.stderr


def test_check_plugin_suggests_a_name_that_there_is(plugin: Path) -> None:
    done = torchinf("check-plugin", "zo", cwd=plugin, status=3)
    assert "did you mean 'zoo'?" in done.stderr
    assert "did you mean 'zoo'?" in torchinf("plugins", "zo", cwd=plugin, status=3).stderr


def test_check_plugin_says_which_api_a_plugin_is_of(plugin: Path) -> None:
    (plugin / "site/torchinf_zoo-1.0.dist-info/entry_points.txt").write_text(
        "[torchinf.v9]\nzoo = torchinf_zoo\n"
    )
    done = torchinf("check-plugin", "zoo", cwd=plugin, status=9)
    assert "another version of the plugin API: torchinf.v9" in done.stderr


def test_new_plugin_prints_the_folder_and_says_how_to_go_on(tmp_path: Path) -> None:
    done = torchinf("new-plugin", "zoo", cwd=tmp_path)
    assert done.stdout == "torchinf-zoo\n"
    assert "pip install -e '.[test]'" in done.stderr
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {
        "torchinf-zoo/.gitignore",
        "torchinf-zoo/README.md",
        "torchinf-zoo/pyproject.toml",
        "torchinf-zoo/src/torchinf_zoo.py",
        "torchinf-zoo/tests/test_torchinf_zoo.py",
    }
    again = torchinf("new-plugin", "zoo", cwd=tmp_path, status=2)
    assert "is there already" in again.stderr


def test_new_plugin_can_be_looked_at_before(tmp_path: Path) -> None:
    done = torchinf("new-plugin", "zoo", "--dry-run", "--json", "--into", "x", cwd=tmp_path)
    document = json.loads(done.stdout)
    assert document["folder"] == "x/torchinf-zoo"
    assert document["written"] is False
    assert len(document["files"]) == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", [("Zoo",), ("hf",), ("zoo", "--kind", "sauce")], ids=str)
def test_new_plugin_refuses_what_would_not_work(words: tuple[str, ...], tmp_path: Path) -> None:
    done = torchinf("new-plugin", *words, cwd=tmp_path, status=2)
    assert "hint: " in done.stderr
    assert list(tmp_path.iterdir()) == []
