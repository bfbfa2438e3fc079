"""A plugin that can't be used costs one line; the others work on."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from torchinf_core.errors import PluginConflictError, PluginError, UnknownSourceError
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings

if TYPE_CHECKING:
    from conftest import Site

SOURCES = "@hookimpl\ndef sources():\n    yield SourceInfo('bad', ('bad',), 'd', ('bad:x',))\n"
RESOLVE = "@hookimpl\ndef resolve(ref):\n    return Plan(ref, 'x', ())\n"

BROKEN = {
    "import error": ("import no_such_package", "No module named 'no_such_package'"),
    "syntax error": ("x = = 1", "SyntaxError"),
    "error at import": ("1 / 0", "ZeroDivisionError"),
    "exit at import": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "exit in sources": (
        "@hookimpl\ndef sources():\n    raise SystemExit\n" + RESOLVE,
        "SystemExit",
    ),
    "an exception that can't be shown": (
        "class E(Exception):\n    def __str__(self): raise RuntimeError\nraise E",
        "is broken: E",
    ),
    "a misspelt hook": (
        SOURCES + "@hookimpl\ndef reslove(ref): ...",
        "there is no hook 'reslove'; did you mean 'resolve'?",
    ),
    "a hook that never was": (
        "@hookimpl\ndef qqqq(): ...",
        "there is no hook 'qqqq', only sources, resolve, fetch, token, search, trusts",
    ),
    "no marker": (SOURCES.replace("@hookimpl\n", ""), "it implements no hook"),
    "a default": (
        SOURCES + "@hookimpl\ndef resolve(ref, options=None): ...",
        "'resolve' has a default for its parameter 'options'",
    ),
    "keyword-only": (
        SOURCES + "@hookimpl\ndef resolve(ref, *, host): ...",
        "'resolve' has the keyword-only parameter 'host'",
    ),
    "catch-all": (
        SOURCES + "@hookimpl\ndef resolve(ref, **more): ...",
        "'resolve' has the catch-all parameter '**more'",
    ),
    "a wrong parameter": (
        SOURCES + "@hookimpl\ndef resolve(reference): ...",
        "'resolve' has no parameter 'reference', only ref, options, host",
    ),
    "a parameter where there are none": (
        "@hookimpl\ndef sources(host): ...\n" + RESOLVE,
        "'sources' has no parameter 'host', nor any other",
    ),
    "async": (SOURCES + "@hookimpl\nasync def resolve(ref): ...", "'resolve' is async"),
    "a wrapper that does not yield": (
        "@hookimpl(wrapper=True)\ndef resolve(ref): ...",
        "the wrapper of 'resolve' does not yield",
    ),
    "a wrapper of sources": (
        "@hookimpl(wrapper=True)\ndef sources(): yield",
        "the hook 'sources' can't be wrapped",
    ),
    "one hook twice": (
        SOURCES + RESOLVE + "@hookimpl(specname='resolve')\ndef again(ref): ...",
        "it implements a hook twice",
    ),
    "sources alone": (SOURCES, "it implements 'sources' without 'resolve'"),
    "resolve alone": (RESOLVE, "it implements 'resolve' without 'sources'"),
    "searchable without search": (
        SOURCES.replace("('bad:x',)", "('bad:x',), (), True") + RESOLVE,
        "'search' is not implemented",
    ),
    "failing sources": (
        "@hookimpl\ndef sources():\n    yield {}['x']\n" + RESOLVE,
        "KeyError: 'x'",
    ),
    "sources of a wrong type": (
        "@hookimpl\ndef sources(): return 'bad'\n" + RESOLVE,
        "sources: it returned a value of type str instead of an iterable",
    ),
    "no source at all": ("@hookimpl\ndef sources(): return []\n" + RESOLVE, "no source"),
    "a scheme in capitals": (SOURCES.replace("('bad',)", "('Bad',)") + RESOLVE, "scheme 'Bad'"),
    "a scheme of one letter": (SOURCES.replace("('bad',)", "('c',)") + RESOLVE, "scheme 'c'"),
    "a scheme twice": (
        SOURCES.replace("('bad',)", "('bad', 'bad')") + RESOLVE,
        "the scheme 'bad' twice",
    ),
    "schemes that are no tuple": (
        SOURCES.replace("('bad',)", "'bad'") + RESOLVE,
        "a SourceInfo whose schemes is no tuple of str",
    ),
    "no example": (
        SOURCES.replace("('bad:x',)", "()") + RESOLVE,
        "without name, schemes or examples",
    ),
    "asking for the plugins while imported": (
        "import torchinf_core.plugins as p; p.load_plugins(load_settings({})).sources()",
        "a plugin asks for the plugins while it is imported",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_costs_one_line_and_the_rest_works(site: Site, case: str) -> None:
    code, problem = BROKEN[case]
    site.install("bad", code)
    site.source("good")
    plugins = load_plugins(Settings())
    assert plugins.resolve(parse_ref("good:m"), {}, Settings()).name == "m"
    [line] = [line for line in plugins.warnings if "'bad'" in line]
    assert line.startswith("plugin 'bad' (torchinf-bad 1.0) is broken: ")
    assert problem in line
    assert "\n" not in line
    [state] = [state for state in plugins.states() if state.name == "bad"]
    assert state.state == "broken"
    assert state.sources == ()
    assert "TORCHINF_DISABLE=bad" in state.hint


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("no_such_module_here", "No module named 'no_such_module_here'"),
        ("json:nothing", "no attribute 'nothing'"),
        (":", "Empty module name"),
        ("json", "it implements no hook"),
    ],
)
def test_an_entry_point_that_leads_nowhere_is_broken(site: Site, value: str, problem: str) -> None:
    site.install("bad", value=value)
    assert problem in site.state("bad").problem


@pytest.mark.parametrize("name", ["Zoo", "a b", "-x", "zoo.two", "täglich"])
def test_a_plugin_needs_a_name_that_can_be_typed(site: Site, name: str) -> None:
    site.install(name, SOURCES + RESOLVE, distribution="torchinf-bad")
    assert site.state(name).state == "broken"
    assert "its name does not match" in site.state(name).problem


def test_an_interrupt_while_importing_is_not_swallowed(site: Site) -> None:
    site.install("bad", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.plugins().states()


def test_what_a_plugin_prints_at_import_is_not_data(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    site.install(
        "noisy",
        "print('at import')\n" + SOURCES.replace("yield", "print('in sources'); yield") + RESOLVE,
    )
    assert site.state("noisy").state == "ok"
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "at import\nin sources\n"


def test_control_characters_of_a_foreign_message_do_not_reach_the_terminal(site: Site) -> None:
    site.install("bad", r"raise ValueError('\x1b[2J two\nlines \u202e ' + 'x' * 5000)")
    problem = site.state("bad").problem
    assert problem.isprintable()
    assert problem.startswith("ValueError: [2J two lines")
    assert len(problem) <= 400


def test_a_plugin_for_another_version_of_the_api_is_not_imported(site: Site) -> None:
    modules = [site.install(f"v{n}", "raise SystemExit", group=f"torchinf.v{n}") for n in (0, 2)]
    states = site.plugins().states()
    assert [state.state for state in states] == ["incompatible"] * 2
    assert states[1].problem == "it is made for torchinf.v2, this is torchinf.v1"
    assert "torchinf-v2" in states[1].hint
    assert not set(modules) & set(sys.modules)


def test_a_plugin_that_serves_two_versions_of_the_api_is_no_problem(site: Site) -> None:
    site.source("zoo")
    site.install("zoo", group="torchinf.v2", value="no_such_module")
    assert [state.state for state in site.plugins().states()] == ["ok"]


def test_two_distributions_with_one_plugin_name_disable_both(site: Site) -> None:
    modules = [
        site.install("zoo", SOURCES + RESOLVE, distribution=name) for name in ("zoo-a", "zoo-b")
    ]
    plugins = site.plugins()
    assert [state.state for state in plugins.states()] == ["duplicate"] * 2
    assert plugins.sources() == ()
    assert not set(modules) & set(sys.modules)
    assert len(plugins.warnings) == 2
    for state in plugins.states():
        assert "zoo-a and zoo-b" in state.problem
        assert "pip uninstall" in state.hint


def test_a_contested_scheme_is_an_error_on_use_only(site: Site) -> None:
    site.source("alpha", schemes="shared alpha")
    site.source("beta", schemes="beta shared")
    plugins = site.plugins()
    assert [state.state for state in plugins.states()] == ["conflict"] * 2
    assert "'shared' is also claimed by 'beta' of torchinf-beta 1.0" in plugins.states()[0].problem
    assert plugins.warnings == ()
    assert plugins.resolve(parse_ref("beta:x"), {}, Settings()).name == "x"
    assert plugins.owner("alpha") == "alpha"
    with pytest.raises(PluginConflictError) as caught:
        plugins.resolve(parse_ref("shared:x"), {}, Settings())
    for word in ("torchinf-alpha 1.0", "torchinf-beta 1.0", "'shared'"):
        assert word in str(caught.value)
    assert "TORCHINF_DISABLE=alpha or TORCHINF_DISABLE=beta" in caught.value.hint
    with pytest.raises(PluginConflictError):
        plugins.source("shared")


def test_leaving_one_out_settles_a_conflict(site: Site) -> None:
    site.source("alpha", schemes="shared")
    site.source("beta", schemes="shared")
    assert site.plugins(disable=("alpha",)).owner("shared") == "beta"


def test_leaving_a_name_out_is_not_a_duplicate_any_more(site: Site) -> None:
    for name in ("zoo-a", "zoo-b"):
        site.install("zoo", distribution=name)
    assert [s.state for s in site.plugins(disable=("zoo",)).states()] == ["disabled"] * 2


def test_a_disabled_plugin_is_not_imported_and_not_warned_about(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchinf_core.settings import load_settings

    module = site.install("zoo", "raise SystemExit")
    monkeypatch.setenv("TORCHINF_DISABLE", "other,zoo")
    plugins = load_plugins(load_settings())
    [state] = [state for state in plugins.states() if state.name == "zoo"]
    assert state.state == "disabled"
    assert module not in sys.modules
    assert not any("zoo" in line for line in plugins.warnings)
    with pytest.raises(UnknownSourceError, match="'zoo' can't be used: the plugin 'zoo'") as caught:
        plugins.owner("zoo")
    assert "TORCHINF_DISABLE" in caught.value.hint


def test_strict_makes_a_broken_plugin_an_error(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.install("bad", "1 / 0")
    site.source("good")
    monkeypatch.setenv("TORCHINF_STRICT_PLUGINS", "1")
    plugins = load_plugins(Settings())
    for use in (plugins.sources, plugins.states, lambda: plugins.owner("good")):
        with pytest.raises(PluginError, match=r"'bad'.*is broken: ZeroDivisionError"):
            use()
    assert "good" in [info.name for info in load_plugins(Settings(disable=("bad",))).sources()]


def test_strict_counts_a_contested_scheme(site: Site) -> None:
    site.source("alpha", schemes="shared")
    site.source("beta", schemes="shared")
    with pytest.raises(PluginError, match="is in conflict"):
        site.plugins(strict=True).states()


def test_warnings_know_what_the_metadata_tells_before_anything_is_imported(site: Site) -> None:
    site.install("old", group="torchinf.v0")
    module = site.install("bad", "1 / 0")
    plugins = site.plugins()
    assert len(plugins.warnings) == 1
    assert module not in sys.modules
    plugins.states()
    assert len(plugins.warnings) == 2


def test_the_traceback_of_a_broken_plugin_is_in_the_debug_log(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.install("bad", "1 / 0")
    with caplog.at_level("DEBUG", "torchinf"):
        site.plugins().states()
    assert "1 / 0" in caplog.text
    assert all(record.levelname == "DEBUG" for record in caplog.records)


def test_a_plugin_may_be_an_object_of_a_module(site: Site) -> None:
    module = site.install(
        "zoo",
        "class Plugin:\n"
        "    @property\n    def trap(self): raise SystemExit\n"
        "    @hookimpl\n    def sources(self):\n"
        "        return [SourceInfo('zoo', ('zoo',), 'd', ('zoo:x',))]\n"
        "    @hookimpl\n    def resolve(self, ref): return Plan(ref, 'named', ())\n"
        "class Space:\n    plugin = Plugin()\n",
        value="PLACE",
    )
    info = next(site.folder.glob("*.dist-info")) / "entry_points.txt"
    info.write_text(f"[torchinf.v1]\nzoo = {module}:Space.plugin\n")
    assert site.plugins().resolve(parse_ref("zoo:x"), {}, Settings()).name == "named"


def test_a_class_in_place_of_an_object_is_broken_with_its_reason(site: Site) -> None:
    module = site.install("zoo", "class Plugin:\n    @hookimpl\n    def sources(self): ...\n")
    info = next(site.folder.glob("*.dist-info")) / "entry_points.txt"
    info.write_text(f"[torchinf.v1]\nzoo = {module}:Plugin\n")
    assert "'sources' has no parameter 'self'" in site.state("zoo").problem


def test_an_optional_hook_of_a_later_api_is_ignored(site: Site) -> None:
    site.source("zoo", extra="@hookimpl(optionalhook=True)\ndef from_the_future(x): ...\n")
    assert site.state("zoo").state == "ok"
    assert site.state("zoo").hooks == ("resolve", "sources")
