"""The plugin keeps the contract; the Zoo's server is stood in for by ``respond``."""

import hashlib

import httpx
import torchinf_zoo

from torchinf_core.testing import SourceConformance

HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
FILE = "https://zoo.example/tiny-mlp-1.safetensors"
ENTRY = {"url": FILE, "size": len(WEIGHTS), "sha256": hashlib.sha256(WEIGHTS).hexdigest()}


class TestZoo(SourceConformance):
    """All checks for sources, with these answers."""

    plugin = torchinf_zoo
    good_ref, missing_ref = "zoo:tiny-mlp@1", "zoo:nope"
    publishes_digests = publishes_sizes = has_revisions = True

    def respond(self, request):
        """Answer as zoo.example does."""
        if str(request.url) == FILE:
            return httpx.Response(200, content=WEIGHTS)
        return httpx.Response(200, json={"tiny-mlp": {"latest": "1", "tags": {"1": ENTRY}}})
