"""A new plugin is green at once, and is what a formatter and a linter leave alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from torchinf_core.errors import UsageError
from torchinf_core.scaffold import KINDS, render, write


def run(*command: object, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=110,
    )


def installed(folder: Path, name: str) -> str:
    """The plugin as ``pip install -e`` leaves it; what PYTHONPATH has to be."""
    info = folder / "src" / f"torchinf_{name}-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: torchinf-{name}\nVersion: 0.1.0\n")
    (info / "entry_points.txt").write_text(f"[torchinf.v1]\n{name} = torchinf_{name}\n")
    return os.pathsep.join([str(folder / "src"), os.environ.get("PYTHONPATH", "")])


@pytest.mark.parametrize("kind", KINDS)
def test_the_tests_of_a_new_plugin_pass_and_so_does_its_check(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("torchinf_url")
    folder = tmp_path / "torchinf-zoo"
    write(folder, render("zoo", kind))
    path = installed(folder, "zoo")
    done = run(sys.executable, "-m", "pytest", "-q", "-rs", cwd=folder, PYTHONPATH=path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning" not in done.stdout
    done = run(
        sys.executable, "-m", "torchinf_core", "check-plugin", "zoo", cwd=folder, PYTHONPATH=path
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\nbroken" not in done.stdout
    assert "kept" in done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_new_plugin_is_formatted_and_builds(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("hatchling")
    folder = tmp_path / "torchinf-big-zoo"
    write(folder, render("big-zoo", kind))
    ruff = Path(sys.executable).parent / "ruff"
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    for words in (("format", "--check"), ("check", "--select", "E,F,I,B,UP,SIM,PT,RUF100")):
        done = run(ruff, *words, "--no-cache", "--isolated", ".", cwd=folder)
        assert done.returncode == 0, done.stdout + done.stderr
    done = run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (folder / "dist").glob("*.whl")
    import zipfile

    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if "dist-info" not in name] == ["torchinf_big_zoo.py"]


@pytest.mark.parametrize("name", ["", "Zoo", "my_zoo", "-zoo", "zoo-", "../zoo", "1zoo", "z" * 41])
def test_a_name_that_can_not_be_is_refused_with_one_that_can(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(name, "source")
    suggested = caught.value.hint.removeprefix("torchinf new-plugin ")
    assert render(suggested, "source")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("torchinf-foo", "foo"), ("torchinf_foo", "foo"), ("Torchinf-Torchinf-Foo", "foo")],
)
def test_a_name_with_the_prefix_of_its_distribution_is_refused_with_the_one_without(
    name: str, meant: str
) -> None:
    with pytest.raises(UsageError) as caught:
        render(name, "source")
    assert caught.value.hint == f"torchinf new-plugin {meant}"


@pytest.mark.parametrize("name", ["torchinf-", "torchinf-torchinf", "torchinf-1"])
def test_a_prefix_before_no_name_is_refused_with_a_name_that_can_be(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        render(name, "source")
    assert caught.value.hint == "torchinf new-plugin zoo"


def test_what_is_there_is_left_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "torchinf-zoo"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        write(folder, render("zoo", "source"))
    assert [path.name for path in folder.iterdir()] == ["README.md"]
