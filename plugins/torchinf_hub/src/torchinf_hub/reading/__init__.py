"""Reads what a hubconf.py offers, and what its entry points fetch, by its syntax tree alone.

Nothing of the repository is imported or run, and no framework is loaded.
"""

from torchinf_hub.reading.entries import Entry, Hubconf, read_hubconf
from torchinf_hub.reading.sources import Sources
from torchinf_hub.reading.weights import Weights, find_weights

__all__ = ["Entry", "Hubconf", "Sources", "Weights", "find_weights", "read_hubconf"]
