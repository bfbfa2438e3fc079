"""The plugin keeps the contract, for a file of a server and for one of this machine."""

import httpx

import torchinf_url
from torchinf_core.testing import SourceConformance

CONTENT = b"not a model, and nobody asks here"


class TestUrl(SourceConformance):
    plugin = torchinf_url
    good_ref = "https://models.example/tiny.bin"
    missing_ref = "https://models.example/none.bin"
    publishes_sizes = True

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path != "/tiny.bin":
            return httpx.Response(404)
        return httpx.Response(200, content=CONTENT, headers={"etag": '"1"'})


class TestFile(SourceConformance):
    plugin = torchinf_url
    publishes_sizes = True

    def setup_method(self) -> None:
        super().setup_method()
        path = self.folder() / "tiny.bin"
        path.write_bytes(CONTENT)
        self.good_ref, self.missing_ref = path.as_uri(), path.with_name("none.bin").as_uri()
