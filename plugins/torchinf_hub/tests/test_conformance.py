"""The plugin keeps the contract, for a repository of GitHub and for a directory."""

import io

import httpx
import pytest

import torchinf_hub
from torchinf_core.testing import Hub, SourceConformance, forward
from torchinf_core.testing.github import GitHub

HUBCONF = """
dependencies = ["torch"]


def line():
    "A straight line."
    import torch

    return torch.nn.Linear(3, 1)


def trained():
    "A line that goes somewhere."
    import torch

    net = line()
    url = "https://weights.example/line.pt"
    net.load_state_dict(torch.hub.load_state_dict_from_url(url))
    return net
"""


class TestGitHub(SourceConformance):
    plugin = torchinf_hub
    good_ref, missing_ref = "hub:ada/nets:v1/trained", "hub:ada/nots/trained"
    has_revisions = True
    pattern, missing_pattern = "ada/nets train*", "ada/nets circle"

    def setup_method(self) -> None:
        torch = pytest.importorskip("torch")
        super().setup_method()
        packed = io.BytesIO()
        torch.save(torch.nn.Linear(3, 1).state_dict(), packed)
        self.weights = packed.getvalue()
        self.github = GitHub(self.keep(Hub()))
        self.repo = self.github.add_repo("ada/nets", {"hubconf.py": HUBCONF.encode()})
        self.repo.tag("v1")

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "weights.example":
            return httpx.Response(200, content=self.weights)
        codeload = self.github.web.replace("127.0.0.1", "localhost") + "/_codeload"
        places = {"https://github.com": self.github.web, "https://codeload.github.com": codeload}
        return forward(request, places)

    def move(self) -> None:
        self.repo.commit({"hubconf.py": HUBCONF.replace("straight", "steep").encode()})
        self.repo.tag("v1")


class TestDirectory(SourceConformance):
    plugin = torchinf_hub
    publishes_digests = publishes_sizes = True

    def setup_method(self) -> None:
        super().setup_method()
        folder = self.folder()
        (folder / "hubconf.py").write_text(HUBCONF)
        self.good_ref, self.missing_ref = f"hub:{folder}/line", f"hub:{folder}/circle"
        self.pattern, self.missing_pattern = f"{folder} line", f"{folder} circle"
