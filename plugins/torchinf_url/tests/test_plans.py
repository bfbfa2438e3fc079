"""Names, archives and options: from what was found to a plan."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torchinf_core.errors import OptionError
from torchinf_core.refs import check_name, parse_ref
from torchinf_core.settings import Settings
from torchinf_core.types import ModelRef, Plan
from torchinf_core.verify import check_plan
from torchinf_url import sources
from torchinf_url.naming import Found, best_filename, make_plan, model_name

Resolve = Callable[..., Plan]


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("model.onnx", "model"),
        ("model-1a2b3c4d.pth", "model-1a2b3c4d"),
        ("weights.v2.safetensors", "weights.v2"),
        ("bundle.tar.gz", "bundle"),
        ("Bundle.TGZ", "Bundle"),
        ("README", "README"),
        ("模型.onnx", "model"),
    ],
)
def test_a_model_is_called_like_its_file_without_the_ending(filename: str, name: str) -> None:
    assert model_name(filename) == name


@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz"])
def test_an_archive_is_unpacked_when_asked(tmp_path: Path, resolve: Resolve, ending: str) -> None:
    path = tmp_path / f"bundle{ending}"
    path.write_bytes(b"PK")

    assert resolve(str(path), extract=True).files[0].unpack is True


def test_an_archive_is_one_file_unless_asked_and_a_note_says_so(
    tmp_path: Path, resolve: Resolve
) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"PK")

    plan = resolve(str(path))

    assert plan.files[0].unpack is False
    assert "--extract" in plan.notes[0]
    assert resolve(str(path), extract=False) == plan


def test_what_is_no_archive_can_not_be_extracted(tmp_path: Path, resolve: Resolve) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"x")

    with pytest.raises(OptionError, match="not called like an archive"):
        resolve(str(path), extract=True)


@pytest.mark.parametrize("value", ["yes", 1, [True]])
def test_extract_is_a_yes_or_no(tmp_path: Path, resolve: Resolve, value: object) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(b"PK")

    with pytest.raises(OptionError, match="expected yes or no"):
        resolve(str(path), extract=value)


@given(asked=st.text(), final=st.text(), disposition=st.none() | st.text(), tag=st.text())
def test_no_server_can_make_a_plan_that_breaks_the_contract(
    asked: str, final: str, disposition: str | None, tag: str
) -> None:
    name = best_filename(f"https://h/{asked}", f"https://h/{final}", disposition)
    ref = ModelRef("https", "https://h/x")

    plan = make_plan(ref, Found("https://h/x", name, 1, metadata={"content_type": tag}), None)

    check_plan(plan, Settings())
    check_name(plan.name)


def test_the_examples_are_references_of_this_source() -> None:
    (info,) = sources()
    for example in info.examples:
        assert parse_ref(example).scheme in info.schemes


def test_resolving_imports_no_framework(tmp_path: Path) -> None:
    code = f"""
import sys
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.settings import load_settings
from torchinf_core.testing import Hub
settings = load_settings({{}}, cache_dir={str(tmp_path)!r})
with Hub() as hub:
    plan = load_plugins(settings).resolve(parse_ref(hub.add("/a.onnx", b"x")), {{}}, settings)
assert plan.size == 1
print([name for name in ("torch", "numpy", "pydantic", "rich", "typer") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[]\n", "")
