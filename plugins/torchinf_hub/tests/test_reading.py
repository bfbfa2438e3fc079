"""What reading a hubconf.py shows: entry points, dependencies, weights; nothing of it runs."""

import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from torchinf_core.errors import FormatError
from torchinf_hub.reading import Hubconf, Sources, Weights, find_weights, read_hubconf
from torchinf_hub.reading.sources import parse

A, B, C = (f"https://example.com/{name}.pth" for name in "abc")


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Hubconf]:
    return lambda **files: read_hubconf(sources_of(tmp_path, files))


@pytest.fixture
def weights(tmp_path: Path) -> Callable[..., Weights]:
    """What ``net`` of the given files fetches."""

    def weights(hubconf: str, arguments: Mapping[str, Any] | None = None, **files: str) -> Weights:
        sources = sources_of(tmp_path, {"hubconf": hubconf, **files})
        return find_weights(sources, read_hubconf(sources).entries["net"], arguments or {})

    return weights


def sources_of(root: Path, files: Mapping[str, str]) -> Sources:
    """Files by name; ``__`` stands for a slash and ``.py`` is added."""
    paths = {
        f"{name.replace('__', '/').replace('INIT', '__init__')}.py": t for name, t in files.items()
    }
    for path, text in paths.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return Sources(root, paths)


def urls(found: Weights) -> list[str]:
    return [download.url for download in found.downloads]


# ENTRY POINTS


def test_public_callables_are_entry_points_with_their_documentation(read) -> None:
    found = read(
        hubconf='''
from functools import partial as _partial
from functools import partial
import torch
import os.path as path
from typing import Optional
from torch import nn
from nets.deep import Net, make as built, TABLE, _hidden
from nets import deep

dependencies = ["torch", "numpy"]
VERSION = "1"


def tiny(pretrained=False, *, width: int = 3, **kwargs):
    """
    A tiny net.

    Args: many.
    """


async def later(): ...


def _private(): ...


class Large:
    "A large one."
    def __init__(self, depth): ...


again = tiny
small = partial(tiny, width=1)
short = lambda depth=1: None
computed = [f for f in ()] or None
if VERSION:
    def conditional(): "Here too."
try:
    from nets.deep import absent
except ImportError:
    def fallback(): ...
''',
        nets__INIT="",
        nets__deep=(
            "class Net:\n    'A class.'\ndef make(a, b): 'Made.'\nTABLE = {}\ndef _hidden(): ..."
        ),
    )
    assert {name: entry.summary for name, entry in found.entries.items()} == {
        "Large": "A large one.",
        "Net": "A class.",
        "again": "A tiny net.",
        "built": "Made.",
        "conditional": "Here too.",
        "fallback": "",
        "later": "",
        "short": "",
        "small": "A tiny net.",
        "tiny": "A tiny net.",
    }
    assert found.dependencies == ("torch", "numpy")
    assert found.computed == {"absent", "computed"}
    assert found.entries["tiny"].parameters == ("pretrained", "width")
    assert found.entries["tiny"].takes_any
    assert found.entries["Large"].parameters == ("self", "depth")


def test_everything_that_a_star_brings_is_an_entry_point(read) -> None:
    found = read(
        hubconf="from nets import *\nfrom more import *\nfrom outside import *",
        nets="__all__ = ['one']\ndef one(): ...\ndef two(): ...",
        more="def three(): 'Three.'\ndef _four(): ...",
    )
    assert list(found.entries) == ["one", "three"]


def test_names_of_other_distributions_may_be_entry_points_but_are_not_listed(read) -> None:
    found = read(hubconf="from timm.models import resnet18\nfrom json import loads\nx = make()")
    assert found.entries == {}
    assert found.computed == {"resnet18", "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dependencies = ['torch', 'torch', ' ']", ("torch",)),
        ("dependencies = ('a',)", ("a",)),
        ("from deps import dependencies", ("x", "y")),
        ("base = ['a']\ndependencies = base + ['b']", ("a", "b")),
        ("dependencies = [1]", None),
        ("dependencies = open('x').read().split()", None),
        ("", ()),
    ],
)
def test_dependencies_are_read_where_they_are_plain(read, text: str, expected: object) -> None:
    assert read(hubconf=text, deps="dependencies = ['x', 'y']").dependencies == expected


