"""The module of a stored model, by way of the plugin's hook."""

from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.errors import LoadError, UntrustedError, UsageError
from torchinf_core.manager import ModelDownloader
from torchinf_core.plugins import load_plugins
from torchinf_core.refs import parse_ref
from torchinf_core.runtimes import Architecture, Artifact
from torchinf_core.testing import Hub
from torchinf_core.testing.github import Repo
from torchinf_core.testing.pytorch_org import add_checkpoint

torch = pytest.importorskip("torch")

Publish = Callable[..., Repo]
Describe = Callable[..., Architecture]

NETS = """
import torch
from utils import who


class Net(torch.nn.Module):
    def forward(self, x):
        import utils

        return x * utils.factor


def net(**arguments):
    return Net().train()


def words():
    return lambda text: text.split()


def pair():
    return Net(), (1, 2)


def nothing():
    return None


def text():
    return "model"


def kind():
    return Net
"""


@pytest.fixture
def describe(downloader: ModelDownloader) -> Describe:
    """What the plugin says of a stored model, as the core asks it."""

    def describe(name: str, ref: str = "") -> Architecture:
        record = downloader.get_record(name)
        artifact = Artifact(record, downloader.store.model_dir(record))
        plugins = load_plugins(downloader.settings)
        return plugins.architecture(artifact, parse_ref(ref or record.ref), downloader.settings)

    return describe


def build(architecture: Architecture) -> object:
    assert architecture.build is not None
    return architecture.build()


def publish_nets(publish: Publish, owner: str, factor: int) -> None:
    utils = f"who = {owner!r}\nfactor = {factor}"
    publish(f"{owner}/nets", {"hubconf.py": NETS, "utils.py": utils})


def test_the_module_of_the_entry_point_comes_with_its_weights_and_in_evaluation_mode(
    hub: Hub, publish: Publish, downloader: ModelDownloader, describe: Describe, checkpoint: bytes
) -> None:
    code = (
        "import torch\n"
        "def net(pretrained=False):\n"
        "    made = torch.nn.Linear(3, 1)\n"
        "    if pretrained:\n"
        "        made.load_state_dict(torch.hub.load_state_dict_from_url('URL'))\n"
        "    return made\n"
    )
    url = add_checkpoint(hub, "net", checkpoint)
    publish("ada/nets", {"hubconf.py": code.replace("URL", url)})
    downloader.download("hub:ada/nets/net", trust=True)
    asked = len(hub.requests)

    architecture = describe("net")
    module = build(architecture)

    assert architecture.complete
    assert (architecture.kind, architecture.pipeline) == ("array", None)
    assert architecture.name == "PyTorch Hub ada/nets/net"
    assert isinstance(module, torch.nn.Linear)
    assert not module.training
    assert module(torch.ones(2, 3)).tolist() == [[3.0], [3.0]]
    assert len(hub.requests) == asked


def test_two_repositories_with_modules_of_one_name_compute_side_by_side(
    publish: Publish, downloader: ModelDownloader, describe: Describe
) -> None:
    for owner, factor in (("ada", 2), ("bob", 3)):
        publish_nets(publish, owner, factor)
        downloader.download(f"hub:{owner}/nets/net", name=owner, trust=True)

    ada, bob = build(describe("ada")), build(describe("bob"))

    assert type(ada).__name__ == type(bob).__name__ == "Net"
    assert [ada(1), bob(1), ada(1)] == [2, 3, 2]  # type: ignore[operator]


