"""Running trusted code: apart from everything else, offline, from verified files."""

import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from torchinf_core.errors import (
    IntegrityError,
    LoadError,
    MissingDependencyError,
    ModelNotFoundError,
    NotCachedError,
    UntrustedError,
    UsageError,
)
from torchinf_core.manager import ModelDownloader
from torchinf_core.testing import Hub
from torchinf_core.testing.github import Repo
from torchinf_core.testing.pytorch_org import add_checkpoint
from torchinf_hub.running import load

torch = pytest.importorskip("torch")

Publish = Callable[..., Repo]

PRETRAINED = """
import torch
from torch.hub import load_state_dict_from_url


def net(pretrained=False):
    "A net."
    made = torch.nn.Linear(3, 1)
    if pretrained:
        made.load_state_dict(load_state_dict_from_url("URL", progress=False, check_hash=True))
    return made
"""


@pytest.fixture
def get(downloader: ModelDownloader) -> Callable[..., Path]:
    def get(ref: str, **more: object) -> Path:
        return downloader.download(ref, **{"trust": True, **more})[0]

    return get


def test_a_trusted_model_is_loaded_offline_from_its_recorded_weights(
    hub: Hub, publish: Publish, downloader: ModelDownloader, checkpoint: bytes
) -> None:
    url = add_checkpoint(hub, "net", checkpoint)
    publish("ada/nets", {"hubconf.py": PRETRAINED.replace("URL", url)})
    downloader.download("hub:ada/nets/net", trust=True)
    asked = len(hub.requests)

    net = load("net", downloader=downloader)

    assert net(torch.ones(1, 3)).item() == 3.0
    assert len(hub.requests) == asked


def test_arguments_win_over_those_of_the_download(
    hub: Hub, publish: Publish, downloader: ModelDownloader, get, checkpoint: bytes
) -> None:
    url = add_checkpoint(hub, "net", checkpoint)
    publish("ada/nets", {"hubconf.py": PRETRAINED.replace("URL", url)})
    get("hub:ada/nets/net")

    bare = load("net", downloader=downloader, pretrained=False)

    assert not torch.equal(bare.weight, torch.ones(1, 3))


