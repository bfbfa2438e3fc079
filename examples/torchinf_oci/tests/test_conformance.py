"""The plugin keeps the contract; Debian's registry answers for one on the internet."""

from functools import cached_property

import pytest
import torchinf_oci

from torchinf_core.testing import SourceConformance, forward

HEADER = b'{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
NEWER = WEIGHTS[:-1] + b"\1"


class TestOci(SourceConformance):
    """A registry that anybody may read."""

    plugin = torchinf_oci
    good_ref = "oci:registry.example/acme/tiny:v1"
    missing_ref = "oci:registry.example/acme/tiny:v2"
    publishes_digests = publishes_sizes = has_revisions = True

    @pytest.fixture(autouse=True)
    def _starter(self, start):
        self.start = start

    @cached_property
    def registry(self):
        """One with a model, for each check that asks it."""
        registry = self.start()
        registry.push("acme/tiny", "v1", {"model.safetensors": WEIGHTS})
        return registry

    def respond(self, request):
        """Ask the registry of this machine."""
        return forward(request, {"https://registry.example": self.registry.url})

    def move(self):
        """Push other weights under the same tag."""
        self.registry.push("acme/tiny", "v1", {"model.safetensors": NEWER})
