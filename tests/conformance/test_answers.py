"""What the author of a test says, and what the kit makes of it."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx
import pytest
from tests.conformance.menagerie import FETCH, SOURCE

from torchinf_core.conformance import Conformance, SourceConformance, Verdict, run

Kit = Callable[..., type[Conformance]]


def verdicts(kit: type[Conformance]) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in run(kit)}


def test_a_respond_that_fails_is_no_fault_of_the_plugin(source_kit: Kit) -> None:
    def respond(self: object, request: httpx.Request) -> httpx.Response:
        raise KeyError(request.url.path)

    found = verdicts(source_kit(SOURCE, respond=respond))["resolve_gives_a_plan"]
    assert found.happened == (
        "respond of the test fails for GET https://menagerie.example/index.json: "
        "KeyError: '/index.json'"
    )
    assert found.mend == "mend the test"


def test_a_server_that_is_not_there_may_be_stood_in_for_by_an_error_of_httpx(
    source_kit: Kit,
) -> None:
    def respond(self: object, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectTimeout("nobody", request=request)

    found = verdicts(source_kit(SOURCE, respond=respond))["resolve_gives_a_plan"]
    assert "no connection to menagerie.example: timed out" in found.happened


def test_files_that_can_not_be_stood_in_for_are_not_read_and_the_rest_is_checked(
    source_kit: Kit,
) -> None:
    def respond(self: SourceConformance, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/index.json":
            raise AssertionError(request.url.path)
        return self.server.respond(request)  # type: ignore[attr-defined,no-any-return]

    kit = source_kit(SOURCE, respond=respond, files_need="weights of tomorrow")
    found = verdicts(kit)
    skipped = {check for check, verdict in found.items() if "of tomorrow" in verdict.happened}
    assert skipped == {"urls_bring_the_files", "architecture_fits_the_weights"}
    assert found["architecture_is_cheap"].outcome == "kept"
    assert not [check for check, verdict in found.items() if verdict.outcome == "broken"]


def test_urls_are_not_asked_for_what_fetch_brings(source_kit: Kit) -> None:
    found = verdicts(source_kit(SOURCE + FETCH))["urls_bring_the_files"]
    assert (found.outcome, found.happened) == ("not checked", "fetch brings them")


def test_a_test_may_fill_a_server_before_its_plugin_is_asked(source_kit: Kit) -> None:
    kit = source_kit(SOURCE)()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        kit.setup_method()
        socket.create_connection(listening.getsockname()).close()
        kit.hooks()
        with pytest.raises(ConnectionRefusedError, match="reach no network"):
            socket.create_connection(listening.getsockname())
        kit.teardown_method()
        socket.create_connection(listening.getsockname()).close()


def test_moving_on_may_ask_a_server(source_kit: Kit) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def move(self: SourceConformance) -> None:
            socket.create_connection(listening.getsockname()).close()
            self.server.move()  # type: ignore[attr-defined]

        assert verdicts(source_kit(SOURCE, move=move))["revisions_stay"].outcome == "kept"


def test_what_several_tests_share_is_no_test() -> None:
    class Shared(SourceConformance):
        plugin = None

    class TestOne(Shared):
        plugin = None

    class Other(SourceConformance):
        __test__, plugin = True, None

    assert (Shared.__test__, TestOne.__test__, Other.__test__) == (False, True, True)
