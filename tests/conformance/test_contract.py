"""Sentences and checks belong together, and no check can be left out in silence."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Callable

import httpx
import pytest
from tests.conformance.menagerie import SOURCE, WRAPPERS

from torchinf_core.conformance import (
    Conformance,
    ContractBroken,
    RuntimeConformance,
    SourceConformance,
    run,
    sentences,
)
from torchinf_core.hookspecs import Hooks, hook_names

Kit = Callable[..., type[Conformance]]
KITS = (Conformance, SourceConformance, RuntimeConformance)


def checks(kit: type[Conformance]) -> set[str]:
    return {name.removeprefix("test_") for name in dir(kit) if name.startswith("test_")}


def test_each_sentence_names_a_check_and_each_check_has_a_sentence() -> None:
    assert set().union(*map(checks, KITS)) == set(sentences())


def test_each_hook_has_a_contract_and_no_check_is_named_twice() -> None:
    named = [inspect.getdoc(Hooks) or ""]
    named += [inspect.getdoc(getattr(Hooks, hook)) or "" for hook in hook_names()]
    for docstring in named:
        assert "\n* " in docstring
    assert sum(text.count("\n* ") for text in named) == len(sentences())


def test_each_check_says_how_to_mend_a_plugin() -> None:
    for kit in KITS:
        for name in checks(kit):
            assert inspect.getdoc(getattr(kit, f"test_{name}")), name


def test_a_check_can_not_be_replaced() -> None:
    with pytest.raises(TypeError, match="test_paths_are_safe is a check of the contract"):

        class TestZoo(SourceConformance):
            def test_paths_are_safe(self) -> None:
                pass


def test_a_check_can_not_be_taken_away() -> None:
    with pytest.raises(TypeError, match="test_paths_are_safe is a check of the contract"):

        class TestZoo(SourceConformance):
            test_paths_are_safe = None  # type: ignore[assignment]


def test_a_check_that_can_not_be_kept_says_why_it_is_expected_to_fail() -> None:
    with pytest.raises(TypeError):

        class TestSilent(SourceConformance):
            @pytest.mark.xfail
            def test_paths_are_safe(self) -> None:
                super().test_paths_are_safe()

    class TestZoo(SourceConformance):
        plugin = None

        @pytest.mark.xfail(reason="the server has such paths since 1999")
        def test_paths_are_safe(self) -> None:
            super().test_paths_are_safe()

    assert TestZoo.__test__
    assert not SourceConformance.__test__


def test_a_broken_sentence_is_told_with_what_happened_and_how_to_mend_it(source_kit: Kit) -> None:
    kit = source_kit(SOURCE.replace("RemoteFile(path, url", 'RemoteFile("../" + path, url'))()
    kit.setup_method()
    try:
        with pytest.raises(ContractBroken) as caught:
            kit.test_paths_are_safe()  # type: ignore[attr-defined]
    finally:
        kit.teardown_method()
    text = str(caught.value)
    assert "'../cat.safetensors'" in text
    assert "the contract of resolve says: Paths are relative" in text
    assert "to mend it: Give each file a relative path" in text
    assert "check: paths_are_safe" in text


def test_no_check_reaches_a_network(source_kit: Kit) -> None:
    """Whatever a plugin does, and whatever comes of it."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    get = '    index = host.http.get(f"{HOST}/index.json").raise_for_status()\n'
    tries = f"""
    import socket
    try:
        socket.create_connection({address!r}, timeout=5).close()
    except OSError:
        pass
"""
    kit = source_kit(SOURCE.replace(get, tries + get))
    broken = [verdict.check for verdict in run(kit) if verdict.outcome == "broken"]
    assert broken == ["resolve_only_asks"]
    listening.settimeout(0)
    with listening, pytest.raises(BlockingIOError):
        listening.accept()


def test_answers_come_through_the_client_that_plugins_get(source_kit: Kit) -> None:
    seen = []

    def respond(self: object, request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["user-agent"])
        return httpx.Response(404)

    kit = source_kit(SOURCE, respond=respond)
    list(run(kit))
    assert seen
    assert all(agent.startswith("torchinf/") for agent in seen)