@pytest.mark.parametrize(
    "code", [b"def net(:", b"\0", b"(" * 5000, b"x = " + b"-" * 100_000 + b"1", b"\xff\xfe", b"  x"]
)
def test_what_is_not_python_is_refused(code: bytes) -> None:
    with pytest.raises(FormatError, match=r"hubconf\.py"):
        parse(code, "hubconf", "hubconf.py")


def test_a_source_in_another_encoding_is_read() -> None:
    code = "# -*- coding: latin-1 -*-\ndef net(): 'Größe'\n".encode("latin-1")
    assert "net" in parse(code, "hubconf", "hubconf.py").bindings


def test_a_missing_or_huge_hubconf_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FormatError, match=r"no hubconf\.py"):
        read_hubconf(Sources(tmp_path, []))
    (tmp_path / "hubconf.py").write_text("#" * 100)
    monkeypatch.setattr("torchinf_hub.reading.sources.MAX_SOURCE", 50)
    with pytest.raises(FormatError, match="larger"):
        read_hubconf(Sources(tmp_path, ["hubconf.py"]))


# WEIGHTS

IMPORT = "import torch\nfrom torch.hub import load_state_dict_from_url as get\n"


@pytest.mark.parametrize(
    "body",
    [
        f"torch.hub.load_state_dict_from_url({A!r}, progress=True)",
        f"torch.hub.load_state_dict_from_url(url={A!r})",
        f"get({A!r})",
        f"torch.hub.download_url_to_file({A!r}, 'x')",
        f"import torch.utils.model_zoo as zoo; zoo.load_url({A!r})",
        f"from torch.utils import model_zoo; model_zoo.load_url({A!r})",
        f"from torch.utils.model_zoo import load_url; load_url({A!r})",
        f"net = torch.nn.Linear(1, 1); net.load_state_dict(get({A!r}))",
        f"fetch = get; fetch({A!r})",
        f"url = {A!r}; get(url)",
        "base = 'https://example.com'; get(base + '/a.pth')",
        "name = 'a'; get(f'https://example.com/{name}.pth')",
        "get('https://example.com/%s.pth' % 'a')",
        "get('https://example.com/%(name)s.pth' % {'name': 'a'})",
        "get('https://example.com/{}.pth'.format('a'))",
        "get('https://example.com/{name:s}.pth'.format(name='a'))",
        "get('/'.join(['https://example.com', 'a.pth']))",
        "import os; get(os.path.join('https://example.com', 'a.pth'))",
        "from urllib.parse import urljoin; get(urljoin('https://example.com/b', 'a.pth'))",
        "get('HTTPS://example.com/a.pth'.lower())",
        "get('https://example.com/alpha.pth'[:21] + '.pth')",
        "get(dict(x='https://example.com/a.pth')['x'])",
        "get({'x': 'https://example.com/a.pth'}.get('x'))",
        "t = {}; t['x'] = 'https://example.com/a.pth'; get(t['x'])",
        "t = {}; t.update(x='https://example.com/a.pth'); get(t['x'])",
        "for u in ['https://example.com/a.pth']: get(u)",
        "for k, u in {'a': 'https://example.com/a.pth'}.items(): get(u)",
        "u, _ = ('https://example.com/a.pth', 1); get(u)",
        "u = 'https://example.com/'; u += 'a.pth'; get(u)",
        "with torch.no_grad(): get('https://example.com/a.pth')",
        "get(url) if (url := 'https://example.com/a.pth') else None",
        "from functools import partial; partial(get, 'https://example.com/a.pth')()",
        "(lambda u: get(u))('https://example.com/a.pth')",
        "get(*['https://example.com/a.pth'])",
        "get(**{'url': 'https://example.com/a.pth'})",
        "x = [get(u) for u in ()] or get('https://example.com/a.pth')",
    ],
)
def test_an_address_is_found_however_it_is_written(weights, body: str) -> None:
    line, _, rest = body.partition("; ")
    lines = "\n    ".join([line, *rest.split("; ")])
    assert urls(weights(f"{IMPORT}def net():\n    {lines}\n")) == [A]


