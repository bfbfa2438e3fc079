"""The pages for plugin authors say what the code does."""

from __future__ import annotations

import ast
import gzip
import hashlib
import importlib.util
import pickle
import re
import sys
import tarfile
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from torchinf_core import Host, Plan, RemoteFile, Settings, parse_ref
from torchinf_core.conformance import RuntimeConformance, SourceConformance, run
from torchinf_core.errors import FormatError
from torchinf_core.hookspecs import hook_names
from torchinf_core.hookspecs.runtimes import RuntimeHooks
from torchinf_core.hookspecs.sources import SourceHooks
from torchinf_core.plugins.implementations import ROUTED
from torchinf_core.scaffold import render
from torchinf_core.testing import faults
from torchinf_core.verify import content, sniff, torchfile

ROOT = Path(__file__).parents[2]
TUTORIAL = (ROOT / "docs/plugins/writing-a-source.md").read_text()
EXAMPLE = ROOT / "examples/torchinf_zoo"
ENTRY = {"url": "https://zoo.example/tiny.safetensors", "size": 84, "sha256": "0" * 64}


@pytest.fixture
def generator(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs/generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_pages_are_up_to_date(generator: ModuleType) -> None:
    for name, make in generator.PAGES.items():
        assert (ROOT / "docs" / name).read_text() == make(), "run: python docs/generate.py"


def test_every_hook_has_its_section_with_an_example(generator: ModuleType) -> None:
    page = generator.hooks_page()
    for hook in hook_names():
        section = page.split(f"\n## {hook}\n")[1].split("\n## ")[0]
        blocks = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
        assert f"def {hook}(" in blocks[0]
        assert "@hookimpl" in blocks[1]
        ast.parse(blocks[1])
        mode = "any plugin may wrap it" if hook in ROUTED else "can't be wrapped"
        assert mode in " ".join(section.split())


def test_every_fault_and_option_is_on_the_page_of_tools(generator: ModuleType) -> None:
    page = generator.tools_page()
    for name in (*faults.CATALOGUE, "--token SECRET", "torchinf_home", "hub.fail(path, *faults)"):
        assert f"`{name}`" in page or f"## {name}\n" in page
    for fault in ("cut(at=0.5)", "status(code, **headers)", "together(first, *others)"):
        assert f"`{fault}`" in page


def test_the_page_of_tools_shows_a_test_that_passes(
    generator: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    template = render("zoo", "source")
    (tmp_path / "torchinf_zoo.py").write_text(template["src/torchinf_zoo.py"])
    [block] = re.findall(r"```python\n(class TestZoo.*?)```", generator.tools_page(), re.DOTALL)
    start = template["tests/test_torchinf_zoo.py"].partition("class ")[0]
    space: dict[str, object] = {"__name__": "test_zoo"}
    sys.modules.pop("torchinf_zoo", None)
    try:
        exec(f"{start}\nfrom torchinf_core.testing import forward\n\n{block}", space)
        verdicts = list(run(space["TestZoo"]))  # type: ignore[arg-type]
    finally:
        sys.modules.pop("torchinf_zoo", None)
    assert [verdict for verdict in verdicts if verdict.outcome == "broken"] == []
    assert sum(verdict.outcome == "kept" for verdict in verdicts) > 15


def test_what_the_hooks_exchange_is_told_with_its_members(generator: ModuleType) -> None:
    page = generator.hooks_page()
    for name in ("artifact.having(*formats)", "artifact.path(file)", "Trust.CODE", "record.size"):
        assert f"**`{name}`**" in page
    for kind in (*vars(RuntimeHooks).values(), *vars(SourceHooks).values()):
        for word in re.findall(r"[A-Z]\w+", str(getattr(kind, "__annotations__", ""))):
            known = f"\n### {word}\n" in page or f"\n## {word}\n" in page or f"`{word} = " in page
            assert known or word in ("Mapping", "Iterable", "Path", "None"), word


def test_the_example_is_the_plugin_of_the_tutorial() -> None:
    code = re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)[0]
    project = re.findall(r"```toml\n(.*?)```", TUTORIAL, re.DOTALL)[0]
    assert code == (EXAMPLE / "torchinf_zoo.py").read_text()
    assert project == (EXAMPLE / "pyproject.toml").read_text()
    assert code.count("\n") <= 26


def test_the_test_of_the_tutorial_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLE))
    [code] = [
        block
        for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL)
        if "def test_" in block
    ]
    space: dict[str, object] = {}
    exec(code, space)
    try:
        space["test_the_latest_tag_is_resolved"](monkeypatch)  # type: ignore[operator]
    finally:
        sys.modules.pop("torchinf_zoo", None)


