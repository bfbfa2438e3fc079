"""What is built: the same bytes each time, the package's files and nothing else."""

from __future__ import annotations

import configparser
import email
import email.message
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

from torchinf_core import __version__

from .conftest import EPOCH, ROOT, Built, script, tracked

PROJECTS = [ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))]


def declared(project: Path) -> dict[str, Any]:
    return tomllib.loads((project / "pyproject.toml").read_text())


def package(project: Path) -> str:
    [folder] = declared(project)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    return str(folder).removeprefix("src/")


def within(project: Path, *folders: str) -> set[str]:
    """Tracked files of folders of a project, as paths in the project."""
    base = project.relative_to(ROOT).as_posix()
    prefix = "" if base == "." else f"{base}/"
    names = {name.removeprefix(prefix) for name in tracked() if name.startswith(prefix)}
    return {name for name in names if name.startswith(folders)}


def metadata(wheel: Path) -> email.message.Message:
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name))


@pytest.fixture(params=PROJECTS, ids=lambda path: "core" if path == ROOT else path.name)
def project(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_two_builds_from_two_folders_are_the_same_bytes(built: Built) -> None:
    assert len(built.first) == 2 * len(PROJECTS)
    assert built.first.keys() == built.second.keys()
    for name, path in built.first.items():
        assert path.read_bytes() == built.second[name].read_bytes(), name


def test_a_source_distribution_builds_the_wheel_of_the_tree(
    built: Built, project: Path, tmp_path: Path
) -> None:
    name = declared(project)["project"]["name"]
    with tarfile.open(built.of(name, ".tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    [unpacked] = tmp_path.iterdir()
    [wheel] = script("make").build(unpacked, tmp_path / "dist", EPOCH, targets="wheel")
    assert wheel.read_bytes() == built.of(name, ".whl").read_bytes()


def test_a_wheel_holds_the_files_of_its_package_and_no_others(built: Built, project: Path) -> None:
    wheel = built.of(declared(project)["project"]["name"], ".whl")
    info = "-".join(wheel.name.split("-")[:2]) + ".dist-info"
    files = {name.removeprefix("src/") for name in within(project, f"src/{package(project)}/")}
    about = {"METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE"}
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names))
    assert set(names) == files | {f"{info}/{name}" for name in about}
    assert f"{package(project)}/py.typed" in names
    assert not [name for name in names if re.search(r"(^|/)(tests|benchmarks|__pycache__)/", name)]


def test_a_source_distribution_holds_sources_and_tests_and_no_others(
    built: Built, project: Path
) -> None:
    path = built.of(declared(project)["project"]["name"], ".tar.gz")
    with tarfile.open(path) as archive:
        members = archive.getmembers()
    top = path.name.removesuffix(".tar.gz")
    assert all(member.isfile() and member.name.startswith(f"{top}/") for member in members)
    names = {member.name.removeprefix(f"{top}/") for member in members}
    about = {"PKG-INFO", "pyproject.toml", "README.md", "LICENSE", ".gitignore"}
    expected = within(project, "src/", "tests/") | about
    if project == ROOT:
        of_the_repository = ("tests/benchmarks/", "tests/docs/", "tests/packaging/")
        expected -= within(project, *of_the_repository)
        expected |= {"CHANGELOG.md", "conftest.py"}
    assert names == expected


def test_nothing_in_an_archive_tells_who_built_it_or_when(built: Built) -> None:
    for name, path in built.first.items():
        if name.endswith(".whl"):
            with zipfile.ZipFile(path) as archive:
                dates = {member.date_time for member in archive.infolist()}
            assert dates == {(2023, 11, 14, 22, 13, 20)}
        else:
            with tarfile.open(path) as archive:
                members = archive.getmembers()
            assert {member.mtime for member in members} == {EPOCH}
            assert {(member.uid, member.gid) for member in members} == {(0, 0)}
            assert {member.uname + member.gname for member in members} == {""}


def test_the_metadata_tells_an_index_what_it_asks(built: Built, project: Path) -> None:
    stated = declared(project)["project"]
    told = metadata(built.of(stated["name"], ".whl"))
    assert (told["Name"], told["Version"]) == (stated["name"], __version__)
    assert told["Requires-Python"] == ">=3.11"
    assert told["License-Expression"] == "Apache-2.0"
    assert told.get_all("License-File") == ["LICENSE"]
    assert told["Author"] == "The torchinf authors"
    assert 10 < len(told["Summary"]) < 100
    assert not told["Summary"].endswith(".")
    assert told["Keywords"]
    assert told["Description-Content-Type"] == "text/markdown"
    text = told.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert text.decode().strip() == (project / "README.md").read_text().strip()


def test_entry_points_are_those_that_are_declared(built: Built, project: Path) -> None:
    stated = declared(project)["project"]
    found = configparser.ConfigParser()
    with zipfile.ZipFile(built.of(stated["name"], ".whl")) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        found.read_string(archive.read(name).decode())
    groups = {group: dict(found[group]) for group in found.sections()}
    if project == ROOT:
        assert groups.pop("console_scripts") == {"torchinf": "torchinf_core.__main__:main"}
        assert groups == stated["entry-points"]
    else:
        short = stated["name"].removeprefix("torchinf-")
        assert groups == {"torchinf.v1": {short: package(project)}}


def test_all_plugins_are_declared_alike() -> None:
    core, *plugins = (declared(project) for project in PROJECTS)
    for plugin in plugins:
        stated, name = plugin["project"], plugin["project"]["name"]
        for key in ("requires-python", "license", "license-files", "authors", "readme"):
            assert stated[key] == core["project"][key], name
        assert plugin["build-system"] == core["build-system"]
        assert plugin["tool"]["hatch"]["build"]["targets"] == {
            "wheel": {"packages": [f"src/{name.replace('-', '_')}"]},
            "sdist": {"include": ["/src", "/tests", "/README.md"]},
        }
        assert stated["keywords"][0] == "torchinf"
        assert set(stated["classifiers"]) <= set(core["project"]["classifiers"]), name
        assert stated.keys() - {"optional-dependencies"} == plugins[0]["project"].keys()
