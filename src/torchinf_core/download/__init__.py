"""Pipeline 1: a reference becomes a verified, recorded model in the store.

This package decides *what* happens and in which order; how bytes move, are
checked and are kept is the business of ``transfer``, ``verify`` and ``store``.
"""

import logging

from torchinf_core.download.job import Outcome, Preview
from torchinf_core.download.pipeline import download, preview
from torchinf_core.download.request import Request, make_request

__all__ = ["Outcome", "Preview", "Request", "download", "make_request", "preview"]

# A library is silent unless its user asks; without this Python prints warnings itself.
logging.getLogger("torchinf").addHandler(logging.NullHandler())