def shown_plugin(block: str, *changes: tuple[str, str]) -> Any:
    """The plugin of the tutorial with a block that the page shows for it."""
    code = (EXAMPLE / "torchinf_zoo.py").read_text()
    for before, after in changes:
        assert before in code
        code = code.replace(before, after)
    module = ModuleType("torchinf_shown")
    exec(f"{code}\n\n{block}", vars(module))
    return module


def broken_by(module: ModuleType, kept: str, **answers: object) -> list[str]:
    """Checks of the kit that a shown plugin breaks; it has to keep some that begin so."""
    answers |= {"plugin": module, "good_ref": "zoo:tiny-mlp@1", "missing_ref": "zoo:nope"}
    kit = type("TestShown", (SourceConformance,), {"__module__": __name__, **answers})
    verdicts = list(run(kit))
    assert any(one.outcome == "kept" for one in verdicts if one.check.startswith(kept))
    return [f"{one.check}: {one.happened}" for one in verdicts if one.outcome == "broken"]


def test_the_search_of_the_tutorial_keeps_its_contract() -> None:
    [block] = [b for b in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL) if "fnm" in b]
    index = {name: {"latest": "1", "tags": {"1": ENTRY}} for name in ("tiny-mlp", "Tiny")}

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=index)

    plugin = shown_plugin(block)
    told = {"respond": lambda _self, request: answer(request), "pattern": "tiny-mlp"}
    assert broken_by(plugin, "search", files_need="weights that are none", **told) == []
    with Host(Settings(), "zoo", httpx.Client(transport=httpx.MockTransport(answer))) as host:
        assert [hit.ref for hit in plugin.search("t*mlp", host)] == ["zoo:tiny-mlp"]
        assert [hit.ref for hit in plugin.search("iny", host)] == ["zoo:tiny-mlp", "zoo:Tiny"]


def test_a_token_of_the_user_reaches_the_server_as_the_page_on_tests_says() -> None:
    page = (ROOT / "docs/plugins/testing.md").read_text()
    [shown] = re.findall(r"`(\{\"TORCHINF_TOKEN_.*?\})`", page)

    def respond(_self: object, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != "Bearer s3cret":
            return httpx.Response(401)
        return httpx.Response(200, json={"tiny-mlp": {"latest": "1", "tags": {"1": ENTRY}}})

    told = {"respond": respond, "environ": ast.literal_eval(shown)}
    assert broken_by(shown_plugin(""), "resolve", files_need="weights that are none", **told) == []


def test_the_page_on_tests_has_every_question_of_the_kits() -> None:
    page = (ROOT / "docs/plugins/testing.md").read_text()
    for kit in (SourceConformance, RuntimeConformance):
        for base in kit.__mro__:
            for question in getattr(base, "__annotations__", {}):
                assert f"`{question}`" in page, question


def test_the_fetch_of_the_tutorial_sends_the_key_and_follows_no_redirect(tmp_path: Path) -> None:
    [block] = [b for b in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL) if "x-api" in b]
    asked = 'host.json(host.setting("index") or INDEX)'
    plugin = shown_plugin(block, (asked, asked.replace("INDEX)", "INDEX, key(host))")))
    weights = b"weights"
    entry = {**ENTRY, "size": len(weights), "sha256": hashlib.sha256(weights).hexdigest()}

    def respond(_self: object, request: httpx.Request) -> httpx.Response:
        if request.headers.get("x-api-key") != "s3cret-key":
            return httpx.Response(401)
        if str(request.url) == entry["url"]:
            return httpx.Response(200, content=weights)
        return httpx.Response(200, json={"tiny-mlp": {"latest": "1", "tags": {"1": entry}}})

    told = {"settings": {"key": "s3cret-key"}, "files_need": "the header X-Api-Key"}
    assert broken_by(plugin, "fetch", respond=respond, **told) == []

    def elsewhere(request: httpx.Request) -> httpx.Response:
        assert request.url.host == "zoo.example"
        return httpx.Response(302, headers={"location": "https://thief.example/"})

    plan = Plan(parse_ref("zoo:tiny-mlp"), "m", (RemoteFile("m", "https://zoo.example/m"),))
    client = httpx.Client(transport=httpx.MockTransport(elsewhere), follow_redirects=True)
    with Host(Settings(), "zoo", client) as host, pytest.raises(httpx.HTTPStatusError):
        plugin.fetch(plan, tmp_path, host)