def test_a_question_that_is_mistyped_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="god_ref is no question; did you mean 'good_ref'"):

        class TestZoo(SourceConformance):
            plugin = None
            god_ref = "zoo:tiny"


def test_a_test_that_names_no_plugin_is_a_mistake() -> None:
    with pytest.raises(TypeError, match="does not say which plugin"):

        class TestZoo(SourceConformance):
            good_ref = "zoo:tiny"


@pytest.mark.parametrize(
    ("answers", "check", "message"),
    [
        ({"missing_ref": ""}, "missing_is_not_found", "missing_ref, a reference of a model"),
        ({"good_ref": "zoo:cat"}, "resolve_gives_a_plan", "which is no reference of menagerie:"),
        ({"pattern": ""}, "search_goes_by_the_pattern", "pattern, that search finds"),
    ],
    ids=str,
)
def test_a_question_without_a_good_answer_is_a_mistake(
    answers: dict[str, str], check: str, message: str, source_kit: Kit
) -> None:
    kit = source_kit(SOURCE, __test__=True, **answers)
    verdict = next(verdict for verdict in run(kit) if verdict.check == check)
    assert verdict.outcome == "broken"
    assert message in verdict.happened


@pytest.mark.parametrize(
    ("question", "answer", "message"),
    [("plugin", "torchinf_zoo", "is a text; it is the module"), ("settings", "index", "is a dict")],
)
def test_an_answer_of_the_wrong_type_is_a_mistake(question: str, answer: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        type("TestZoo", (SourceConformance,), {question: answer})


def test_what_a_plugin_raises_is_told_with_its_line(source_kit: Kit) -> None:
    text = SOURCE.replace("    index = host.http", "    1 / 0\n    index = host.http", 1)
    kit = source_kit(text)
    line = text.split("1 / 0")[0].count("\n") + 1
    broken = {v.check: v.happened for v in run(kit) if v.outcome == "broken"}
    assert f"torchinf_menagerie0.py, line {line})" in broken["resolve_gives_a_plan"]


@pytest.mark.parametrize(
    ("old", "new", "mend"),
    [
        ("@hookimpl\ndef token(", "@hookimpl(wrapper=True)\ndef token(", "result = yield"),
        ("@hookimpl\ndef resolve", "def resolve", "above both functions"),
        ("@hookimpl\ndef token", "@hookimpl\nasync def token", "no `async def`"),
    ],
)
def test_hooks_that_can_not_be_called_are_mended_each_in_its_way(
    old: str, new: str, mend: str, source_kit: Kit
) -> None:
    kit = source_kit(SOURCE.replace(old, new))
    verdict = next(v for v in run(kit) if v.check == "hooks_are_well_formed")
    assert verdict.outcome == "broken"
    assert mend in verdict.mend


# WRAPPERS


def test_a_wrapper_may_refuse_what_its_settings_forbid(wrapper_kit: Kit) -> None:
    kit = wrapper_kit(WRAPPERS.replace("        return plan\n", "        pass\n").replace(
        "    moved = ", "    raise AccessDeniedError('not allowed')\n    moved = "
    ))  # fmt: skip
    assert [v.happened for v in run(kit) if v.outcome == "broken"] == []


def test_a_wrapper_that_asks_for_settings_is_tried_with_some(wrapper_kit: Kit) -> None:
    kit = wrapper_kit(WRAPPERS)
    kit.settings = {}
    found = {v.check: v.outcome for v in run(kit)}
    assert found["wrapped_plans_keep_their_digests"] == "not checked"
    assert found["wrapped_fetches_tell_what_was_done"] == "not checked"
    kit.__test__ = True
    broken = {v.check: v.happened for v in run(kit) if v.outcome == "broken"}
    assert sorted(broken) == [
        "wrapped_fetches_tell_what_was_done",
        "wrapped_plans_keep_their_digests",
    ]
    assert "has to answer: settings" in broken["wrapped_fetches_tell_what_was_done"]


def test_a_wrapper_without_its_settings_is_never_said_to_have_them(wrapper_kit: Kit) -> None:
    kit = wrapper_kit(WRAPPERS.replace("return plan\n", "return None\n", 1))
    kit.settings = {}
    [broken] = [v for v in run(kit) if v.outcome == "broken"]
    assert broken.happened == "around a good plan, without a setting, it gives None"
