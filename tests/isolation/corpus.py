"""Hostile plugins, each with what is to be said of it and what using it ends with."""

from __future__ import annotations

from dataclasses import dataclass

SOURCES = (
    "@hookimpl\ndef sources():\n    yield SourceInfo('bad', ('bad',), 'w', ('bad:x',), (), True)\n"
)
SEARCH = "@hookimpl\ndef search(pattern):\n    return ()\n"
PLAN = (
    "@hookimpl\ndef resolve(ref):\n"
    "    file = RemoteFile('w.bin', 'file:///nowhere/w.bin', 6)\n"
    "    return Plan(ref, 'bad-x', (file,))\n"
)
GOOD = SOURCES + SEARCH + PLAN


def published(url: str, sha256: str) -> str:
    """The source ``good``, which publishes the digest of its only file."""
    file = f"RemoteFile('w.bin', {url!r}, sha256={sha256!r})"
    source = SOURCES.replace("'bad'", "'good'")
    return f"{source}{SEARCH}@hookimpl\ndef resolve(ref): return Plan(ref, 'x', ({file},))\n"


def resolving(body: str) -> str:
    """A source whose ``resolve`` does this."""
    return f"{SOURCES}{SEARCH}@hookimpl\ndef resolve(ref):\n    {body}\n"


def with_hook(signature: str, body: str) -> str:
    """A source of a file on a server, with one more hook."""
    remote = GOOD.replace("file:///nowhere/w.bin", "https://127.0.0.1:9/w.bin")
    return f"{remote}@hookimpl\ndef {signature}:\n    {body}\n"


@dataclass(frozen=True)
class Hostile:
    """A plugin called ``bad``.

    Attributes:
        code: of its module; None when the module is missing.
        state: what ``torchinf plugins`` is to show.
        says: part of the problem there, or of the error when it is ``ok``.
        exit_code: of ``torchinf download bad:x``.
        value: of its entry point, when that is not its module.
        group: of its entry point.
    """

    code: str | None
    state: str = "ok"
    says: str = ""
    exit_code: int = 9
    value: str = ""
    group: str = "torchinf.v1"


UNUSABLE = {
    "import error": Hostile("import no_such_package", "broken", "No module named"),
    "syntax error": Hostile("x = = 1", "broken", "SyntaxError"),
    "bytes that are no source": Hostile("x = '\0'", "broken", "null bytes"),
    "recursion at import": Hostile("def f(): f()\nf()", "broken", "RecursionError"),
    "exit at import": Hostile("raise SystemExit(0)", "broken", "SystemExit: 0"),
    "an error no program expects": Hostile(
        "class Odd(BaseException): pass\nraise Odd('so there')", "broken", "Odd: so there"
    ),
    "an error in several lines": Hostile(
        "raise ValueError('one\\ntwo\\x1b[31m')", "broken", "ValueError: one two"
    ),
    "misspelt hook": Hostile(
        SOURCES + "@hookimpl\ndef reslove(ref): ...", "broken", "did you mean 'resolve'?"
    ),
    "default argument": Hostile(
        SOURCES + "@hookimpl\ndef resolve(ref, options=None): ...", "broken", "has a default"
    ),
    "sources of a wrong type": Hostile(
        "@hookimpl\ndef sources(): return 'bad'\n" + PLAN, "broken", "instead of an iterable"
    ),
    "raising in sources": Hostile(
        "@hookimpl\ndef sources(): raise OSError('no')\n" + PLAN, "broken", "OSError: no"
    ),
    "module missing": Hostile(None, "broken", "No module named"),
    "malformed entry point": Hostile(GOOD, "broken", "Empty module name", value=":::"),
    "entry point to no attribute": Hostile(GOOD, "broken", "no attribute", value="json:a.b"),
    "other API version": Hostile(GOOD, "incompatible", "made for torchinf.v9", group="torchinf.v9"),
}
"""Plugins that are left out; the CLI says why."""

MISCHIEF = {
    "prints at import": Hostile("print('NOISE')\n" + GOOD),
    "prints in its hooks": Hostile(
        GOOD.replace("    yield", "    print('NOISE')\n    yield").replace(
            "    file =", "    print('NOISE')\n    file ="
        )
    ),
    "closes what it prints to": Hostile("import sys\nsys.stdout = None\n" + GOOD),
    "forgets modules": Hostile("import sys\nsys.modules.pop('json', None)\n" + GOOD),
    "forgets the core": Hostile(
        "import sys\nfor name in [n for n in sys.modules if n.startswith('torchinf_core')]:\n"
        "    del sys.modules[name]\n" + GOOD
    ),
    "empties the environment": Hostile("import os\nos.environ.clear()\n" + GOOD),
    "leaves the folder": Hostile("import os\nos.chdir('/')\n" + GOOD),
    "replaces a core command": Hostile(
        GOOD + "@hookimpl\ndef commands(app):\n    app.command('list')(lambda: print('NOISE'))\n"
    ),
    "raises when asked for commands": Hostile(
        GOOD + "@hookimpl\ndef commands(app):\n    raise SystemExit(7)\n", state="limited"
    ),
}
"""Plugins that work, and do what they should not while they are loaded."""