def test_a_table_gives_the_entry_that_is_asked_for_and_no_other(weights) -> None:
    code = """
from nets.resnet import _resnet

def net(pretrained=False, progress=True, **kwargs):
    return _resnet("b", [3, 4], pretrained, progress, **kwargs)

def other(pretrained=False):
    return _resnet("a", [1], pretrained, True)
"""
    resnet = f"""
from .where import load_state_dict_from_url

model_urls = {{"a": {A!r}}}
model_urls["b"] = {B!r}

class ResNet:
    def __init__(self, arch, layers): ...

def _resnet(arch, layers, pretrained, progress, **kwargs):
    model = ResNet(arch, layers, **kwargs)
    if pretrained:
        state = load_state_dict_from_url(model_urls[arch], progress=progress)
        model.load_state_dict(state)
    return model
"""
    where = """
try:
    from torch.hub import load_state_dict_from_url
except ImportError:
    from torch.utils.model_zoo import load_url as load_state_dict_from_url
"""
    files = {"nets__INIT": "", "nets__resnet": resnet, "nets__where": where}
    assert urls(weights(code, {"pretrained": True}, **files)) == [B]
    assert urls(weights(code, {"pretrained": False}, **files)) == []
    assert urls(weights(code, **files)) == []


def test_helpers_that_make_names_are_followed(weights) -> None:
    code = """
import torch
from enum import Enum
from hub.names import BASE, make_name

class Weights(Enum):
    LARGE = "large"

def _make(*, arch="vit_large", patch=14, pretrained=True, weights=Weights.LARGE, **kwargs):
    if isinstance(weights, str):
        try:
            weights = Weights[weights]
        except KeyError:
            raise AssertionError(weights)
    name = make_name(arch, patch)
    if pretrained:
        torch.hub.load_state_dict_from_url(BASE + f"/{name}/{name}_{weights.value}.pth")

def net(*, pretrained=True, **kwargs):
    return _make(arch="vit_small", pretrained=pretrained, **kwargs)
"""
    names = """
BASE = "https://example.com/models"

def make_name(arch, patch, registers=0):
    compact = arch.replace("_", "")[:4]
    suffix = f"_reg{registers}" if registers else ""
    return f"v2_{compact}{patch}{suffix}"
"""
    expected = "https://example.com/models/v2_vits14/v2_vits14_large.pth"
    assert urls(weights(code, hub__INIT="", hub__names=names)) == [expected]


TORCHVISION = f"""
from torchvision.models._api import Weights, WeightsEnum
from torchvision.models._utils import handle_legacy_interface

class Net_Weights(WeightsEnum):
    V1 = Weights(url={A!r}, transforms=None, meta={{"num_params": 1}})
    V2 = Weights(url={B!r}, transforms=None, meta={{}})
    DEFAULT = V2

@handle_legacy_interface(weights=("pretrained", Net_Weights.V1))
def net(*, weights=None, progress=True, **kwargs):
    weights = Net_Weights.verify(weights) if False else weights
    if isinstance(weights, str):
        weights = Net_Weights[weights]
    if weights is not None:
        return weights.get_state_dict(progress=progress, check_hash=True)
"""


