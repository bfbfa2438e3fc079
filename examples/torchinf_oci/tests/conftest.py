"""Debian's ``docker-registry`` on a free port of this machine, and what pushes to it."""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from torchinf_core.testing import Hub, plain

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
TITLE = "org.opencontainers.image.title"


def digest_of(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Registry:
    """A running registry; ``auth`` is that section of its configuration, as JSON has it."""

    def __init__(self, folder: Path, auth: dict | None = None) -> None:
        self.storage = folder / "storage"
        config = folder / "config.yml"
        settings = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}},
            "http": {"addr": "127.0.0.1:0"},
            **({"auth": auth} if auth else {}),
        }
        config.write_text(json.dumps(settings))  # which is YAML too
        self._process = subprocess.Popen(  # noqa: S603
            ["docker-registry", "serve", str(config)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"},
        )
        self.lines: list[str] = []
        for line in self._process.stdout:
            self.lines.append(line)
            if "listening on" in line:
                break
        else:
            raise RuntimeError("".join(self.lines))
        self.address = line.split("listening on ")[1].split('"')[0].split(",")[0].strip()
        self.url = f"http://{self.address}"
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        self.lines.extend(self._process.stdout)

    def stop(self) -> None:
        """End it and have read all it said."""
        if self._process.stdout.closed:
            return
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def asked(self, path: str) -> int:
        """How many requests for a path it has logged; complete once it has stopped."""
        return sum(f'"GET {path} ' in line for line in self.lines)

    def blob(self, digest: str) -> Path:
        """Where the storage keeps the bytes of a blob or manifest."""
        sha256 = digest.removeprefix("sha256:")
        return self.storage / "docker/registry/v2/blobs/sha256" / sha256[:2] / sha256 / "data"

    def push_blob(self, repository: str, content: bytes, **login: object) -> dict:
        """Push bytes; returns their descriptor."""
        digest = digest_of(content)
        with httpx.Client(base_url=self.url, trust_env=False, **login) as client:
            begun = client.post(f"/v2/{repository}/blobs/uploads/").raise_for_status()
            place = begun.headers["location"]
            client.put(place, params={**dict(httpx.URL(place).params), "digest": digest},
                       content=content).raise_for_status()  # fmt: skip
        kind = "application/octet-stream"
        return {"mediaType": kind, "digest": digest, "size": len(content)}

    def push_manifest(self, repository: str, tag: str, manifest: dict, **login: object) -> str:
        """Push a manifest under a tag; returns its digest."""
        content = json.dumps(manifest).encode()
        kind = {"content-type": manifest["mediaType"]}
        with httpx.Client(base_url=self.url, trust_env=False, **login) as client:
            url = f"/v2/{repository}/manifests/{tag}"
            client.put(url, content=content, headers=kind).raise_for_status()
        return digest_of(content)

    def push(self, repository: str, tag: str, files: dict[str, bytes], **login: object) -> str:
        """Push files as an artifact; returns the digest of its manifest."""
        layers = [
            {**self.push_blob(repository, content, **login), "annotations": {TITLE: name}}
            for name, content in files.items()
        ]
        config = self.push_blob(repository, b"{}", **login)
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {**config, "mediaType": "application/vnd.acme.model.config.v1+json"},
            "layers": layers,
        }
        return self.push_manifest(repository, tag, manifest, **login)


class TokenServer:
    """Signs tokens for a registry, for whoever logs in; ``auth`` is what the registry needs."""

    def __init__(self, folder: Path, hub: Hub, login: str) -> None:
        self._key, certificate = folder / "key.pem", folder / "certificate.pem"
        make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=tokens -keyout"
        command = [*make.split(), str(self._key), "-out", str(certificate)]
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603
        lines = certificate.read_text().splitlines()
        self._certificate = "".join(line for line in lines if not line.startswith("-"))
        self._login = "Basic " + base64.b64encode(login.encode()).decode()
        self.given: list[str] = []
        hub.route("/token", self._answer)
        self.auth = {
            "token": {
                "realm": hub.url("/token"),
                "service": "tiny registry",
                "issuer": "tokens",
                "rootcertbundle": str(certificate),
            }
        }

    def _answer(self, request):
        if request.headers.get("Authorization") != self._login:
            return plain(401, "who are you?")
        scope = httpx.QueryParams(request.query)["scope"]
        self.given.append(self.sign(scope))
        return plain(200, json.dumps({"token": self.given[-1]}))

    def sign(self, scope: str) -> str:
        """A token for what the scope says, for ten minutes."""
        kind, name, actions = scope.split(":")
        head = {"typ": "JWT", "alg": "RS256", "x5c": [self._certificate]}
        now = int(time.time())
        claims = {
            "iss": "tokens",
            "sub": "someone",
            "aud": "tiny registry",
            "nbf": now - 60,
            "exp": now + 600,
            "access": [{"type": kind, "name": name, "actions": actions.split(",")}],
        }
        signed = ".".join(encoded(json.dumps(part).encode()) for part in (head, claims))
        command = ["openssl", "dgst", "-sha256", "-sign", str(self._key)]
        done = subprocess.run(  # noqa: S603
            command, input=signed.encode(), check=True, capture_output=True
        )
        return f"{signed}.{encoded(done.stdout)}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.fixture
def start(tmp_path):
    """Starts registries, and stops them after the test."""
    if not shutil.which("docker-registry"):
        pytest.skip("docker-registry is not installed (apt-get install docker-registry)")
    started = []

    def start(auth: dict | None = None) -> Registry:
        folder = tmp_path / f"registry-{len(started)}"
        folder.mkdir()
        started.append(Registry(folder, auth))
        return started[-1]

    yield start
    for registry in started:
        registry.stop()


@pytest.fixture
def registry(start) -> Registry:
    """An open registry."""
    return start()


@pytest.fixture
def token_server(tmp_path):
    """Gives tokens to ``someone`` whose password is ``secret``."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    with Hub() as hub:
        yield TokenServer(tmp_path, hub, "someone:secret")


@pytest.fixture
def home(tmp_path):
    """An empty home directory of the command."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def torchinf(tmp_path, home):
    """Runs the command on an empty store, and checks its exit status."""
    cache = tmp_path / "cache"

    def torchinf(*words: str, status: int = 0) -> str:
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "torchinf_core", *words],
            check=False,
            env={**os.environ, "TORCHINF_CACHE_DIR": str(cache), "HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == status, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    torchinf.blobs = lambda: [p for p in (cache / "blobs").rglob("*") if p.is_file()]
    return torchinf
