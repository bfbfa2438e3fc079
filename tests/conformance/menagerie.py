"""Plugins that keep the contract; the mutants are these with one thing changed."""

from __future__ import annotations

import hashlib
import json
import struct

import httpx

HEADER = json.dumps({"weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}}).encode()
WEIGHTS = struct.pack("<Q", len(HEADER)) + HEADER + struct.pack("<4f", 1, 2, 3, 4)
OTHER = struct.pack("<Q", len(HEADER)) + HEADER + struct.pack("<4f", 5, 6, 7, 8)

SOURCE = '''
"""A source with everything that a source may have."""

from fnmatch import fnmatchcase

from torchinf_core import (
    AccessDeniedError, Architecture, ModelNotFoundError, Plan, RefError, RemoteFile, SearchHit,
    SourceError, SourceInfo, hookimpl,
)

HOST = "https://menagerie.example"


@hookimpl
def sources():
    yield SourceInfo(
        "menagerie", ("menagerie",), "Beasts", ("menagerie:cat@1",), searchable=True
    )


@hookimpl
def resolve(ref, host):
    if not ref.locator.isalnum() or not (ref.revision or "x").isalnum():
        raise RefError(f"there can be no {ref.locator[:80]!r}")
    index = host.http.get(f"{HOST}/index.json").raise_for_status()
    try:
        beasts = index.json()
        if not isinstance(beasts, dict) or "cat" not in beasts:
            raise SourceError("the menagerie's index is none")
        if ref.locator not in beasts:
            raise ModelNotFoundError(f"there is no {ref}")
        beast = beasts[ref.locator]
        tag = ref.revision or beast["latest"]
        if tag in beast["tags"]:
            tag = beast["tags"][tag]
        if tag not in beast["revisions"]:
            raise ModelNotFoundError(f"there is no {ref}")
        entry = beast["revisions"][tag]
        path, size, sha256 = entry["path"], entry["size"], entry["sha256"]
        url = f"{HOST}/files/{sha256}"
        file = RemoteFile(path, url, size=size, sha256=sha256)
        return Plan(ref, "cat", (file,), revision=tag, format="safetensors")
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise SourceError("the menagerie's index is none") from None


@hookimpl
def search(pattern, host):
    names = host.json(f"{HOST}/index.json")
    if not isinstance(names, dict):
        raise SourceError("the menagerie's index is none")
    for name in names:
        if fnmatchcase(name, f"*{pattern}*"):
            yield SearchHit(f"menagerie:{name}")


@hookimpl
def token(hostname, host):
    return host.setting("token") if hostname == "menagerie.example" else None


@hookimpl
def trusts(record, host):
    return record.model_id in (host.setting("trusted") or ())


@hookimpl
def architecture(artifact, ref):
    def build():
        import torch

        return torch.nn.Linear(2, 2, bias=False).eval()

    return Architecture(name="cat", build=build, weights=("cat.safetensors",))


@hookimpl
def commands(app):
    @app.command()
    def feed():
        "Feed the beasts."
        print("fed")


@hookimpl
def remote(app, server):
    @app.command("list")
    def list_command():
        "List the beasts of a server."
        print(server)
'''

FETCH = """

@hookimpl
def fetch(plan, into, host):
    if plan.ref.locator == "hare":
        return False
    for file in plan.files:
        (into / file.path).write_bytes(host.http.get(file.url).raise_for_status().content)
    return True
"""

RUNTIME = '''
"""A runtime for straight lines, which are written in JSON."""

import json

from torchinf_core import (
    Candidate, Claim, DeviceError, LoadError, Predictor, Signature, TensorSpec, hookimpl,
)


@hookimpl
def claim(artifact, device):
    if artifact.format != "line":
        return Claim(0, "cpu", f"it does not read {artifact.format}")
    if device not in ("auto", "cpu"):
        return Claim(0, device, "it runs on the processor alone")
    return Claim(100, "cpu", "made for this format")


@hookimpl
def load(artifact, claim):
    import numpy as np

    if claim.device != "cpu":
        raise DeviceError(f"there is no {claim.device}")
    try:
        line = json.loads(artifact.path(artifact.files[0]).read_bytes())
        slope = np.float32(line["slope"])
    except (ValueError, LookupError, TypeError) as error:
        raise LoadError(f"{artifact.name!r} is no line: {error}") from None
    inputs = (TensorSpec("x", "float32", ("batch", 2)),)
    outputs = (TensorSpec("y", "float32", ("batch", 2)),)
    return Line(artifact, claim, Signature(inputs, outputs), slope)


@hookimpl
def optimize(artifact, device):
    def build(folder):
        (folder / "fast.line").write_bytes(artifact.path(artifact.files[0]).read_bytes())

    yield Candidate(label="faster", format="line", build=build)


class Line(Predictor):
    def __init__(self, artifact, claim, signature, slope):
        super().__init__(artifact, claim, signature)
        self.slope = slope

    def run(self, feeds):
        x = feeds["x"]
        return {"y": x * self.slope}

    def release(self):
        self.slope = None
'''


WRAPPERS = '''
"""Wrappers that change what they may, and only where their user says so."""

from dataclasses import replace

from torchinf_core import AccessDeniedError, Host, hookimpl


@hookimpl(wrapper=True)
def resolve(host):
    plan = yield
    with Host(host.settings, "menagerie") as own:
        mirror = own.setting("mirror")
    if not mirror:
        return plan
    moved = (replace(file, url=f"{mirror}/{file.path}") for file in plan.files)
    return replace(plan, files=tuple(moved), notes=(*plan.notes, "from the mirror"))


@hookimpl(wrapper=True)
def fetch(plan, host):
    with Host(host.settings, "menagerie") as own:
        if not own.setting("mirror"):
            raise AccessDeniedError("no mirror is set")
    try:
        done = yield
    except Exception as error:
        host.log.warning("%s failed: %s", plan.ref, error)
        raise
    return done


@hookimpl(wrapper=True)
def trusts(record, host):
    trusted = yield
    with Host(host.settings, "menagerie") as own:
        return trusted or record.source in (own.setting("trusted") or ())
'''


class Server:
    """What the menagerie answers."""

    def __init__(self) -> None:
        self.contents = {digest(WEIGHTS): WEIGHTS}
        self.revisions = {"r1": WEIGHTS}
        self.latest = "r1"

    def move(self) -> None:
        self.contents[digest(OTHER)] = OTHER
        self.revisions["r2"] = OTHER
        self.latest = "r2"

    def index(self) -> dict[str, object]:
        entries = {
            name: {"path": "cat.safetensors", "size": len(content), "sha256": digest(content)}
            for name, content in self.revisions.items()
        }
        return {"cat": {"latest": "r1", "tags": {"1": self.latest}, "revisions": entries}}

    def respond(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/index.json":
            return httpx.Response(200, json=self.index())
        content = self.contents.get(path.removeprefix("/files/"))
        if content is None:
            return httpx.Response(404)
        return httpx.Response(200, content=content)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