IN_USE = {
    "resolve raises": Hostile(resolving("raise ValueError('no')"), says="ValueError: no"),
    "resolve exits": Hostile(resolving("raise SystemExit(0)"), says="SystemExit: 0"),
    "resolve raises what no program expects": Hostile(
        resolving("raise type('Odd', (BaseException,), {})('so there')"), says="Odd: so there"
    ),
    "resolve gives a text": Hostile(resolving("return 'x'"), says="instead of a Plan"),
    "resolve gives nothing": Hostile(resolving("return None"), says="instead of a Plan"),
    "resolve never ends calling itself": Hostile(
        resolving("return resolve(ref)"), says="RecursionError"
    ),
    "fetch raises": Hostile(with_hook("fetch(plan, into)", "1 / 0"), says="failed in fetch"),
    "fetch gives a text": Hostile(
        with_hook("fetch(plan, into)", "return 'yes'"), says="instead of True or False"
    ),
    "token raises": Hostile(with_hook("token(hostname)", "1 / 0"), says="failed in token"),
    "lying digest": Hostile(
        with_hook(
            "fetch(plan, into)", "(into / 'w.bin').write_bytes(b'123456'); return True"
        ).replace("w.bin', 6)", "w.bin', 6, 'f' * 64)"),
        says="w.bin",
        exit_code=5,
    ),
}
"""Plugins that are found to be bad only when they are used."""


def planning(
    path: str = "'w.bin'", url: str = "'https://h/w'", more: str = "", plan: str = ""
) -> str:
    """A source whose plan has one file, made of these arguments."""
    return resolving(f"return Plan(ref, 'b', (RemoteFile({path}, {url}{more}),){plan})")


PLANS = {
    "huge": (
        resolving("return Plan(ref, 'b', (RemoteFile('w', 'https://h/w'),) * 200_001)"),
        "200001 files",
    ),
    "path escape": (planning("'../w.bin'"), "has the component '..'"),
    "absolute path": (planning("'/etc/passwd'"), "it is absolute"),
    "drive letter": (planning("'C:w.bin'"), "it is absolute"),
    "backslash": (planning("'a\\\\w.bin'"), "holds a backslash"),
    "device of Windows": (planning("'aux.bin'"), "Windows reserves"),
    "two paths that are one": (
        resolving(
            "files = (RemoteFile('W', 'https://h/W'), RemoteFile('w', 'https://h/w')); "
            "return Plan(ref, 'b', files)"
        ),
        "are one on some file systems",
    ),
    "negative size": (planning(more=", -1"), "size is -1"),
    "impossible size": (planning(more=", 1 << 63"), "size is 92233720368"),
    "program as URL": (planning(url="'ftp://h/w'"), "neither https nor http"),
    "file of this machine": (planning(url="'file:///etc/passwd'"), "names a local file"),
    "URL without a host": (planning(url="'https:///w'"), "names no host"),
    "digest in upper case": (planning(more=", 6, 'F' * 64"), "not lower-case hex"),
    "relative copy": (planning(more=", 6, 'f' * 64, local=('w',)"), "absolute paths"),
    "control characters": (planning(plan=", revision='a\\x1b[31m'"), "holds control characters"),
    "name that suggests none": (resolving("return Plan(ref, '...', ())"), "suggests no name"),
}
"""Sources with a plan that no source may make, and what is to be said of it."""

WRITTEN = {
    "nothing": ("pass", "did not write exactly the planned files: w.bin"),
    "too much": (
        "(into / 'w.bin').write_bytes(b'123456'); (into / 'x').touch()",
        "did not write exactly the planned files: x",
    ),
    "a link": ("(into / 'w.bin').symlink_to('/etc/passwd')", "which is no regular file"),
}
"""What a ``fetch`` does before it says that all is done, and what is to be said of that."""

SPOILING = """
from dataclasses import replace
@hookimpl(wrapper=True)
def resolve():
    plan = yield
    return replace(plan, files=(replace(plan.files[0], path="/etc/passwd"),))
"""
"""A wrapper that spoils the plans of all sources."""

TOY = """
from torchinf_core import Claim, Predictor, Signature, TensorSpec, Trust
@hookimpl
def sources():
    yield SourceInfo("toy", ("toy",), "a toy", ("toy:x",))
@hookimpl
def resolve(ref):
    file = RemoteFile("toy.json", "https://127.0.0.1:9/toy.json", 3)
    return Plan(ref, "toy", (file,), format="toy", trust=Trust.DATA)
@hookimpl
def fetch(plan, into):
    (into / "toy.json").write_text("[2]")
    return True
@hookimpl
def claim(artifact):
    mine = artifact.format == "toy"
    return Claim(100 if mine else 0, "cpu", "made for toys" if mine else "no toy")
@hookimpl
def load(artifact, claim, options):
    if artifact.describable:
        artifact.architecture()
    return Toy(artifact, claim, Signature((TensorSpec("x", "float32", ("batch", 1)),)), options)
class Toy(Predictor):
    def run(self, feeds):
        return {"y": feeds["x"] * 2}
"""
"""A source and runtime without a fault: ``torchinf run toy:x x.npy`` doubles."""

ALWAYS = {
    "raises": ("1 / 0", "ZeroDivisionError"),
    "gives a text": ("return 'x'", "a value of type str"),
    "exits": ("raise SystemExit(0)", "SystemExit: 0"),
    "raises what no program expects": (
        "raise type('Odd', (BaseException,), {})('so there')",
        "Odd: so there",
    ),
}
"""What a hook may do instead of its work, and what is to be said of it."""
