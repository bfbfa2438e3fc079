"""The hooks of runtimes and of what sources tell runtimes: checked, isolated, in pairs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.errors import PluginContractError, UnknownSourceError
from torchinf_core.plugins import Plugins
from torchinf_core.plugins.results import check_candidates, check_claim
from torchinf_core.refs import parse_ref
from torchinf_core.runtimes import Artifact, Candidate, Claim
from torchinf_core.settings import Settings
from torchinf_core.types import Record

if TYPE_CHECKING:
    from conftest import Shelf, Site

HEAD = "from torchinf_core import Architecture, Candidate, Claim, Signature, TensorSpec\n"


@pytest.fixture
def artifact(shelf: Shelf, tmp_path: Path) -> Artifact:
    return Artifact(shelf.record("tiny", {"a": b"1"}, source="zoo"), tmp_path)


def told(site: Site, artifact: Artifact, body: str) -> Any:
    """What the core makes of an ``architecture`` hook with this body."""
    site.source(
        "zoo", extra=f"{HEAD}@hookimpl\ndef architecture(artifact, ref, host):\n    {body}\n"
    )
    return site.plugins().architecture(artifact, parse_ref("zoo:tiny"), Settings())


def test_the_source_of_a_reference_tells_the_architecture(site: Site, artifact: Artifact) -> None:
    found = told(
        site, artifact, "return Architecture(name=f'{artifact.name} {ref.locator}', build=dict)"
    )
    assert found.name == "tiny tiny"


@pytest.mark.parametrize(
    "body",
    [
        "return None",
        "return Architecture(name='x')",
        "return Architecture(name=None, build=dict)",
        "return Architecture(name='x', build='later')",
        "return Architecture(name='x', build=dict, kind='smell')",
        "return Architecture(name='x', build=dict, weights=['a'])",
        "return Architecture(name='x', build=dict, signature=())",
        "return Architecture(name='x', build=dict, signature=Signature(('x',)))",
    ],
)
def test_an_architecture_that_can_not_be_is_refused(
    site: Site, artifact: Artifact, body: str
) -> None:
    with pytest.raises(PluginContractError, match="'zoo' failed in architecture"):
        told(site, artifact, body)


def test_architectures_can_be_wrapped(site: Site, artifact: Artifact) -> None:
    site.install(
        "audit",
        "@hookimpl(wrapper=True)\ndef architecture(artifact):\n"
        "    found = yield\n    return replace(found, name=f'audited {found.name}')\n",
    )
    found = told(site, artifact, "return Architecture(name='x', build=dict)")
    assert found.name == "audited x"


def test_an_unknown_source_tells_nothing(site: Site, artifact: Artifact) -> None:
    assert not site.plugins().implements("zoo", "architecture")
    with pytest.raises(UnknownSourceError):
        site.plugins().architecture(artifact, parse_ref("zoo:tiny"), Settings())


@pytest.mark.parametrize(
    ("body", "answer"), [("return True", True), ("return False", False), ("return None", False)]
)
def test_settings_of_a_source_may_trust(
    site: Site, artifact: Artifact, body: str, answer: bool
) -> None:
    site.source("zoo", extra=f"@hookimpl\ndef trusts(record, host):\n    {body}\n")
    assert site.plugins().trusts(artifact.record, Settings()) is answer


def test_trust_is_neither_guessed_nor_taken_from_a_text(site: Site, artifact: Artifact) -> None:
    assert not site.plugins().trusts(artifact.record, Settings())
    site.source("zoo", extra="@hookimpl\ndef trusts(record):\n    return 'yes'\n")
    with pytest.raises(PluginContractError, match="instead of True or False"):
        site.plugins().trusts(artifact.record, Settings())


RUNTIME = """
@hookimpl
def claim(artifact, device):
    return Claim(100, "cpu", "it can")

@hookimpl
def load(artifact, claim, options, host):
    return (artifact.name, claim.score, options, host.plugin)

@hookimpl
def optimize(artifact):
    yield Candidate(label="smaller", format="zoo")
"""


def runtime(site: Site, code: str = RUNTIME) -> Plugins:
    site.install("runner", HEAD + code)
    return site.plugins()


def test_a_runtime_needs_no_source(site: Site, artifact: Artifact) -> None:
    plugins = runtime(site)
    assert plugins.states()[0].state == "ok"
    assert plugins.implementing("claim") == ("runner",)
    arguments = {"artifact": artifact, "device": "auto"}
    claim = plugins.call_one(
        "runner", "claim", "tiny", arguments, Settings(), lambda made: check_claim(made, "runner")
    )
    assert claim == Claim(100, "cpu", "it can", runtime="runner")
    arguments = {"artifact": artifact, "claim": claim, "options": None}
    loaded = plugins.call_one("runner", "load", "tiny", arguments, Settings(), lambda made: made)
    assert loaded == ("tiny", 100, None, "runner")
    offered = plugins.call_one(
        "runner", "optimize", "tiny", {"artifact": artifact}, Settings(), check_candidates
    )
    assert offered == [Candidate(label="smaller", format="zoo")]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("@hookimpl\ndef claim(artifact): pass\n", "'claim' without 'load'"),
        ("@hookimpl\ndef load(artifact): pass\n", "'load' without 'claim'"),
        ("@hookimpl\ndef optimize(artifact): pass\n", "'optimize' without 'load'"),
        ("@hookimpl\ndef architecture(artifact): pass\n", "'architecture' without 'sources'"),
        ("@hookimpl(wrapper=True)\ndef load(artifact):\n    yield\n", "'load' can't be wrapped"),
        ("@hookimpl\ndef claim(gpu): pass\n", "no parameter 'gpu'"),
    ],
)
def test_half_a_runtime_is_refused(site: Site, code: str, message: str) -> None:
    runtime(site, code)
    assert message in site.state("runner").problem


@pytest.mark.parametrize(
    "claim",
    [
        None,
        "best",
        Claim(True, "cpu", "x"),
        Claim(1001, "cpu", "x"),
        Claim(-1, "cpu", "x"),
        Claim(1, "cpu", ""),
        Claim(1, None, "x"),  # type: ignore[arg-type]
    ],
)
def test_bids_that_can_not_be_are_refused(claim: object) -> None:
    with pytest.raises(PluginContractError):
        check_claim(claim, "runner")


@pytest.mark.parametrize(
    "offered",
    [
        "text",
        [None],
        [Candidate(label="a", format="x"), Candidate(label="a", format="y")],
        [Candidate(label=1, format="x")],  # type: ignore[arg-type]
        [Candidate(label="a", format="x", distributions=["torch"])],  # type: ignore[arg-type]
    ],
)
def test_candidates_that_can_not_be_are_refused(offered: object) -> None:
    with pytest.raises(PluginContractError):
        check_candidates(offered)


def test_no_candidates_are_none() -> None:
    assert check_candidates(None) == []


def test_a_record_does_not_raise_its_own_trust(site: Site, shelf: Shelf) -> None:
    site.source("zoo")
    record: Record = shelf.record("x", {}, source="zoo", metadata={"trusted": True})
    assert not site.plugins().trusts(record, Settings())