def test_the_wrappers_and_the_private_registry_are_those_of_the_examples() -> None:
    files = [
        (ROOT / "examples" / name).read_text()
        for name in (
            "torchinf_oci/torchinf_oci.py",
            "torchinf_audit/torchinf_audit.py",
            "torchinf_audit/torchinf_mirror.py",
            "torchinf_audit/tests/test_conformance.py",
        )
    ]
    shown = []
    for title in ("A private registry with a token", "Wrapping other sources"):
        section = TUTORIAL.split(f"\n## {title}\n")[1].split("\n## ")[0]
        shown += re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    assert len(shown) == 5
    for block in shown:
        assert any(block in file for file in files), block
    assert (
        f"in {files[0].count(chr(10))} lines"
        in (ROOT / "examples/torchinf_oci/README.md").read_text()
    )


def formats_of_the_core() -> set[str]:
    """What the readers of files call formats, wherever one is written down."""
    found = set()
    for path in (ROOT / "src/torchinf_core/verify").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("Sniffed", "_as"):
                first = node.args[0] if node.args else None
                found |= {
                    one.value
                    for one in ast.walk(first or node)
                    if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found | {kind for kind, _ in torchfile._MARKS}


def test_the_page_for_runtimes_lists_the_formats_that_the_core_finds(tmp_path: Path) -> None:
    page = (ROOT / "docs/plugins/writing-a-runtime.md").read_text()
    rows = dict(re.findall(r"^\| ([`\w, -]+) \| (.*) \|$", page, re.MULTILINE))
    told = {name for cell in rows for name in re.findall(r"`([\w-]+)`", cell)}
    assert told == formats_of_the_core()
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY")
    with tarfile.open(tmp_path / "m.tar", "w") as tar:
        tar.add(tmp_path / "w.npz")
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY" + bytes(200))
    (tmp_path / "m.bin.gz").write_bytes(gzip.compress(b"m"))
    (tmp_path / "m").write_bytes(pickle.dumps({}))
    found = {path.name: sniff(path, path.name).format for path in tmp_path.iterdir()}
    assert found == {
        "w.npz": "zip",
        "m.tar": "tar",
        "a.npy": None,
        "m.bin.gz": "gzip",
        "m": "pickle",
    }
    named = re.findall(r"called ((?:`\.\w+`(?:, | or )?)+)", "\n".join(rows.values()))
    suffixes = [suffix for names in named for suffix in re.findall(r"\.\w+", names)]
    assert {*suffixes} == {*content._BY_SUFFIX, *content._PICKLES}
    for suffix in (".safetensors", ".onnx", ".gguf", ".pt", ".pth"):
        with pytest.raises(FormatError):
            sniff(tmp_path / "a.npy", f"m{suffix}")


def test_every_block_of_the_tutorial_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", TUTORIAL, re.DOTALL):
        ast.parse(block)


def test_every_link_and_variable_of_the_tutorial_exists() -> None:
    source = "\n".join(p.read_text() for p in (ROOT / "src/torchinf_core").rglob("*.py"))
    for target in re.findall(r"\]\(([^)#]+)", TUTORIAL):
        assert (ROOT / "docs/plugins" / target).exists()
    for variable in re.findall(r"`TORCHINF_(\w+)=", TUTORIAL):
        assert f'"TORCHINF_{variable}"' in source or f'"{variable.lower()}"' in source
