"""A bad plugin costs its own models and a line, never a command of the core."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Machine

_spec = importlib.util.spec_from_file_location(
    "hostile_corpus", Path(__file__).parent / "corpus.py"
)
assert _spec
assert _spec.loader
corpus = sys.modules["hostile_corpus"] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(corpus)

ALL = {**corpus.UNUSABLE, **corpus.MISCHIEF, **corpus.IN_USE}


def install(machine: Machine, case: str) -> Any:
    bad = ALL[case]
    machine.install("bad", bad.code, value=bad.value, group=bad.group)
    return bad


def state_of(machine: Machine, name: str = "bad") -> dict[str, Any]:
    done = machine.run("plugins", "--json")
    assert done.returncode == 0, done.stderr
    states: list[dict[str, Any]] = json.loads(done.stdout)
    [state] = [state for state in states if state["name"] == name]
    return state


def problem_in_help(machine: Machine) -> list[str]:
    """What the help says of plugins that are not well."""
    done = machine.run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    return [line for line in done.stdout.splitlines() if "torchinf plugins shows" in line]


def check_core(machine: Machine) -> str:
    """The commands of the core do their work; returns what a download said on stderr."""
    listed = machine.run("list", "--json")
    assert (listed.returncode, json.loads(listed.stdout)["models"]) == (0, [])
    helped = machine.run("--help")
    assert helped.returncode == 0
    assert helped.stdout.startswith("Usage: torchinf COMMAND")
    assert "List the stored models." in helped.stdout
    done = machine.run("download", str(machine.good))
    assert done.returncode == 0, done.stderr
    [path] = done.stdout.splitlines()
    assert Path(path).read_bytes() == b"weights"
    return done.stderr


@pytest.mark.parametrize("case", corpus.UNUSABLE)
def test_an_unusable_plugin_is_named_once_and_the_core_works(machine: Machine, case: str) -> None:
    bad = install(machine, case)
    said = check_core(machine)
    assert said.count("plugin 'bad' (torchinf-bad 1.0) is ") == 1, said
    assert bad.says in said
    state = state_of(machine)
    assert state["state"] == bad.state
    assert bad.says in state["problem"]
    assert "\n" not in state["problem"]
    assert "torchinf-bad" in state["hint"]
    used = machine.run("download", "bad:x")
    assert (used.returncode, used.stdout) == (bad.exit_code, "")
    assert "'bad'" in used.stderr
    assert bad.says in used.stderr
    assert "hint: " in used.stderr


@pytest.mark.parametrize("case", corpus.MISCHIEF)
def test_mischief_of_a_plugin_does_not_reach_the_core(machine: Machine, case: str) -> None:
    bad = install(machine, case)
    check_core(machine)
    assert state_of(machine)["state"] == bad.state
    used = machine.run("download", "bad:x")
    assert used.returncode == bad.exit_code, used.stderr
    assert used.stdout == ""
    assert "error: " in used.stderr


@pytest.mark.parametrize("case", corpus.IN_USE)
def test_a_plugin_that_fails_in_use_is_named_and_the_core_works(
    machine: Machine, case: str
) -> None:
    bad = install(machine, case)
    assert "'bad'" not in check_core(machine)
    assert state_of(machine)["state"] == bad.state
    used = machine.run("download", "bad:x")
    assert used.returncode == bad.exit_code, used.stderr
    assert used.stdout == ""
    assert bad.says in used.stderr
    assert "error: " in used.stderr


@pytest.mark.parametrize("case", ["import error", "exit at import", "other API version"])
def test_the_help_says_once_that_a_plugin_is_not_well(machine: Machine, case: str) -> None:
    install(machine, case)
    said = "A plugin has a problem (bad): torchinf plugins shows it, and the mend."
    assert problem_in_help(machine) == [said]
    left_out = machine.run("--help", TORCHINF_DISABLE="bad")
    assert "problem" not in left_out.stdout


def test_the_help_counts_those_that_are_not_well_and_names_a_few(machine: Machine) -> None:
    assert problem_in_help(machine) == []
    for name in "abcd":
        machine.install(f"bad-{name}", "x = = 1")
    machine.install("fine", corpus.GOOD)
    said = "4 plugins have a problem (bad-a, bad-b, bad-c, …): torchinf plugins shows it"
    assert problem_in_help(machine) == [f"{said}, and the mend."]


def test_the_help_says_why_no_plugin_is_in_it(machine: Machine) -> None:
    machine.install("bad", "x = = 1")
    done = machine.run("--help", TORCHINF_STRICT_PLUGINS="1")
    assert done.returncode == 0
    assert "The commands of plugins are missing here: TORCHINF_STRICT_PLUGINS" in done.stdout


def check_named(used: subprocess.CompletedProcess[str], said: str) -> None:
    """The command failed because of the plugin, and says which one it was and the mend."""
    assert (used.returncode, used.stdout) == (9, ""), used.stderr
    assert "error: the plugin 'bad' of torchinf-bad 1.0 is at fault: " in used.stderr
    assert said in used.stderr
    assert "hint: update torchinf-bad, or leave it out with TORCHINF_DISABLE=bad" in used.stderr


@pytest.mark.parametrize("case", corpus.PLANS)
def test_a_plan_that_no_source_may_make_names_its_plugin(machine: Machine, case: str) -> None:
    code, said = corpus.PLANS[case]
    machine.install("bad", code)
    check_named(machine.run("download", "bad:x"), said)


@pytest.mark.parametrize("case", corpus.WRITTEN)
def test_a_fetch_that_writes_something_else_names_its_plugin(machine: Machine, case: str) -> None:
    body, said = corpus.WRITTEN[case]
    machine.install("bad", corpus.with_hook("fetch(plan, into)", f"{body}; return True"))
    check_named(machine.run("download", "bad:x"), said)


def test_a_plan_that_a_wrapper_spoils_names_the_wrapper_too(machine: Machine) -> None:
    machine.install("good", corpus.GOOD.replace("'bad'", "'good'"))
    machine.install("bad", corpus.SPOILING)
    used = machine.run("download", "good:x")
    assert (used.returncode, used.stdout) == (9, "")
    assert "the plugin 'good' of torchinf-good 1.0 (wrapped by bad) is at fault" in used.stderr
    assert "TORCHINF_DISABLE=good, or what wraps it with TORCHINF_DISABLE=bad" in used.stderr


def test_a_wrapper_that_fails_after_the_transfer_is_not_got_around_by_asking_again(
    machine: Machine,
) -> None:
    machine.install(
        "bad",
        "@hookimpl(wrapper=True)\ndef fetch():\n    done = yield\n"
        "    raise OSError('the log is full')\n    return done\n",
    )
    with Hub() as hub:
        url = hub.add("/w.bin", b"weights")
        machine.install("good", corpus.published(url, hashlib.sha256(b"weights").hexdigest()))
        for _ in range(2):
            used = machine.run("download", "good:x")
            assert (used.returncode, used.stdout) == (9, "")
            assert "the plugin 'bad' failed in fetch" in used.stderr
        assert machine.run("download", "good:x", TORCHINF_DISABLE="bad").returncode == 0
        assert hub.bytes_sent("/w.bin") == len(b"weights")


@pytest.mark.parametrize("body", ["yield; return None", "plan = yield; yield; return plan"])
def test_a_wrapper_that_gives_no_plan_is_named(machine: Machine, body: str) -> None:
    machine.install("good", corpus.GOOD.replace("'bad'", "'good'"))
    machine.install("bad", f"@hookimpl(wrapper=True)\ndef resolve():\n    {body}\n")
    used = machine.run("download", "good:x")
    assert (used.returncode, used.stdout) == (9, "")
    assert "TORCHINF_DISABLE=good, or what wraps it with TORCHINF_DISABLE=bad" in used.stderr


def test_two_plugins_of_one_name_are_left_out_and_both_named(machine: Machine) -> None:
    machine.install("bad", corpus.GOOD, distribution="torchinf-bad")
    machine.install("bad", corpus.GOOD, distribution="torchinf-worse")
    said = check_core(machine)
    assert "torchinf-bad and torchinf-worse both bring a plugin of that name" in said
    states = json.loads(machine.run("plugins", "--json").stdout)
    assert [s["state"] for s in states if s["name"] == "bad"] == ["duplicate", "duplicate"]
    used = machine.run("download", "bad:x")
    assert (used.returncode, used.stdout) == (9, "")
    assert "pip uninstall torchinf-bad or torchinf-worse" in used.stderr


def test_a_contested_scheme_is_an_error_for_those_who_use_it(machine: Machine) -> None:
    machine.install("bad", corpus.GOOD)
    machine.install("other", corpus.GOOD)
    check_core(machine)
    assert state_of(machine)["state"] == "conflict"
    used = machine.run("download", "bad:x")
    assert (used.returncode, used.stdout) == (9, "")
    assert "'bad' of torchinf-bad 1.0 and 'other' of torchinf-other 1.0" in used.stderr
    assert "TORCHINF_DISABLE=bad or TORCHINF_DISABLE=other" in used.stderr


def test_a_plugin_that_claims_a_first_party_scheme_is_left_out_by_its_name(
    machine: Machine,
) -> None:
    machine.install("bad", corpus.GOOD.replace("('bad',)", "('bad', 'file')"))
    refused = machine.run("download", str(machine.good))
    assert (refused.returncode, refused.stdout) == (9, "")
    assert "TORCHINF_DISABLE=bad" in refused.stderr
    done = machine.run("download", str(machine.good), TORCHINF_DISABLE="bad")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("case", ["syntax error", "prints at import", "empties the environment"])
def test_the_trace_names_each_plugin_with_what_its_import_took(machine: Machine, case: str) -> None:
    install(machine, case)
    done = machine.run("download", str(machine.good), TORCHINF_TRACE="1")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert re.search(r"^torchinf: import bad \d+\.\d ms -> \S", done.stderr, re.MULTILINE)


def test_the_trace_shows_owner_duration_and_result_of_a_hook(machine: Machine) -> None:
    done = machine.run("download", str(machine.good), TORCHINF_TRACE="1")
    line = r"^torchinf: resolve url \d+\.\d ms -> Plan 'good', 7 bytes in 1 files"
    assert re.search(line, done.stderr, re.MULTILINE), done.stderr


RUNTIME_RAISES = """
@hookimpl
def claim(artifact): {claim}
@hookimpl
def load(artifact, claim): {load}
"""


@pytest.mark.parametrize("body", ["1 / 0", "return 'x'", "raise SystemExit(0)"])
def test_a_runtime_that_fails_to_bid_is_named_and_the_others_are_asked(
    machine: Machine, body: str
) -> None:
    machine.install("bad", RUNTIME_RAISES.format(claim=body, load="pass"))
    check_core(machine)
    used = machine.run("run", "good", "x")
    assert (used.returncode, used.stdout) == (8, "")
    assert "the plugin 'bad' failed in claim" in used.stderr
    assert "; torch: " in used.stderr
    assert "TORCHINF_DISABLE=bad" in used.stderr


def test_a_search_that_raises_names_its_plugin(machine: Machine) -> None:
    machine.install("bad", corpus.GOOD.replace("return ()", "1 / 0"))
    used = machine.run("search", "bad", "x")
    assert used.returncode == 9, used.stderr
    assert "the plugin 'bad' failed in search" in used.stderr


@pytest.mark.parametrize("body", ["1 / 0", "raise SystemExit(0)"])
def test_commands_that_raise_cost_their_plugin_its_commands(machine: Machine, body: str) -> None:
    machine.install("bad", f"@hookimpl\ndef commands(app): {body}\n")
    check_core(machine)
    used = machine.run("bad", "greet")
    assert (used.returncode, used.stdout) == (9, "")
    assert "the plugin 'bad' failed in commands" in used.stderr
    assert "TORCHINF_DISABLE=bad" in used.stderr
    state = state_of(machine)
    assert state["state"] == "limited"
    assert "the plugin 'bad' failed in commands" in state["problem"]
    assert "TORCHINF_DISABLE=bad" in state["hint"]
    shown = machine.run("plugins")
    assert re.search(r"^bad +limited ", shown.stdout, re.MULTILINE)
    assert "bad: the plugin 'bad' failed in commands" in shown.stderr
    assert "hint: bad: update torchinf-bad" in shown.stderr
    assert "is limited: the plugin 'bad' failed in commands" in machine.run("doctor").stdout


def test_a_plugin_named_like_a_core_command_is_told_that_its_commands_are_left_out(
    machine: Machine,
) -> None:
    machine.install("list", "@hookimpl\ndef commands(app): app.command('x')(lambda: None)\n")
    check_core(machine)
    state = state_of(machine, "list")
    assert state["state"] == "limited"
    assert "torchinf has a command of that name" in state["problem"]
    assert "another name" in state["hint"]


def test_a_source_whose_commands_fail_serves_its_models_all_the_same(machine: Machine) -> None:
    machine.install("bad", corpus.GOOD + "@hookimpl\ndef commands(app): 1 / 0\n")
    assert state_of(machine)["state"] == "limited"
    used = machine.run("search", "bad", "x")
    assert used.returncode == 0, used.stderr


@pytest.mark.parametrize("body", ["1 / 0", "return 'x'", "raise SystemExit(0)"])
def test_a_runtime_that_fails_to_load_is_named(machine: Machine, body: str) -> None:
    bid = "from torchinf_core import Claim; return Claim(100, 'cpu', 'mine')"
    machine.install("bad", RUNTIME_RAISES.format(claim=bid, load=body))
    check_core(machine)
    used = machine.run("run", "good", "x")
    assert (used.returncode, used.stdout) == (9, "")
    assert "the plugin 'bad' failed in load" in used.stderr


@pytest.fixture
def toy(machine: Machine) -> Machine:
    """A machine with a model that can be run, where the plugins of the case are the only ones."""
    np = pytest.importorskip("numpy")
    machine.install("toy", corpus.TOY)
    np.save(machine.home / "x.npy", np.ones((1, 1), np.float32))
    return machine


def named(used: subprocess.CompletedProcess[str], hook: str, said: str) -> None:
    """The command failed because of a hook of the plugin, and says so."""
    assert (used.returncode, used.stdout) == (9, ""), used.stderr
    assert f"the plugin 'bad' failed in {hook} for " in used.stderr
    assert said in used.stderr
    assert "TORCHINF_DISABLE=bad" in used.stderr


@pytest.mark.parametrize("case", corpus.ALWAYS)
def test_a_claim_that_fails_is_explained_and_another_runtime_predicts(
    toy: Machine, case: str
) -> None:
    body, said = corpus.ALWAYS[case]
    toy.install("bad", RUNTIME_RAISES.format(claim=body, load="pass"))
    used = toy.run("run", "toy:x", "x.npy", "--json")
    assert used.returncode == 0, used.stderr
    assert "2.0" in used.stdout
    explained = toy.run("explain", "toy")
    assert explained.returncode == 0, explained.stderr
    assert "the plugin 'bad' failed in claim" in explained.stdout
    assert said in explained.stdout


@pytest.mark.parametrize("case", corpus.ALWAYS)
def test_an_optimize_that_fails_is_a_row_of_the_report(toy: Machine, case: str) -> None:
    body, said = corpus.ALWAYS[case]
    bid = "from torchinf_core import Claim; return Claim(0, 'cpu', 'not mine')"
    runtime = RUNTIME_RAISES.format(claim=bid, load="pass")
    toy.install("bad", f"{runtime}@hookimpl\ndef optimize(artifact): {body}\n")
    assert toy.run("download", "toy:x").returncode == 0
    used = toy.run("optimize", "toy", "--json", TORCHINF_DISABLE="torch,onnx,cuda,tensorrt")
    assert used.returncode == 0, used.stderr
    [row] = [row for row in json.loads(used.stdout)["rows"] if row["runtime"] == "bad"]
    assert row["verdict"] == "failed"
    assert "the plugin 'bad' failed in optimize for toy" in row["reason"]
    assert said in row["reason"]


def asks_its_source(hook: str, body: str, *, trust: str = "DATA") -> str:
    """The toy's source under another name, with one more hook and without a runtime."""
    source = corpus.TOY.partition("@hookimpl\ndef claim")[0]
    for word in ('SourceInfo("toy"', '("toy",)', '"toy:x"', 'ref, "toy"'):
        source = source.replace(word, word.replace("toy", "bad"))
    return f"{source.replace('Trust.DATA', f'Trust.{trust}')}@hookimpl\ndef {hook}: {body}\n"


