"""What the release checklist tells to run and to look at is there."""

from __future__ import annotations

import re

from .conftest import ROOT

PAGE = (ROOT / "docs/releasing.md").read_text()


def sessions() -> set[str]:
    text = (ROOT / "noxfile.py").read_text()
    return set(re.findall(r"^@nox\.session.*\ndef (\w+)", text, re.MULTILINE))


def test_each_command_of_the_checklist_is_one() -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 10
    for line in lines:
        assert re.match(r"(nox -s|git|twine|cd dist && sha256sum) ", line), line


def test_each_session_of_the_checklist_is_one_and_those_for_a_release_are_named() -> None:
    named = set(re.findall(r"nox -s (\w+)", PAGE))
    assert named <= sessions()
    assert named == {"tests", "pythons", "minimums", "docs", "build", "matrix"}


def test_each_file_of_the_checklist_is_there() -> None:
    made = {"dist/", "SHA256SUMS", "torchinf-VERSION.cdx.json", "WHEEL"}
    named = set(re.findall(r"`([\w./*-]+(?:/|\.\w+))`", PAGE)) - made
    assert {"CHANGELOG.md", "docs/support.md", "pyproject.toml"} <= named
    for name in named:
        assert list(ROOT.glob(name)), name
