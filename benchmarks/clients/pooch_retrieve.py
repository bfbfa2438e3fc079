"""``pooch_retrieve.py URL FILE SHA256``: pooch with a known digest."""

import os
import sys

import pooch

url, target, sha256 = sys.argv[1:]
pooch.retrieve(
    url, known_hash=f"sha256:{sha256}", path=os.path.dirname(target), fname=os.path.basename(target)
)
