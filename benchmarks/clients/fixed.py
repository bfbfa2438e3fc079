"""``fixed.py N ARGUMENT…``: ``torchinf`` with exactly N connections from the first byte on.

The program itself offers only a most; this takes the decision out of its hands.
"""

import os
import sys

from torchinf_core.transfer import engine
from torchinf_core.transfer.tuner import Tuner


class Fixed(Tuner):
    """Starts at the most and has nowhere to go from there."""

    def __init__(self, transfer: engine.Transfer, start: int) -> None:
        del start
        super().__init__(transfer, transfer.context.settings.connections)


os.environ["TORCHINF_CONNECTIONS"] = sys.argv[1]
vars(engine)["Tuner"] = Fixed
sys.argv[1:] = sys.argv[2:]

from torchinf_core.__main__ import main  # noqa: E402 - after the replacement

main()
