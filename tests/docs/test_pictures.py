"""The pictures of the command line are those that its commands give now."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))
try:
    import pictures
finally:
    sys.path.pop(0)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pictures_can_be_made_again() -> None:
    for package in ("torch", "torchvision", "transformers", "torchinf_serve"):
        pytest.importorskip(package)
    made = pictures.pictures()
    kept = {path.stem: path.read_text() for path in (DOCS / "pictures").glob("*.svg")}
    assert set(made) == set(kept)
    for name, svg in made.items():
        assert pictures.texts(svg) == pictures.texts(kept[name]), "run: python docs/pictures.py"


def test_the_pictures_are_small_texts_that_load_nothing_and_are_shown() -> None:
    shown = "".join(path.read_text() for path in DOCS.rglob("*.md"))
    for path in (DOCS / "pictures").glob("*.svg"):
        svg = path.read_text()
        assert len(svg) < 16_000
        assert not re.search(r"url\((?!#)|href|<script|<image", svg)
        assert f"pictures/{path.name})" in shown
