"""Fetches a plan with huggingface_hub, by way of its Xet storage; only when asked to.

Every file there is served over plain HTTP, too, and the core's engine is the
faster of the two; see the README for what was measured.  What arrives here is
hashed and compared by the core like anything else.
"""

from __future__ import annotations

import glob
import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from torchinf_core.errors import MissingDependencyError, SourceError, UsageError
from torchinf_core.types import Plan
from torchinf_hf.endpoint import endpoint, find_token, refuse_offline

if TYPE_CHECKING:
    from torchinf_core.host import Host

_OFF = ("auto", "off", "no", "false", "0", "")
_ON = ("on", "yes", "true", "1")
_WORKSHOP = ".huggingface"


def fetch_by_xet(plan: Plan, into: Path, host: Host) -> bool:
    """Write the plan's files below ``into``; False leaves them to the core.

    Args:
        plan: of this source.
        into: an empty directory.
        host: for the ``xet`` setting, ``auto`` (the same as ``off``) or ``on``.

    Raises:
        UsageError: the setting is none of these.
        MissingDependencyError: it is ``on``, and hf_xet is not installed.
        SourceError: huggingface_hub could not fetch them.
    """
    if not _wanted(host):
        return False
    refuse_offline(host)
    sources = _sources(plan)
    if sources is None:
        return False
    if find_spec("hf_xet") is None:
        raise MissingDependencyError(
            "the xet setting is on, and hf_xet is not installed",
            hint="pip install hf_xet, or TORCHINF_HF_XET=off",
        )
    workshop = into / _WORKSHOP
    _download(plan, list(sources.values()), workshop, host)
    for path, source in sources.items():
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(workshop / source, target)
    shutil.rmtree(workshop)
    return True


def _wanted(host: Host) -> bool:
    word = str(host.setting("xet") or "auto").strip().lower()
    if word not in (*_OFF, *_ON):
        raise UsageError(
            f"the xet setting of the hf plugin is {word[:40]!r}, expected auto, on or off"
        )
    return word in _ON


def _sources(plan: Plan) -> dict[str, str] | None:
    """Path in the model → path in the repository; None if a file comes from elsewhere."""
    base = f"{endpoint()}/{plan.metadata.get('repo')}/resolve/{plan.revision}/"
    if not all(file.url.startswith(base) for file in plan.files):
        return None
    return {file.path: unquote(file.url.removeprefix(base)) for file in plan.files}


def _download(plan: Plan, sources: list[str], workshop: Path, host: Host) -> None:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import tqdm

    class Quiet(tqdm):  # type: ignore[misc] # its bars would draw over ours
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **{**options, "disable": True})

    token = find_token(urlsplit(endpoint()).hostname or "", host)
    try:
        snapshot_download(
            str(plan.metadata["repo"]),
            revision=plan.revision,
            endpoint=endpoint(),
            # Without one the library would look for its own again.
            token=token or False,
            local_dir=workshop,
            cache_dir=workshop / ".cache",
            allow_patterns=[glob.escape(source) for source in sources],
            tqdm_class=Quiet,
        )
    except Exception as error:
        # The library's own text may hold signed URLs.
        status = getattr(getattr(error, "response", None), "status_code", None)
        answered = f" ({status})" if status else ""
        raise SourceError(
            f"huggingface_hub could not fetch {plan.ref}: {type(error).__name__}{answered}",
            hint="TORCHINF_HF_XET=off fetches the same files over plain HTTP",
        ) from error