def test_members_of_enumerations_of_the_installed_torchvision_are_not_guessed(weights) -> None:
    """Without torchvision's own code nobody can see what get_state_dict does."""
    assert urls(weights(TORCHVISION, {"weights": "V2"})) == []


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"pretrained": True}, [A]),
        ({"pretrained": False}, []),
        ({"weights": "V2"}, [B]),
        ({"weights": "DEFAULT"}, [B]),
        ({}, []),
    ],
)
def test_enumerations_of_weights_are_read_as_torchvision_means_them(
    weights, arguments: dict[str, object], expected: list[str]
) -> None:
    api = """
from dataclasses import dataclass
from enum import Enum
from torch.hub import load_state_dict_from_url

@dataclass
class Weights:
    url: str
    transforms: object
    meta: dict

class WeightsEnum(Enum):
    @classmethod
    def verify(cls, obj):
        if obj is not None:
            if type(obj) is str:
                obj = cls[obj.replace(cls.__name__ + ".", "")]
            elif not isinstance(obj, cls):
                raise TypeError
        return obj

    def get_state_dict(self, *args, **kwargs):
        return load_state_dict_from_url(self.url, *args, **kwargs)

    @property
    def url(self):
        return self.value.url
"""
    files = {
        "torchvision__INIT": "",
        "torchvision__models__INIT": "",
        "torchvision__models___api": api,
    }
    found = weights(TORCHVISION, arguments, **files)
    assert urls(found) == expected
    assert all(download.checked for download in found.downloads)


def test_all_of_an_installed_torchvision_is_read_right(tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models")
    root = Path(models.__file__).parents[2]
    files = [p.relative_to(root).as_posix() for p in (root / "torchvision").rglob("*.py")]
    lines = [
        f"from {models.get_model_builder(name).__module__} import {name}"
        for name in models.list_models(module=models)
    ]
    (tmp_path / "hubconf.py").write_text("\n".join(lines))
    (tmp_path / "torchvision").symlink_to(root / "torchvision")
    sources = Sources(tmp_path, ["hubconf.py", *files])
    found = read_hubconf(sources)

    for name in models.list_models(module=models):
        members = {member.name: member.url for member in models.get_model_weights(name)}
        for member, url in members.items():
            assert urls(find_weights(sources, found.entries[name], {"weights": member})) == [url]
        if "IMAGENET1K_V1" in members:
            legacy = find_weights(sources, found.entries[name], {"pretrained": True})
            assert urls(legacy) == [members["IMAGENET1K_V1"]]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("if torch.cuda.is_available(): get(A)", [A]),
        ("if torch.cuda.is_available():\n  get(A)\n else:\n  get(B)", []),
        ("if torch.cuda.is_available():\n  get(A)\n else:\n  get(A)", [A]),
        ("if torch.cuda.is_available():\n  return get(A)\n return get(B)", []),
        ("if torch.cuda.is_available():\n  raise OSError\n return get(B)", [B]),
        ("if torch.cuda.is_available():\n  x = 1\n else:\n  return get(A)\n get(B)", []),
        ("get(C)\n if torch.cuda.is_available():\n  get(A)\n else:\n  get(B)\n get(C)", [C]),
        ("match torch.version.cuda:\n  case None:\n   get(A)\n  case _:\n   get(B)", []),
        ("u = A if torch.cuda.is_available() else B\n get(u)", []),
        ("while torch.rand(1):\n  get(A)\n  break", [A]),
        ("for u in torch.rand(3):\n  get(u)", []),
        ("for u in [A, B]:\n  get(u)\n  break", [A]),
        ("for u in [A, B]:\n  if u == A: continue\n  get(u)", [B]),
        ("try:\n  get(A)\n except OSError:\n  get(B)", [A]),
        ("return None\n get(A)", []),
        ("get(torch.rand(1))", []),
        ("get('ftp://example.com/x')", []),
        ("undefined(A)", []),
        ("print(A)", []),
    ],
)
def test_of_what_only_a_run_decides_nothing_is_taken(
    weights, body: str, expected: list[str]
) -> None:
    code = f"{IMPORT}A, B, C = {A!r}, {B!r}, {C!r}\ndef net():\n {body}\n"
    found = weights(code)
    assert urls(found) == expected


def test_what_is_left_open_is_said(weights) -> None:
    found = weights(
        f"{IMPORT}import os\ndef net():\n get(os.environ['X'])\n torch.hub.load('bob/nets', 'x')\n"
        f" if os.name:\n  get({A!r})\n else:\n  get({B!r})\n"
    )
    assert len(found.open) == 2
    assert found.repositories == ("bob/nets",)
    assert found.downloads == ()