@pytest.mark.parametrize("case", corpus.ALWAYS)
def test_an_architecture_that_fails_names_the_source_and_not_the_runtime(
    toy: Machine, case: str
) -> None:
    body, said = corpus.ALWAYS[case]
    toy.install("bad", asks_its_source("architecture(artifact)", body))
    named(toy.run("run", "bad:x", "x.npy"), "architecture", said)
    assert toy.run("run", "toy:x", "x.npy").returncode == 0


@pytest.mark.parametrize("case", corpus.ALWAYS)
def test_a_trusts_that_fails_trusts_nothing(toy: Machine, case: str) -> None:
    body, said = corpus.ALWAYS[case]
    toy.install("bad", asks_its_source("trusts(record)", body, trust="CODE"))
    named(toy.run("run", "bad:x", "x.npy"), "trusts", said)
    assert toy.run("trust", "bad").returncode == 0
    assert toy.run("run", "bad", "x.npy").returncode == 0


@pytest.mark.parametrize("case", [case for case in corpus.ALWAYS if case != "gives a text"])
def test_a_remote_that_fails_is_named_and_this_machine_does_its_work(
    machine: Machine, case: str
) -> None:
    body, said = corpus.ALWAYS[case]
    machine.install("bad", f"@hookimpl\ndef remote(app, server): {body}\n")
    used = machine.run("--server", "http://127.0.0.1:9", "list", TORCHINF_DISABLE="serve")
    named(used, "remote", said)
    state = state_of(machine)
    assert state["state"] == "limited"
    assert "the plugin 'bad' failed in remote" in state["problem"]
    check_core(machine)
