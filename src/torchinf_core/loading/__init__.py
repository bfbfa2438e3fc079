"""Pipeline 2: from a record to something that predicts.

Files are checked, code needs a recorded decision, runtimes bid, and the best bid
loads.  Nothing is chosen without a reason that :func:`bids` can show.
"""

from __future__ import annotations

from torchinf_core.loading.choosing import Bid, bids, choose
from torchinf_core.loading.loading import load_artifact, load_record
from torchinf_core.loading.opening import open_record

__all__ = ["Bid", "bids", "choose", "load_artifact", "load_record", "open_record"]
