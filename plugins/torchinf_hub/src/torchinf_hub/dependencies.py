"""Which of the modules that a hubconf.py asks for are not installed; none is imported."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterable

_DISTRIBUTIONS = {
    "PIL": "pillow",
    "attr": "attrs",
    "bs4": "beautifulsoup4",
    "cv2": "opencv-python",
    "dateutil": "python-dateutil",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
}
"""Distributions that are not called as what they bring is imported."""


def missing(names: Iterable[str]) -> list[str]:
    """The modules of ``names`` that Python would not find."""
    return [name for name in names if not _is_installed(name)]


def install_line(names: Iterable[str]) -> str:
    """The pip command that installs modules.

    A name comes from the repository's code, and a person may paste the line into
    a shell: what could not be a name is left out.
    """
    wanted = [_DISTRIBUTIONS.get(name, name) for name in names if re.fullmatch(r"[\w.-]+", name)]
    return f"pip install {' '.join(wanted)}" if wanted else ""


def _is_installed(name: str) -> bool:
    top = name.partition(".")[0]
    if not top.isidentifier():
        return False
    if top in sys.modules:
        return True
    try:
        # Of a dotted name the parent would be imported.
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):
        return False