def test_code_that_nobody_trusted_does_not_run(
    publish: Publish, downloader: ModelDownloader, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    publish("ada/nets", {"hubconf.py": f"open({str(marker)!r}, 'w').close()\ndef net(): ..."})
    path, info = downloader.download("hub:ada/nets/net")

    for model in ("net", "hub:ada/nets/net", path, info, info.record):
        with pytest.raises(UntrustedError) as caught:
            load(model, downloader=downloader)

    assert "ada/nets at " in str(caught.value)
    assert "torchinf trust net" in caught.value.hint
    assert not marker.exists()
    downloader.trust("net")
    load(info.record, downloader=downloader)
    assert marker.exists()


def test_trust_that_was_taken_back_counts_also_for_an_old_record(
    publish: Publish, downloader: ModelDownloader
) -> None:
    publish("ada/nets", {"hubconf.py": "def net(): return 1"})
    _, info = downloader.download("hub:ada/nets/net", trust=True)
    downloader.trust("net", revoke=True)
    with pytest.raises(UntrustedError):
        load(info, downloader=downloader)


def test_two_repositories_with_their_own_utils_live_side_by_side(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    code = "from utils import who\nimport utils as other\ndef {0}(): return who(), other.__file__"
    for owner in ("ada", "bob"):
        publish(
            f"{owner}/nets",
            {"hubconf.py": code.format(owner), "utils.py": f"def who(): return {owner!r}"},
        )
        get(f"hub:{owner}/nets/{owner}")

    first, second, again = (load(name, downloader=downloader) for name in ("ada", "bob", "ada"))

    assert (first[0], second[0]) == ("ada", "bob")
    assert first == again
    assert first[1] != second[1]


def test_the_programs_own_modules_are_neither_seen_nor_touched(
    publish: Publish, downloader: ModelDownloader, get, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = types.ModuleType("nets")
    mine.who = "the program"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nets", mine)
    publish(
        "ada/nets",
        {"hubconf.py": "import nets.deep as d\ndef net(): return d.who", "nets/deep.py": "who = 1"},
    )
    get("hub:ada/nets/net")

    assert load("net", downloader=downloader) == 1
    assert sys.modules["nets"] is mine


def test_imports_inside_functions_that_run_later_find_the_right_module(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    lazy = """
class Net:
    def __call__(self):
        import utils
        import nets.deep
        from nets import layer
        from nets.deep import who as deep_who
        return utils.who, nets.deep.who, layer.who, deep_who

def {0}():
    return Net()
"""
    for owner in ("ada", "bob"):
        publish(
            f"{owner}/nets",
            {
                "hubconf.py": lazy.format(owner),
                "utils.py": f"who = 'utils of {owner}'",
                "nets/__init__.py": "",
                "nets/deep.py": "from .layer import who\nwho = 'deep, ' + who",
                "nets/layer.py": f"who = 'layer of {owner}'",
            },
        )
        get(f"hub:{owner}/nets/{owner}")

    nets = {owner: load(owner, downloader=downloader) for owner in ("ada", "bob")}

    for owner, net in nets.items():
        deep = f"deep, layer of {owner}"
        expected = (f"utils of {owner}", deep, f"layer of {owner}", deep)
        assert net() == expected
        results: list[object] = []
        thread = threading.Thread(target=lambda: results.append(net()))  # noqa: B023 - joined here
        thread.start()
        thread.join()
        assert results == [expected]


def test_modules_named_at_run_time_and_pickles_are_found_while_loading(
    publish: Publish, downloader: ModelDownloader, get, tmp_path: Path
) -> None:
    publish(
        "ada/nets",
        {
            "hubconf.py": (
                "import importlib, pickle\n"
                "def net():\n"
                "    module = importlib.import_module('nets.deep')\n"
                "    copy = pickle.loads(b'cnets.deep\\nNet\\n.')\n"
                "    return module.Net is copy, module.__spec__.name == module.__name__\n"
            ),
            "nets/__init__.py": "",
            "nets/deep.py": "class Net: ...",
        },
    )
    get("hub:ada/nets/net")
    assert load("net", downloader=downloader) == (True, True)


def test_code_may_add_its_own_folders_to_the_path(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    publish(
        "ada/nets",
        {
            "hubconf.py": (
                "import os, sys\n"
                "sys.path.append(os.path.join(os.path.dirname(__file__), 'source'))\n"
                "from inner.deep import who\n"
                "def net():\n"
                "    from inner.deep import who as again\n"
                "    return who, again\n"
            ),
            "source/inner/__init__.py": "",
            "source/inner/deep.py": "who = 'inner'",
        },
    )
    get("hub:ada/nets/net")
    assert load("net", downloader=downloader) == ("inner", "inner")


def test_a_loaded_model_can_be_copied_and_pickled_within_the_process(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    import pickle

    publish(
        "ada/nets",
        {
            "hubconf.py": "from nets import Net\ndef net(): return Net()",
            "nets.py": "import torch\nclass Net(torch.nn.Linear):\n"
            "    def __init__(self): super().__init__(2, 2)",
        },
    )
    get("hub:ada/nets/net")
    net = load("net", downloader=downloader)
    assert type(pickle.loads(pickle.dumps(net))) is type(net)


def test_the_standard_library_stays_what_it_is(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    publish(
        "ada/nets",
        {
            "hubconf.py": "import json, torch\ndef net(): return json.dumps([1]), torch.__name__",
            "json.py": "raise RuntimeError",
            "torch.py": "raise RuntimeError",
        },
    )
    get("hub:ada/nets/net")
    assert load("net", downloader=downloader) == ("[1]", "torch")


def test_installed_packages_are_taken_when_asked_for(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    files = {
        "hubconf.py": "import hypothesis as h\ndef net(): return h.__name__, h.__file__",
        "hypothesis/__init__.py": "raise ImportError('its compiled part is missing')",
    }
    publish("ada/nets", files)
    path = get("hub:ada/nets/net")

    with pytest.raises(LoadError, match="compiled part") as caught:
        load("net", downloader=downloader)
    assert "installed=['hypothesis']" in caught.value.hint
    name, file = load("net", downloader=downloader, installed=["hypothesis"])
    assert name == "hypothesis"
    assert not file.startswith(str(path))


def test_changed_source_and_left_over_bytecode_do_not_run(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    publish(
        "ada/nets",
        {"hubconf.py": "def net():\n    from late import x\n    return x", "late.py": "x = 1"},
    )
    path = get("hub:ada/nets/net")
    late = path / "late.py"
    status = late.stat()
    late.chmod(0o644)
    late.write_bytes(b"x = 2")
    import os

    os.utime(late, ns=(status.st_atime_ns, status.st_mtime_ns))

    with pytest.raises(IntegrityError, match=r"late\.py is not what was downloaded"):
        load("net", downloader=downloader)
    assert list(path.rglob("__pycache__")) == []


def test_a_damaged_model_is_not_loaded(publish: Publish, downloader: ModelDownloader, get) -> None:
    publish("ada/nets", {"hubconf.py": "def net(): return 1"})
    path = get("hub:ada/nets/net")
    path.unlink()
    with pytest.raises(IntegrityError, match="damaged") as caught:
        load("net", downloader=downloader)
    assert "torchinf download" in caught.value.hint


def test_a_download_that_was_not_recorded_is_refused_with_the_way_to_record_it(
    hub: Hub, publish: Publish, downloader: ModelDownloader, get, checkpoint: bytes
) -> None:
    url = add_checkpoint(hub, "net", checkpoint)
    code = (
        "import os, torch\n"
        "def net():\n"
        f"    url = os.environ.get('NOWHERE', {url!r})\n"
        "    return torch.hub.load_state_dict_from_url(url)\n"
        "def other(fetch):\n"
        f"    return fetch({url!r}, 'target')\n"
    )
    publish("ada/nets", {"hubconf.py": code})
    get("hub:ada/nets/net")
    asked = len(hub.requests)

    with pytest.raises(NotCachedError, match="was not recorded") as caught:
        load("net", downloader=downloader)
    # A function that somebody took from torch.hub before is held up as well.
    with pytest.raises(NotCachedError):
        load("net", "other", downloader=downloader, fetch=torch.hub.download_url_to_file)

    assert "torchinf hub capture net" in caught.value.hint
    assert len(hub.requests) == asked


def test_files_are_put_where_the_code_wants_them(
    hub: Hub, publish: Publish, downloader: ModelDownloader, get, tmp_path: Path
) -> None:
    url = hub.add("/words.txt", b"one two")
    code = (
        "import os, torch\n"
        "def net(into):\n"
        f"    torch.hub.download_url_to_file({url!r}, into)\n"
        f"    torch.hub.download_url_to_file({url!r}, into)\n"
        "    return torch.hub.get_dir()\n"
    )
    publish("ada/nets", {"hubconf.py": code})
    get("hub:ada/nets/net", arguments={"into": "words.txt"})
    own = torch.hub.get_dir()

    folder = load("net", downloader=downloader, into=str(tmp_path / "words.txt"))

    assert (tmp_path / "words.txt").read_bytes() == b"one two"
    assert not (tmp_path / "words.txt").is_symlink()
    assert folder != own == torch.hub.get_dir()


def test_code_finds_itself_below_torch_hubs_directory(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    code = (
        "import torch\n"
        "def net():\n"
        "    from pathlib import Path\n"
        "    return Path(torch.hub.get_dir(), 'ada_nets_master/words.txt').read_text()\n"
    )
    publish("ada/nets", {"hubconf.py": code, "words.txt": "one"}, default="master")
    get("hub:ada/nets/net")
    assert load("net", downloader=downloader) == "one"


def test_the_code_of_another_repository_has_to_be_trusted_by_itself(
    publish: Publish, downloader: ModelDownloader, get, hub: Hub
) -> None:
    code = "import torch\ndef net(): return torch.hub.load('bob/nets', 'other', trust_repo=True)"
    publish("ada/nets", {"hubconf.py": code})
    get("hub:ada/nets/net")
    with pytest.raises(UntrustedError, match="another repository: bob/nets"):
        load("net", downloader=downloader)


def test_a_missing_dependency_is_named_before_anything_runs(
    publish: Publish, downloader: ModelDownloader, get, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w').close()\ndef net(): ...\n"
    needs = "dependencies = ['torch', 'cv2_absent', 'yaml_absent']\n"
    publish("ada/nets", {"hubconf.py": needs + code})
    get("hub:ada/nets/net")
    with pytest.raises(MissingDependencyError) as caught:
        load("net", downloader=downloader)
    assert caught.value.hint == "pip install cv2_absent yaml_absent"
    assert not marker.exists()


def test_failing_code_is_a_load_error_with_its_cause(
    publish: Publish, downloader: ModelDownloader, get
) -> None:
    publish("ada/nets", {"hubconf.py": "def net(): return 1 / 0\ndef other(): return 2"})
    get("hub:ada/nets/net")
    with pytest.raises(LoadError, match="ZeroDivisionError: division by zero") as caught:
        load("net", downloader=downloader)
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert load("net", "other", downloader=downloader) == 2
    with pytest.raises(ModelNotFoundError):
        load("net", "__import__", downloader=downloader)


def test_only_models_of_this_source_are_loaded(downloader: ModelDownloader, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    downloader.download(str(tmp_path / "a.json"))
    with pytest.raises(UsageError, match="no model of PyTorch Hub"):
        load("a", downloader=downloader)
    with pytest.raises(NotCachedError):
        load(tmp_path, downloader=downloader)


# OWNERS


OLD = {"hubconf.py": "def net(): return 'old'"}


def test_owners_are_trusted_by_a_setting_for_commits_that_were_named(
    publish: Publish, downloader: ModelDownloader, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = publish("pytorch/nets", OLD).sha
    downloader.download("hub:pytorch/nets/net")
    downloader.download(f"hub:pytorch/nets:{commit}/net", name="named")
    downloader.download(f"hub:pytorch/nets/net@{commit}", name="pinned")

    for name in ("net", "named", "pinned"):
        with pytest.raises(UntrustedError):
            load(name, downloader=downloader)
    monkeypatch.setenv("TORCHINF_HUB_TRUSTED_OWNERS", "ada, torch.hub")
    assert load("named", downloader=downloader) == load("pinned", downloader=downloader) == "old"
    with pytest.raises(UntrustedError):
        load("net", downloader=downloader)
    monkeypatch.setenv("TORCHINF_HUB_TRUST_CHANGED_COMMITS", "yes")
    assert load("net", downloader=downloader) == "old"
    monkeypatch.setenv("TORCHINF_HUB_TRUSTED_OWNERS", "ada")
    with pytest.raises(UntrustedError):
        load("named", downloader=downloader)


@pytest.mark.parametrize(
    ("variable", "value"), [("TRUST_CHANGED_COMMITS", "perhaps"), ("TRUSTED_OWNERS", "pytorch")]
)
def test_a_setting_that_means_nothing_is_an_error(
    publish: Publish,
    downloader: ModelDownloader,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    publish("pytorch/nets", OLD)
    downloader.download("hub:pytorch/nets/net")
    monkeypatch.setenv("TORCHINF_HUB_TRUSTED_OWNERS", "pytorch")
    monkeypatch.setenv(f"TORCHINF_HUB_{variable}", value)
    with pytest.raises(UsageError if value == "perhaps" else UntrustedError):
        load("net", downloader=downloader)


def test_a_new_commit_has_to_be_trusted_anew(
    publish: Publish, downloader: ModelDownloader, tmp_path: Path
) -> None:
    repo = publish("ada/nets", OLD)
    downloader.download("hub:ada/nets/net", trust=True)
    assert load("net", downloader=downloader) == "old"
    repo.commit({"hubconf.py": b"def net(): return 'new'"})
    downloader.download("hub:ada/nets/net", update=True)
    with pytest.raises(UntrustedError):
        load("net", downloader=downloader)
    downloader.trust("net")
    assert load("net", downloader=downloader) == "new"
