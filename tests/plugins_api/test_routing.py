"""A call reaches the owner of the scheme alone, with other plugins' wrappers around it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from torchinf_core.errors import UsageError
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan, SearchHit

if TYPE_CHECKING:
    from conftest import Site

SETTINGS = Settings()


def plan_for(text: str) -> Plan:
    return Plan(parse_ref(text), "m", ())


def test_only_the_owner_is_asked(site: Site) -> None:
    site.source("alpha", resolve="return Plan(ref, 'from alpha', ())")
    site.source("beta", resolve="raise AssertionError")
    assert site.plugins().resolve(parse_ref("alpha:x"), {}, SETTINGS).name == "from alpha"


def test_an_alias_leads_to_the_same_source(site: Site) -> None:
    site.source("hub", schemes="hub pytorch_hub")
    plugins = site.plugins()
    assert plugins.source("pytorch_hub") == plugins.source("hub")
    assert plugins.owner("pytorch_hub") == "hub"
    ref = ModelRef("pytorch_hub", "x")
    assert plugins.resolve(ref, {}, SETTINGS).ref == ref


def test_a_plugin_of_several_sources_gives_the_right_one(site: Site) -> None:
    site.install(
        "two",
        "@hookimpl\ndef sources():\n"
        "    yield SourceInfo('One', ('one',), 'd', ('one:x',))\n"
        "    yield SourceInfo('Two', ('two',), 'd', ('two:x',), ('opt',))\n"
        "@hookimpl\ndef resolve(ref): return Plan(ref, ref.scheme, ())\n",
    )
    plugins = site.plugins()
    assert plugins.source("two").name == "Two"
    assert [info.name for info in plugins.sources()] == ["One", "Two"]
    assert plugins.resolve(parse_ref("two:x"), {}, SETTINGS).name == "two"


def test_options_arrive_as_given_and_a_plugin_can_not_change_them(site: Site) -> None:
    site.source("zoo", resolve="options['x'] += 1; return Plan(ref, str(options), ())")
    options = {"x": 1}
    assert site.plugins().resolve(parse_ref("zoo:a"), options, SETTINGS).name == "{'x': 2}"
    assert options == {"x": 1}


def test_notes_of_a_plugin_end_up_in_the_plan_without_secrets(site: Site) -> None:
    site.source(
        "zoo",
        resolve="host.note('read https://u:pw@h/x?token=abc'); "
        "return Plan(ref, 'n', (), notes=('first',))",
    )
    plan = site.plugins().resolve(parse_ref("zoo:a"), {}, SETTINGS)
    assert plan.notes == ("first", "read https://***@h/x?token=***")


def test_the_host_is_that_of_the_owner(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.source(
        "zoo",
        resolve="name = ' '.join((host.plugin, host.setting('mirror'), host.log.name)); "
        "return Plan(ref, name, ())",
    )
    monkeypatch.setenv("TORCHINF_ZOO_MIRROR", "http://m")
    plan = site.plugins().resolve(parse_ref("zoo:a"), {}, SETTINGS)
    assert plan.name == "zoo http://m torchinf.plugin.zoo"


# WRAPPERS

AUDIT = """
seen = []
@hookimpl(wrapper=True)
def resolve(ref):
    plan = yield
    seen.append((str(ref), plan.name))
    return plan
"""


def test_a_wrapper_of_another_plugin_sees_every_source(site: Site) -> None:
    import sys

    module = site.install("audit", AUDIT)
    site.source("alpha")
    site.source("beta")
    plugins = site.plugins()
    for text in ("alpha:x", "beta:y"):
        plugins.resolve(parse_ref(text), {}, SETTINGS)
    assert sys.modules[module].seen == [("alpha:x", "x"), ("beta:y", "y")]
    [audit] = [state for state in plugins.states() if state.name == "audit"]
    assert (audit.state, audit.hooks, audit.sources) == ("ok", ("resolve",), ())


def test_the_wrapper_of_a_source_runs_for_other_sources_and_its_resolve_does_not(
    site: Site,
) -> None:
    import sys

    module = site.source(
        "alpha",
        resolve="raise AssertionError",
        extra=AUDIT.replace("wrapper=True", "wrapper=True, specname='resolve'").replace(
            "def resolve", "def audit"
        ),
    )
    site.source("beta")
    site.plugins().resolve(parse_ref("beta:y"), {}, SETTINGS)
    assert sys.modules[module].seen == [("beta:y", "y")]


def test_two_wrappers_in_one_plugin_both_run(site: Site) -> None:
    wrap = (
        "@hookimpl(wrapper=True, specname='resolve')\ndef {0}():\n"
        "    plan = yield\n    return replace(plan, notes=(*plan.notes, '{0}'))\n"
    )
    site.install("both", wrap.format("one") + wrap.format("two"))
    site.source("zoo")
    notes = site.plugins().resolve(parse_ref("zoo:x"), {}, SETTINGS).notes
    assert sorted(notes) == ["one", "two"]


def test_a_wrapper_may_change_the_plan_as_a_mirror_does(site: Site) -> None:
    site.install(
        "mirror",
        "@hookimpl(wrapper=True)\ndef resolve():\n"
        "    plan = yield\n"
        "    files = tuple(replace(f, mirrors=('https://near/' + f.path,)) for f in plan.files)\n"
        "    return replace(plan, files=files)\n",
    )
    site.source("zoo", resolve="return Plan(ref, 'n', (RemoteFile('a', 'https://far/a'),))")
    plan = site.plugins().resolve(parse_ref("zoo:x"), {}, SETTINGS)
    assert plan.files[0].mirrors == ("https://near/a",)


def test_an_old_style_wrapper_works_too(site: Site) -> None:
    site.install(
        "old",
        "@hookimpl(hookwrapper=True)\ndef resolve():\n"
        "    outcome = yield\n"
        "    outcome.force_result(replace(outcome.get_result(), name='forced'))\n",
    )
    site.source("zoo")
    assert site.plugins().resolve(parse_ref("zoo:x"), {}, SETTINGS).name == "forced"


# SEARCH


def searchable(site: Site, body: str) -> None:
    site.install(
        "zoo",
        "@hookimpl\ndef sources():\n"
        "    yield SourceInfo('zoo', ('zoo',), 'd', ('zoo:x',), (), True)\n"
        "@hookimpl\ndef resolve(ref): return Plan(ref, ref.locator, ())\n"
        f"@hookimpl\ndef search(scheme, pattern, limit):\n    {body}\n",
    )


def test_a_search_gives_no_more_than_was_asked_for(site: Site) -> None:
    searchable(site, "yield from (SearchHit(f'{scheme}:{pattern}{n}') for n in range(10**9))")
    assert site.plugins().search("zoo", "p", 2, SETTINGS) == [
        SearchHit("zoo:p0"),
        SearchHit("zoo:p1"),
    ]


def test_a_source_that_can_not_be_searched_says_so(site: Site) -> None:
    site.source("zoo")
    with pytest.raises(UsageError, match="'zoo' can't be searched"):
        site.plugins().search("zoo", "p", 2, SETTINGS)


def test_the_client_of_a_call_is_closed_after_it(site: Site) -> None:
    import sys

    module = site.source(
        "zoo",
        resolve="kept.append(host.http); return Plan(ref, 'n', ())",
        extra="kept = []\n",
    )
    site.plugins().resolve(parse_ref("zoo:x"), {}, SETTINGS)
    [client] = sys.modules[module].kept
    assert client.is_closed