def test_digits_are_to_be_compared_where_the_code_says_so(weights) -> None:
    found = weights(
        f"{IMPORT}def net():\n get({A!r}, check_hash=True)\n get({A!r})\n get({B!r})\n"
        f" torch.hub.download_url_to_file({C!r}, 'x', hash_prefix='0123')\n"
    )
    assert [(d.url, d.checked) for d in found.downloads] == [(A, True), (B, False), (C, True)]


def test_code_that_never_ends_is_left(weights) -> None:
    deep = "def net(n=0):\n" + "".join(f"    net(n + {i})\n" for i in range(20))
    assert weights(deep).open
    circle = weights("from nets import x\ndef net():\n    return x", nets="from hubconf import x")
    assert circle.downloads == ()
    assert weights("x = y\ny = x\ndef net(): return x").downloads == ()
    assert weights("class A(A): ...\ndef net(): return A().x").downloads == ()


@pytest.mark.parametrize(
    "body",
    [
        "'{:9999999999}'.format(1)",
        "f'{1:>9999999999}'",
        "'%9999999999d' % 1",
        "'%*d' % (9999999999, 1)",
        "'x' * 9999999999",
        "10 ** 10 ** 10",
        "'x'.ljust(9999999999)",
        "'{0.__class__.__mro__}'.format(1)",
        "[0] * 9999999999",
        "'a'.replace('', 'b' * 4096)",
    ],
)
def test_a_line_that_wants_all_the_memory_does_not_get_it(weights, body: str) -> None:
    doubled = "    t = t + t\n" * 60
    found = weights(
        f"{IMPORT}def net():\n    t = 'abcdefgh'\n{doubled}    x = {body}\n"
        "    get('https://a/' + str(x))\n    get('https://a/' + t)\n"
    )
    assert found.downloads == ()


def test_reading_loads_nothing_and_runs_nothing(weights, tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    code = f"open({str(marker)!r}, 'w')\nimport nets\ndef net():\n    open({str(marker)!r}, 'w')"
    before = set(sys.modules)
    weights(code, nets=f"open({str(marker)!r}, 'w')")
    assert not marker.exists()
    assert {"torch", "hubconf", "nets"}.isdisjoint(set(sys.modules) - before)


# ANYTHING

lines = st.sampled_from(
    [
        *(
            "import torch",
            "from torch.hub import load_state_dict_from_url as get",
            "from m import *",
        ),
        *("x = y = z = {}", "x, (y, *z) = x", "x[y] = get", "x += 'https://a/b'", "del x"),
        *("def net(x=1, *y, k=2, **z):", "class K(K, x):", "async def f(x):", "lambda: x"),
        *(
            "if x:",
            "else:",
            "for x in y:",
            "while x:",
            "try:",
            "except x:",
            "finally:",
            "with x as y:",
        ),
        *(
            "match x:",
            "case {'a': y, **z}:",
            "return get(x)",
            "yield x",
            "raise x",
            "break",
            "continue",
        ),
        *("get(f'https://{x!r:>{y}}')", "net(*x, **z)", "x.y.z = K()", "K.a['b'](net)", "global x"),
        *(
            "get([x for x in y if z])",
            "x = x if y else z",
            "y = x and z or not y",
            "x < y in z is x",
        ),
        *(
            "dependencies = [x]",
            "pass",
            "@property",
            "x: int = 1",
            "print(x := (y, z))",
            "x = K().f",
        ),
    ]
)
shapes = st.lists(st.tuples(st.integers(0, 3), lines), max_size=25)


@given(shapes)
@settings(max_examples=200)
def test_any_program_is_read_or_refused(shape: list[tuple[int, str]]) -> None:
    check("\n".join("    " * depth + line for depth, line in shape).encode())


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    check(text.encode(errors="surrogatepass") if isinstance(text, str) else text)


def check(code: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("hubconf.py", "m.py"):
            (root / name).write_bytes(code)
        sources = Sources(root, ["hubconf.py", "m.py"])
        try:
            found = read_hubconf(sources)
        except FormatError:
            return
        for entry in found.entries.values():
            result = find_weights(sources, entry, {"pretrained": True})
            assert all(url.startswith("https://") for url in urls(result))
