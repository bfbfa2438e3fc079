"""The store: content-addressed blobs, and a directory of real files for each model.

::

    <root>/VERSION                        {"layout": 1}
      blobs/sha256/ab/<64 hex>            immutable, 0444, durable once named
      partial/                            unfinished downloads, owned by the transfer engine
      models/<id>/<generation>/…          the files of a model, hard links to blobs
      models/<id>/<generation>.links/     links that count references where the files are copies
      models/<id>/<generation>.derived/   optimised forms of the model, see store/derived.py
      records/<id>.json                   one per model, written by the registry
      requests/<key>                      request → name, so that a repeated request is a hit
      locks/  quarantine/  tmp/<boot id>/

Every name in the store appears by a rename of something complete and durable.
Locks save bandwidth and keep the garbage collector away; correctness does not
rest on them.
"""

from typing import TYPE_CHECKING

from torchinf_core.store.layout import generation
from torchinf_core.store.store import Store
from torchinf_core.warm import model_id

if TYPE_CHECKING:
    from torchinf_core.store.reports import GcReport, Problem, Usage

__all__ = ["GcReport", "Problem", "Store", "Usage", "generation", "model_id"]


def __getattr__(name: str) -> object:
    """What the store answers is imported by those who ask how it is."""
    if name not in ("GcReport", "Problem", "Usage"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from torchinf_core.store import reports

    return getattr(reports, name)
