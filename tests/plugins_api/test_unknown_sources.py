"""A scheme that nothing serves leads to the plugin that would, if there is one."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core import known
from torchinf_core.errors import UnknownSourceError

if TYPE_CHECKING:
    from conftest import Site

ROOT = Path(__file__).parents[2]


def unknown(site: Site, scheme: str) -> UnknownSourceError:
    with pytest.raises(UnknownSourceError) as caught:
        site.plugins().owner(scheme)
    assert caught.value.exit_code == 9
    return caught.value


def test_a_first_party_scheme_leads_to_its_install_command(site: Site) -> None:
    assert unknown(site, "torchvision").hint == "pip install 'torchinf[torchvision]'"
    assert unknown(site, "https").hint == "pip install 'torchinf[url]'"


def test_a_typing_error_leads_to_the_installed_scheme(site: Site) -> None:
    site.source("torchzoo")
    assert unknown(site, "torchzo").hint == "did you mean 'torchzoo'?"


def test_a_typing_error_in_a_plugin_that_is_not_installed_leads_to_both(site: Site) -> None:
    hint = unknown(site, "torchvison").hint
    assert hint == "did you mean 'torchvision'? (pip install 'torchinf[torchvision]')"


def test_a_wholly_unknown_scheme_leads_to_the_list(site: Site) -> None:
    error = unknown(site, "qqq")
    assert str(error) == "no installed plugin serves 'qqq'"
    assert "torchinf plugins" in error.hint


def test_a_broken_plugin_of_that_name_is_the_reason(site: Site) -> None:
    site.install("torchvision", "1 / 0")
    error = unknown(site, "torchvision")
    assert "is broken: ZeroDivisionError" in str(error)
    assert "pip install" not in error.hint


def test_a_broken_plugin_is_known_by_its_other_schemes_too(site: Site) -> None:
    site.install("url", "1 / 0")
    assert "plugin 'url'" in str(unknown(site, "https"))


def test_every_first_party_plugin_has_an_extra_and_every_source_extra_is_known() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    for plugin in known.FIRST_PARTY:
        assert plugin.install == f"pip install 'torchinf[{plugin.name}]'"
        assert any(f"torchinf-{plugin.name}" in wish for wish in extras[plugin.name])
    brought = {
        name for name, wishes in extras.items() if any("torchinf-" in wish for wish in wishes)
    }
    assert brought == {plugin.name for plugin in known.FIRST_PARTY}


@pytest.mark.parametrize("plugin", known.FIRST_PARTY, ids=lambda plugin: plugin.name)
def test_a_first_party_plugin_serves_what_the_table_says(plugin: known.FirstParty) -> None:
    module = pytest.importorskip(f"torchinf_{plugin.name}")
    infos = list(module.sources()) if hasattr(module, "sources") else []
    assert {scheme for info in infos for scheme in info.schemes} == set(plugin.schemes)
