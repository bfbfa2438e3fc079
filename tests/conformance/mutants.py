"""Plugins that break one sentence of the contract each.

A mutant is a good plugin in which one text stands for another.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.conformance.menagerie import FETCH, RUNTIME, SOURCE, WRAPPERS

FETCHING = SOURCE + FETCH
LEAVING = FETCHING.replace('plan.ref.locator == "hare"', "plan.files")
TRY = "    try:\n        beasts = index.json()"
FILE = "file = RemoteFile(path, url, size=size, sha256=sha256)"
PLAN = 'return Plan(ref, "cat", (file,), revision=tag, format="safetensors")'
GET = '    index = host.http.get(f"{HOST}/index.json").raise_for_status()\n'
RESOLVE = "def resolve(ref, host):\n"
TIDY = "except (KeyError, TypeError, ValueError, AttributeError, RecursionError):"
CLAIM = "def claim(artifact, device):\n"
BODY = "x = feeds["


class Mutant(NamedTuple):
    """One text for another in a good plugin, and the check that this fails."""

    check: str
    base: str
    old: str
    new: str
    why: str = ""


MUTANTS = [
    # every plugin
    Mutant(
        "hooks_are_well_formed", SOURCE, "def search(pattern, host)", "def serch(pattern, host)"
    ),
    Mutant("hooks_are_well_formed", SOURCE, RESOLVE, "def resolve(ref, host=None):\n"),
    Mutant("hooks_are_well_formed", SOURCE, RESOLVE, "def resolve(ref, host, timeout):\n"),
    Mutant("importing_is_light", SOURCE, "HOST =", "import numpy\nHOST ="),
    Mutant("importing_does_nothing", SOURCE, "HOST =", "print('hello')\nHOST ="),
    Mutant(
        "importing_does_nothing",
        SOURCE,
        "HOST =",
        "import os\nos.environ['MENAGERIE'] = '1'\nHOST =",
    ),
    Mutant(
        "importing_does_nothing",
        SOURCE,
        "HOST =",
        "import subprocess\nsubprocess.run(['true'])\nHOST =",
    ),
    # sources
    Mutant(
        "sources_are_constant",
        SOURCE,
        "    yield SourceInfo(",
        "    open('/etc/hostname').close()\n    yield SourceInfo(",
    ),
    Mutant("sources_are_declared", SOURCE, '("menagerie",), "Beasts"', '("Me!",), "Beasts"'),
    Mutant("sources_are_declared", SOURCE, '("menagerie:cat@1",)', "()"),
    Mutant("sources_are_declared", SOURCE, ", searchable=True", ""),
    Mutant("sources_are_declared", SOURCE, "@hookimpl\ndef search(", "def search("),
    Mutant("schemes_are_free", SOURCE, '("menagerie",), "Beasts"', '("menagerie", "hf"), "Beasts"'),
    Mutant("examples_are_references", SOURCE, '("menagerie:cat@1",)', '("cat",)'),
    Mutant("examples_are_references", SOURCE, '("menagerie:cat@1",)', '("zoo:cat",)'),
    # resolve
    Mutant("resolve_gives_a_plan", SOURCE, PLAN, "return (file,)"),
    Mutant("resolve_gives_a_plan", SOURCE, "Plan(ref, ", 'Plan(parse_ref("zoo:cat"), '),
    Mutant("resolve_gives_a_plan", SOURCE, "size=size", "size=str(size)"),
    Mutant("resolve_moves_no_weights", SOURCE, PLAN, f"host.http.get(url)\n        {PLAN}"),
    Mutant(
        "resolve_only_asks",
        SOURCE,
        GET,
        f"{GET}    from pathlib import Path\n    (Path.home() / 'seen').write_text('cat')\n",
    ),
    Mutant(
        "resolve_only_asks",
        SOURCE,
        GET,
        f"{GET}    import subprocess\n    subprocess.run(['true'])\n",
    ),
    Mutant(
        "resolve_only_asks",
        SOURCE,
        GET,
        f"{GET}    import socket\n    try:\n"
        "        socket.create_connection(('127.0.0.1', 9)).close()\n"
        "    except OSError:\n        pass\n",
    ),
    Mutant("resolve_imports_no_framework", SOURCE, GET, f"{GET}    import numpy\n"),
    Mutant(
        "resolve_repeats",
        SOURCE,
        PLAN,
        "import time\n        "
        'return Plan(ref, "cat", (file,), revision=tag, metadata={"at": time.time_ns()})',
    ),
    Mutant(
        "revisions_stay",
        SOURCE,
        "revision=tag, format",
        'revision=ref.revision or "r1", format',
        "the tag is shown as the revision",
    ),
    Mutant("revisions_stay", SOURCE, "revision=tag, format", "format"),
    Mutant(
        "revisions_stay",
        SOURCE,
        '        if tag not in beast["revisions"]:\n'
        '            raise ModelNotFoundError(f"there is no {ref}")\n',
        '        if tag not in beast["revisions"]:\n            tag = beast["latest"]\n',
        "what there is not is the newest",
    ),
    Mutant("paths_are_safe", SOURCE, "RemoteFile(path, url", 'RemoteFile("../" + path, url'),
    Mutant("paths_are_safe", SOURCE, "RemoteFile(path, url", 'RemoteFile("/" + path, url'),
    Mutant("urls_are_safe", SOURCE, 'HOST = "https:', 'HOST = "http:'),
    Mutant(
        "urls_are_safe",
        SOURCE,
        "size=size",
        'mirrors=("ftp://menagerie.example/cat",), size=size',
    ),
    Mutant("values_are_possible", FETCHING, "sha256=sha256)", "sha256=sha256.upper())"),
    Mutant("published_facts_are_told", SOURCE, "size=size, sha256=sha256", "size=size"),
    Mutant("published_facts_are_told", SOURCE, "size=size, sha256=sha256", "sha256=sha256"),
    Mutant("urls_bring_the_files", SOURCE, "/files/{sha256}", "/files/{sha256[1:]}"),
    Mutant("urls_bring_the_files", SOURCE, "size=size", "size=size + 1"),
    Mutant("urls_bring_the_files", LEAVING, "/files/{sha256}", "/files/{sha256[1:]}"),
    Mutant(
        "missing_is_not_found",
        SOURCE,
        'raise ModelNotFoundError(f"there is no {ref}")\n        beast =',
        'raise SourceError(f"there is no {ref}")\n        beast =',
    ),
    Mutant("strange_answers_are_errors", SOURCE, TIDY, "except ZeroDivisionError:"),
    Mutant("strange_answers_are_errors", SOURCE, TIDY, "except (KeyError, ValueError):"),
    Mutant(
        "failures_keep_their_meaning",
        SOURCE,
        GET,
        "    try:\n    " + GET + "    except Exception:\n"
        '        raise ModelNotFoundError("there is none") from None\n',
    ),
    Mutant(
        "strange_references_are_errors",
        SOURCE,
        '    if not ref.locator.isalnum() or not (ref.revision or "x").isalnum():',
        '    if ref.locator[2] == "/":',
    ),
    Mutant(
        "secrets_stay_secret",
        SOURCE,
        TRY,
        "    host.note(f\"asked with {host.token('menagerie.example')}\")\n" + TRY,
    ),
    # fetch
    Mutant(
        "fetch_brings_the_files",
        FETCHING,
        "    return True\n",
        "    (into / 'README.md').write_text('more')\n    return True\n",
    ),
    Mutant(
        "fetch_brings_the_files",
        FETCHING,
        "    return True\n",
        "    path = into / plan.files[0].path\n    path.unlink()\n"
        "    path.symlink_to(__file__)\n    return True\n",
        "a link out of the folder",
    ),
    Mutant("fetch_brings_the_files", FETCHING, ".content)\n", ".content[1:])\n"),
    Mutant(
        "fetch_stays_inside",
        FETCHING,
        "    return True\n",
        "    (into.parent / 'log').write_text('done')\n    return True\n",
    ),
    Mutant("fetch_tells_what_it_did", FETCHING, "    return True\n", "    return False\n"),
    Mutant("fetch_tells_what_it_did", FETCHING, "    return True\n", "    return None\n"),
    # token
    Mutant("tokens_are_for_their_host", SOURCE, 'if hostname == "menagerie.example" else None', ""),
    Mutant(
        "tokens_are_for_their_host",
        SOURCE,
        'hostname == "menagerie.example"',
        'hostname.endswith("menagerie.example")',
    ),
    Mutant("tokens_are_given", SOURCE, 'host.setting("token")', 'host.setting("tokn")'),
    # search
    Mutant(
        "search_only_asks",
        SOURCE,
        "    for name in names:",
        "    import os\n    os.system('true')\n    for name in names:",
    ),
    Mutant("hits_are_references", SOURCE, 'SearchHit(f"menagerie:{name}")', "SearchHit(name)"),
    Mutant(
        "hits_are_references",
        SOURCE,
        'SearchHit(f"menagerie:{name}")',
        'SearchHit(f"menagerie:{name}s")',
    ),
    Mutant("search_goes_by_the_pattern", SOURCE, 'fnmatchcase(name, f"*{pattern}*")', "True"),
    Mutant(
        "search_goes_by_the_pattern", SOURCE, 'fnmatchcase(name, f"*{pattern}*")', "pattern in name"
    ),
    Mutant(
        "strange_lists_are_errors",
        SOURCE,
        "    if not isinstance(names, dict):\n"
        '        raise SourceError("the menagerie\'s index is none")\n    for',
        "    for",
    ),
    # trust
    Mutant(
        "nothing_is_trusted_unasked",
        SOURCE,
        "return record.model_id in",
        'return record.metadata.get("trusted") or record.model_id in',
    ),
    # architecture
    Mutant(
        "architecture_is_cheap",
        SOURCE,
        "    def build():\n        import torch\n",
        "    import torch\n\n    def build():\n",
    ),
    Mutant("architecture_fits_the_weights", SOURCE, ".eval()", ""),
    Mutant("architecture_fits_the_weights", SOURCE, "bias=False", "bias=True"),
    # commands
    Mutant(
        "commands_are_only_added",
        SOURCE,
        "def commands(app):\n",
        "def commands(app):\n    print('ready')\n",
    ),
    Mutant("commands_explain_themselves", SOURCE, '        "Feed the beasts."\n', ""),
    Mutant(
        "remote_waits_for_a_command",
        SOURCE,
        "def remote(app, server):\n",
        "def remote(app, server):\n    import socket\n"
        "    with socket.socket() as s:\n        s.connect_ex(('127.0.0.1', 9))\n",
    ),
    Mutant("remote_explains_itself", SOURCE, '        "List the beasts of a server."\n', ""),
    # claim
    Mutant("claim_is_cheap", RUNTIME, CLAIM, f"{CLAIM}    import numpy\n"),
    Mutant(
        "claim_reads_little",
        RUNTIME,
        CLAIM,
        f"{CLAIM}    artifact.path(artifact.files[0]).read_bytes()\n",
    ),
    Mutant(
        "claim_always_answers",
        RUNTIME,
        'return Claim(0, "cpu", f"it does not read {artifact.format}")',
        "return None",
    ),
    Mutant("claim_always_answers", RUNTIME, 'if artifact.format != "line":', "if 0:"),
    Mutant(
        "claim_keeps_the_device", RUNTIME, 'if device not in ("auto", "cpu"):', "if device == 'x':"
    ),
    Mutant("claim_takes_its_own", RUNTIME, "return Claim(100", "return Claim(0"),
    # load
    Mutant(
        "load_keeps_the_device",
        RUNTIME,
        "        self.slope = slope",
        "        self.device, self.slope = 'cuda:0', slope",
    ),
    Mutant(
        "load_runs_no_code",
        RUNTIME,
        "    except (ValueError, LookupError, TypeError) as error:",
        "    except (ValueError, LookupError, TypeError) as error:\n        import pickle\n"
        "        try:\n"
        "            pickle.loads(artifact.path(artifact.files[0]).read_bytes())\n"
        "        except Exception:\n            pass",
        "JSON first, and then another way",
    ),
    Mutant(
        "load_reads_its_own_files",
        RUNTIME,
        "    if claim.device",
        "    beside = artifact.directory / 'config.json'\n"
        "    beside.read_text() if beside.exists() else ''\n    if claim.device",
    ),
    Mutant(
        "damaged_files_are_errors",
        RUNTIME,
        "    except (ValueError, LookupError, TypeError) as error:",
        "    except ZeroDivisionError as error:",
    ),
    Mutant("signatures_are_told", RUNTIME, 'TensorSpec("x"', 'TensorSpec("input"'),
    Mutant("predictions_are_right", RUNTIME, "x * self.slope", "x * self.slope + 1"),
    Mutant(
        "predictions_are_right",
        RUNTIME,
        'return {"y": x * self.slope}',
        'raise ValueError("I do not like this")',
    ),
    Mutant("predictions_are_right", RUNTIME, '{"y": x', '{"z": x'),
    Mutant(
        "batches_are_their_items",
        RUNTIME,
        "x * self.slope}",
        "x * self.slope * (1.0 if len(x) == 3 else 2.0)}",
    ),
    Mutant(
        "batches_are_their_items",
        RUNTIME,
        f'{BODY}"x"]\n',
        f'{BODY}"x"]\n        if len(x) == 1:\n            raise ValueError("one is too few")\n',
    ),
    Mutant(
        "threads_do_not_mix",
        RUNTIME,
        f'{BODY}"x"]\n',
        "import time\n        self.x = feeds['x']\n        time.sleep(0.001)\n"
        "        x = self.x if len(self.x) == len(feeds['x']) else feeds['x']\n",
    ),
    Mutant(
        "closing_ends_it",
        RUNTIME,
        "    def release(self):\n        self.slope = None",
        "    def close(self):\n        pass",
    ),
    # optimize
    Mutant(
        "candidates_wait_to_be_built",
        RUNTIME,
        "    def build(folder):",
        "    (artifact.directory / 'fast.line').write_bytes(b'')\n\n    def build(folder):",
    ),
    Mutant(
        "candidates_can_be_loaded",
        RUNTIME,
        '(folder / "fast.line").write_bytes(artifact.path(artifact.files[0]).read_bytes())',
        "pass",
    ),
    # wrappers
    Mutant(
        "wrapped_plans_keep_their_digests",
        WRAPPERS,
        'url=f"{mirror}/{file.path}")',
        'url=f"{mirror}/{file.path}", sha256=None)',
    ),
    Mutant(
        "wrapped_plans_keep_their_digests",
        WRAPPERS,
        "        return plan\n",
        "        return None\n",
    ),
    Mutant("wrapped_plans_keep_their_digests", WRAPPERS, "{mirror}/{file.path}", "ftp://mirror"),
    Mutant(
        "wrapped_plans_keep_their_digests",
        WRAPPERS,
        "replace(plan, ",
        'replace(plan, ref=replace(plan.ref, locator="other"), ',
    ),
    Mutant(
        "wrapped_plans_keep_their_digests",
        WRAPPERS,
        "    plan = yield\n",
        "    try:\n        plan = yield\n    except Exception:\n        return None\n",
        "a missing model is nothing",
    ),
    Mutant("wrapped_fetches_tell_what_was_done", WRAPPERS, "return done", "return True"),
    Mutant("wrapped_fetches_tell_what_was_done", WRAPPERS, "return done", "return None"),
    Mutant(
        "wrapped_fetches_tell_what_was_done", WRAPPERS, "        raise\n", "        return True\n"
    ),
    Mutant(
        "wrapped_fetches_tell_what_was_done",
        WRAPPERS,
        "raise AccessDenied",
        "raise PermissionError #",
    ),
    Mutant(
        "wrappers_trust_nothing_unasked",
        WRAPPERS,
        "or ())\n",
        'or ("kit",))\n',
        "without a setting",
    ),
]
