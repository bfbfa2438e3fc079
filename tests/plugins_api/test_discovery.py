"""Finding plugins reads their metadata, whatever is on the path, and imports none."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.plugins import discovery, find_entry_points, load_plugins
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    from conftest import Site


def found(*folders: object) -> list[tuple[str, str, str, str]]:
    return [(e.name, e.value, e.distribution, e.version) for e in find_entry_points(folders)]


def test_discovery_and_the_plugins_object_import_no_plugin(site: Site) -> None:
    module = site.source("zoo")
    plugins = load_plugins(Settings())
    assert plugins.warnings == ()
    assert module not in sys.modules
    assert plugins.owner("zoo") == "zoo"
    assert module in sys.modules


def test_what_importlib_metadata_finds_is_found(site: Site) -> None:
    site.install("zoo", distribution="torchinf-zoo", version="1.2")
    site.install("bar", distribution="Some.Other_Name", value="a.b:c.d")
    site.install("third", distribution="third", value="pkg:obj [extra]")
    theirs = sorted(
        (e.name, f"{e.module}:{e.attr}" if e.attr else e.module, e.dist.name, e.dist.version)
        for d in importlib.metadata.distributions(path=[str(site.folder)])
        for e in d.entry_points
        if e.dist is not None
    )
    assert found(str(site.folder)) == theirs
    assert len(theirs) == 3


def test_a_hundred_foreign_distributions_are_passed_over(site: Site) -> None:
    for n in range(100):
        site.install(f"cli{n}", distribution=f"foreign{n}", group="console_scripts")
    site.install("zoo")
    assert [name for name, *_ in found(str(site.folder))] == ["zoo"]


def test_no_file_but_entry_points_is_opened_for_foreign_distributions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(5):
        site.install(f"cli{n}", distribution=f"foreign{n}", group="console_scripts")
    opened: list[str] = []
    real = os.open

    def spy(path: str, flags: int) -> int:
        opened.append(os.path.basename(path))
        return real(path, flags)

    monkeypatch.setattr(discovery.os, "open", spy)
    assert found(str(site.folder)) == []
    assert opened == ["entry_points.txt"] * 5


def test_odd_entries_of_the_path_are_skipped(site: Site, tmp_path: Path) -> None:
    site.install("zoo")
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("x-1.dist-info/entry_points.txt", "[torchinf.v1]\nx = x\n")
    odd = [None, 7, b"bytes", Path(site.folder), "nul\0inside", str(archive), "/no/such/folder"]
    assert [name for name, *_ in found(*odd, str(site.folder))] == ["zoo"]


def test_the_current_folder_counts_when_the_path_says_so(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install("zoo")
    monkeypatch.chdir(site.folder)
    assert [name for name, *_ in found("")] == ["zoo"]


def test_a_distribution_on_the_path_twice_counts_once_and_the_first_wins(
    site: Site, tmp_path: Path
) -> None:
    site.install("zoo", version="1.0")
    later = type(site)(tmp_path / "later")
    later.install("zoo", version="2.0")
    assert found(str(site.folder), str(later.folder)) == [
        ("zoo", f"torchinf_zoo_{tmp_path.name}".replace("-", "_"), "torchinf-zoo", "1.0")
    ]


def test_a_newer_distribution_without_plugins_hides_an_older_one_with(
    site: Site, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    (first / "torchinf_zoo-2.0.dist-info").mkdir(parents=True)
    site.install("zoo")
    assert found(str(first), str(site.folder)) == []


def test_leftovers_of_an_interrupted_pip_are_not_plugins(site: Site) -> None:
    site.install("zoo")
    (site.folder / "torchinf_zoo-1.0.dist-info").rename(site.folder / "~orchinf_zoo-1.0.dist-info")
    assert found(str(site.folder)) == []


def test_an_egg_info_folder_beside_an_editable_checkout_is_read(site: Site) -> None:
    info = site.folder / "torchinf_zoo.egg-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[torchinf.v1]\nzoo = torchinf_zoo\n")
    (info / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: torchinf-zoo\nVersion: 0.3\n")
    assert found(str(site.folder)) == [("zoo", "torchinf_zoo", "torchinf-zoo", "0.3")]


def test_without_metadata_the_folder_names_the_distribution(site: Site) -> None:
    info = site.folder / "torchinf_zoo-1.5.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[torchinf.v1]\nzoo=torchinf_zoo\n")
    assert found(str(site.folder)) == [("zoo", "torchinf_zoo", "torchinf_zoo", "1.5")]


def test_entry_points_that_are_no_file_are_skipped(site: Site) -> None:
    site.install("good")
    for n, make in enumerate((Path.mkdir, os.mkfifo)):
        info = site.folder / f"odd{n}-1.dist-info"
        info.mkdir()
        make(info / "entry_points.txt")
    assert [name for name, *_ in found(str(site.folder))] == ["good"]


@given(st.text() | st.text("[]=#;: \n\ttorchinf.v1abc"))
def test_any_entry_points_file_is_survived(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    info = folder / "x-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_bytes(text.encode("utf-8", "surrogatepass"))
    for name, value, _, _ in found(str(folder)):
        assert "\n" not in name + value


def test_comments_and_blank_lines_are_no_entries(site: Site) -> None:
    info = site.folder / "x-1.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(
        "# torchinf.v1\n\n[torchinf.v1]\n# a = b\n; c = d\n\n  zoo =  mod : obj  \n[other]\nx = y\n"
    )
    assert [(name, value) for name, value, *_ in found(str(site.folder))] == [("zoo", "mod : obj")]


def test_the_plugins_are_shared_as_long_as_path_and_settings_stay(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.source("zoo")
    shared = load_plugins(Settings())
    assert load_plugins(Settings(offline=True)) is shared
    assert load_plugins(Settings(disable=("zoo",))) is not shared
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load_plugins(Settings()) is not shared
