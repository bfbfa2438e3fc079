"""What a plugin raises or returns wrongly becomes an error that names plugin and hook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core.errors import (
    AccessDeniedError,
    DiskSpaceError,
    ModelNotFoundError,
    NetworkError,
    OfflineError,
    PluginContractError,
    PluginError,
    TorchinfError,
)
from torchinf_core.refs import parse_ref
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub
from torchinf_core.types import Plan

if TYPE_CHECKING:
    from conftest import Site

SETTINGS = Settings(retries=1)
REF = parse_ref("zoo:tiny@1")


def untouched() -> None:
    raise AssertionError("the core was to transfer")


def failing(site: Site, body: str, settings: Settings = SETTINGS) -> TorchinfError:
    """The error of a plugin whose ``resolve`` has this body."""
    site.source("zoo", resolve=body)
    with pytest.raises(TorchinfError) as caught:
        site.plugins().resolve(REF, {}, settings)
    return caught.value


@pytest.mark.parametrize(
    ("raised", "shown"),
    [
        ("raise KeyError('x')", "KeyError: 'x'"),
        ("raise OSError(28, 'No space left on device')", "OSError"),
        ("raise SystemExit(2)", "SystemExit: 2"),
        ("raise StopIteration('s')", "StopIteration: s"),
        ("raise AssertionError", "AssertionError"),
        ("raise RecursionError('deep')", "RecursionError: deep"),
        ("import no_such_package", "No module named 'no_such_package'"),
    ],
)
def test_a_foreign_exception_names_plugin_hook_and_reference(
    site: Site, raised: str, shown: str
) -> None:
    error = failing(site, raised)
    assert type(error) is PluginError
    assert error.exit_code == 9
    assert str(error).startswith("the plugin 'zoo' failed in resolve for zoo:tiny@1: ")
    assert shown in str(error)
    assert "torchinf-zoo" in error.hint
    assert error.__cause__ is not None
    assert type(error.__cause__).__name__ in shown or "package" in shown


def test_an_error_of_torchinf_passes_as_it_is(site: Site) -> None:
    error = failing(site, "raise ModelNotFoundError('zoo has no tiny', hint='torchinf search zoo')")
    assert type(error) is ModelNotFoundError
    assert (str(error), error.hint) == ("zoo has no tiny", "torchinf search zoo")


def test_an_interrupt_passes(site: Site) -> None:
    site.source("zoo", resolve="raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        site.plugins().resolve(REF, {}, SETTINGS)


@pytest.mark.parametrize(
    ("status", "kind"),
    [(404, ModelNotFoundError), (401, AccessDeniedError), (403, AccessDeniedError)],
)
def test_an_http_status_is_translated(site: Site, status: int, kind: type[TorchinfError]) -> None:
    from torchinf_core.testing import faults

    with Hub() as hub:
        url = hub.add("/index.json", b"{}")
        hub.fail("/index.json", faults.status(status).always())
        error = failing(site, f"host.http.get({url!r}).raise_for_status()")
    assert type(error) is kind
    assert "/index.json" in str(error)
    assert type(error.__cause__).__name__ == "HTTPStatusError"


def test_a_refused_connection_is_a_network_error(site: Site) -> None:
    error = failing(site, "host.http.get('http://127.0.0.1:1/x')")
    assert type(error) is NetworkError
    assert "127.0.0.1:1" in str(error)


def test_a_malformed_url_is_no_fault_of_the_plugin_system(site: Site) -> None:
    error = failing(site, "host.http.get('http://host:nope/')")
    assert type(error).__name__ == "RefError"


def test_offline_a_plugin_gets_no_connection(site: Site) -> None:
    error = failing(
        site, "assert host.offline; host.http.get('http://127.0.0.1:1/x')", Settings(offline=True)
    )
    assert type(error) is OfflineError


def test_secrets_do_not_get_into_messages(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINF_TOKEN_HOST", "env-token")
    settings = Settings(tokens={"h": "set-token"})
    text = "no https://me:pw@h/x?sig=abcdef with set-token or env-token"
    for raised in (f"raise ValueError({text!r})", f"raise ModelNotFoundError('m', hint={text!r})"):
        error = failing(site, raised, settings)
        for secret in ("pw@", "abcdef", "set-token", "env-token"):
            assert secret not in str(error) + error.hint
        assert "https://***@h/x?sig=***" in str(error) + error.hint


def test_a_full_disk_while_a_plugin_writes_is_not_its_fault(site: Site, tmp_path: Path) -> None:
    site.source(
        "zoo", extra="@hookimpl\ndef fetch(into): raise OSError(28, 'No space', str(into))\n"
    )
    with pytest.raises(DiskSpaceError, match=str(tmp_path)):
        site.plugins().fetch(Plan(REF, "m", ()), tmp_path, SETTINGS, untouched)


def test_a_failing_wrapper_is_blamed_itself(site: Site) -> None:
    site.source("zoo")
    site.install("audit", "@hookimpl(wrapper=True)\ndef resolve():\n    yield\n    {}['lost']\n")
    with pytest.raises(PluginError, match="the plugin 'audit' failed in resolve") as caught:
        site.plugins().resolve(REF, {}, SETTINGS)
    assert "TORCHINF_DISABLE=audit" in caught.value.hint


def test_the_owner_is_blamed_for_its_failure_inside_a_wrapper(site: Site) -> None:
    site.source("zoo", resolve="raise ValueError('mine')")
    site.install("audit", "@hookimpl(wrapper=True)\ndef resolve():\n    return (yield)\n")
    with pytest.raises(PluginError, match=r"the plugin 'zoo' failed .*wrapped by audit.*: mine"):
        site.plugins().resolve(REF, {}, SETTINGS)


@pytest.mark.parametrize(
    ("hook", "signature"),
    [("fetch", "plan"), ("search", "pattern"), ("resolve", "ref")],
)
def test_each_routed_hook_is_named_when_it_raises(
    site: Site, tmp_path: Path, hook: str, signature: str
) -> None:
    bodies = {"resolve": "return Plan(ref, 'm', ())", "fetch": "return True", "search": "return []"}
    arguments = {"resolve": "ref", "fetch": "plan", "search": "pattern"}
    bodies[hook] = "raise ValueError('boom')"
    site.install(
        "zoo",
        "@hookimpl\ndef sources():\n"
        "    yield SourceInfo('zoo', ('zoo',), 'd', ('zoo:x',), (), True)\n"
        + "".join(
            f"@hookimpl\ndef {name}({arguments[name]}): {body}\n" for name, body in bodies.items()
        ),
    )
    plugins = site.plugins()
    calls = {
        "resolve": lambda: plugins.resolve(REF, {}, SETTINGS),
        "fetch": lambda: plugins.fetch(Plan(REF, "m", ()), tmp_path, SETTINGS, untouched),
        "search": lambda: plugins.search("zoo", "p", 3, SETTINGS),
    }
    for name, call in calls.items():
        if name == hook:
            with pytest.raises(PluginError, match=f"'zoo' failed in {hook} for .*: boom"):
                call()
        else:
            call()


# WRONG RESULTS


def with_file(fields: str) -> str:
    return f"return Plan(ref, 'n', (RemoteFile('a', 'https://h/a'{fields}),))"


WRONG = {
    "nothing": ("return None", "it returned None instead of a Plan"),
    "a dict": ("return {}", "a value of type dict instead of a Plan"),
    "a generator": ("yield Plan(ref, 'n', ())", "a value of type generator"),
    "another scheme": (
        "return Plan(replace(ref, scheme='hf'), 'n', ())",
        "a plan for hf:tiny@1, not for a zoo: reference",
    ),
    "text for a reference": (
        "return Plan('zoo:x', 'n', ())",
        "a Plan whose ref is a value of type str",
    ),
    "no name": ("return Plan(ref, '', ())", "without a name"),
    "a name that is no text": (
        "return Plan(ref, 7, ())",
        "a Plan whose name is a value of type int",
    ),
    "a list of files": ("return Plan(ref, 'n', [])", "files is no tuple of RemoteFile"),
    "a dict for a file": ("return Plan(ref, 'n', ({},))", "files is no tuple of RemoteFile"),
    "a revision that is no text": (
        "return Plan(ref, 'n', (), 7)",
        "revision is a value of type int",
    ),
    "a trust that is a number": (
        "return Plan(ref, 'n', (), trust=0)",
        "trust is a value of type int",
    ),
    "notes as a text": ("return Plan(ref, 'n', (), notes='no')", "notes is no tuple of str"),
    "tags of numbers": ("return Plan(ref, 'n', (), tags=(1,))", "tags is no tuple of str"),
    "metadata as a list": (
        "return Plan(ref, 'n', (), metadata=[])",
        "metadata is a value of type list",
    ),
    "metadata that is not JSON": (
        "return Plan(ref, 'n', (), metadata={'x': {1}})",
        "whose metadata is not JSON",
    ),
    "metadata that is not a number": (
        "return Plan(ref, 'n', (), metadata={'x': float('nan')})",
        "whose metadata is not JSON",
    ),
    "a size that is a text": (
        with_file(', size="7"'),
        "size is a value of type str",
    ),
    "a size that is true": (
        with_file(", size=True"),
        "size is a value of type bool",
    ),
    "a digest in bytes": (
        with_file(', sha256=b"x"'),
        "sha256 is a value of type bytes",
    ),
    "mirrors as a text": (
        with_file(', mirrors="x"'),
        "mirrors is no tuple of str",
    ),
    "unpack as a number": (
        with_file(", unpack=1"),
        "unpack is no bool",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_result_of_a_wrong_type_breaks_the_contract(site: Site, case: str) -> None:
    body, shown = WRONG[case]
    error = failing(site, body)
    assert type(error) is PluginContractError
    assert str(error).startswith("the plugin 'zoo' failed in resolve for zoo:tiny@1: it returned")
    assert shown in str(error)


@pytest.mark.parametrize("answer", ["None", "1", "'yes'"])
def test_fetch_must_say_true_or_false(site: Site, tmp_path: Path, answer: str) -> None:
    site.source("zoo", extra=f"@hookimpl\ndef fetch(): return {answer}\n")
    with pytest.raises(PluginContractError, match="instead of True or False"):
        site.plugins().fetch(Plan(REF, "m", ()), tmp_path, SETTINGS, untouched)


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("return None", "None instead of an iterable"),
        ("return 'zoo:x'", "a value of type str instead of an iterable"),
        ("yield 'zoo:x'", "a value of type str among the SearchHit"),
        ("yield SearchHit(None)", "a SearchHit whose ref is None"),
        ("yield SearchHit('zoo:x', size='big')", "a SearchHit whose size is a value of type str"),
        ("yield SearchHit('zoo:x', task=3)", "a SearchHit whose task is a value of type int"),
    ],
)
def test_search_must_give_hits(site: Site, body: str, shown: str) -> None:
    site.install(
        "zoo",
        "@hookimpl\ndef sources():\n"
        "    yield SourceInfo('zoo', ('zoo',), 'd', ('zoo:x',), (), True)\n"
        "@hookimpl\ndef resolve(ref): return Plan(ref, 'm', ())\n"
        f"@hookimpl\ndef search(pattern):\n    {body}\n",
    )
    with pytest.raises(PluginContractError, match=f"failed in search for 'p': .*{shown}"):
        site.plugins().search("zoo", "p", 3, SETTINGS)


def test_a_breach_is_named_once_where_one_hook_leads_to_another(site: Site) -> None:
    site.source("inner", resolve="return 'no plan'")
    site.source(
        "outer",
        resolve="from torchinf_core.plugins import load_plugins; "
        "return load_plugins(host.settings).resolve(replace(ref, scheme='inner'), {}, "
        "host.settings)",
    )
    with pytest.raises(PluginContractError) as caught:
        site.plugins().resolve(parse_ref("outer:x"), {}, SETTINGS)
    assert str(caught.value).startswith("the plugin 'inner' failed in resolve for inner:")
    assert "TORCHINF_DISABLE=inner" in caught.value.hint