def test_code_that_nobody_trusted_does_not_run_for_a_description_nor_for_a_module(
    publish: Publish, downloader: ModelDownloader, describe: Describe, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    publish("ada/nets", {"hubconf.py": f"open({str(marker)!r}, 'w').close()\ndef net(): ..."})
    downloader.download("hub:ada/nets/net")

    architecture = describe("net")
    with pytest.raises(UntrustedError, match="nobody has trusted"):
        build(architecture)

    assert not marker.exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("words", r"a function or class, words\.<locals>\.<lambda>"),
        ("pair", r"a tuple of 2 \(Net, tuple\)"),
        ("nothing", "None"),
        ("text", "a value of type str"),
        ("kind", "a function or class, Net"),
    ],
)
def test_what_is_no_module_is_refused_by_what_it_is(
    entry: str, said: str, publish: Publish, downloader: ModelDownloader, describe: Describe
) -> None:
    publish_nets(publish, "ada", 2)
    downloader.download(f"hub:ada/nets/{entry}", trust=True)

    with pytest.raises(LoadError, match=f"'{entry}' of '{entry}' returns {said}, not a torch mod"):
        build(describe(entry))


def test_arguments_of_the_download_reach_the_entry_point(
    publish: Publish, downloader: ModelDownloader, describe: Describe
) -> None:
    code = "import torch\ndef net(width): return torch.nn.Linear(width, 1)"
    publish("ada/nets", {"hubconf.py": code})
    downloader.download("hub:ada/nets/net", trust=True, arguments={"width": 5})

    assert build(describe("net")).in_features == 5  # type: ignore[attr-defined]


def test_packages_of_this_python_are_taken_where_the_setting_says_so(
    publish: Publish,
    downloader: ModelDownloader,
    describe: Describe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    files = {
        "hubconf.py": "import hypothesis, torch\ndef net(): return torch.nn.Identity()",
        "hypothesis/__init__.py": "raise ImportError('its compiled part is missing')",
    }
    publish("ada/nets", files)
    downloader.download("hub:ada/nets/net", trust=True)

    with pytest.raises(LoadError, match="compiled part"):
        build(describe("net"))
    monkeypatch.setenv("TORCHINF_HUB_INSTALLED", "hypothesis, torch")
    assert isinstance(build(describe("net")), torch.nn.Identity)


def test_a_repository_can_not_describe_the_file_of_another_source(
    publish: Publish, downloader: ModelDownloader, describe: Describe, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text("{}")
    downloader.download(str(tmp_path / "a.json"))

    with pytest.raises(UsageError, match="the files lack its code"):
        describe("a", "hub:ada/nets/net")


def test_the_settings_of_the_user_trust_owners_and_no_file_does(
    publish: Publish, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = publish("pytorch/nets", {"hubconf.py": "def net(): ..."}).sha
    downloader.download("hub:pytorch/nets/net")
    downloader.download(f"hub:pytorch/nets/net@{commit}", name="pinned")

    def trusted(name: str) -> bool:
        record = downloader.get_record(name)
        return load_plugins(downloader.settings).trusts(record, downloader.settings)

    assert not trusted("net")
    assert not trusted("pinned")
    monkeypatch.setenv("TORCHINF_HUB_TRUSTED_OWNERS", "torch.hub")
    assert trusted("pinned")
    assert not trusted("net")


def test_trusted_repositories_are_loaded_side_by_side_from_end_to_end(
    publish: Publish, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchinf_core.models import ModelManager

    publish_nets(publish, "ada", 2)
    publish_nets(publish, "bob", 3)
    downloader.download("hub:ada/nets/net", name="ada", trust=True)
    downloader.download("hub:bob/nets/net", name="bob")
    manager = ModelManager(downloader)

    ada = manager.load_model("ada", device="cpu")
    with pytest.raises(UntrustedError, match="nobody has trusted"):
        manager.load_model("bob", device="cpu")
    monkeypatch.setenv("TORCHINF_HUB_TRUSTED_OWNERS", "bob")
    monkeypatch.setenv("TORCHINF_HUB_TRUST_CHANGED_COMMITS", "yes")
    bob = manager.load_model("bob", device="cpu")

    ones = torch.ones(2, 3)
    assert torch.equal(ada.predict(ones), 2 * ones)
    assert torch.equal(bob.predict(ones), 3 * ones)
    assert torch.equal(ada.predict(ones), 2 * ones)
    manager.close()
