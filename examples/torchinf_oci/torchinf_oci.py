"""torchinf source plugin for OCI registries: ``oci:HOST/REPO:TAG`` or ``…@sha256:DIGEST``.

A model is an artifact as ORAS pushes it: each layer with a title is a file of that name.
``oci:http://HOST:PORT/REPO:TAG`` asks a registry without TLS.
"""

import hashlib
import re
from urllib.parse import urlsplit

from torchinf_core import (
    AccessDeniedError,
    IntegrityError,
    ModelNotFoundError,
    Plan,
    RefError,
    RemoteFile,
    SourceError,
    SourceInfo,
    hookimpl,
)

LOCATOR = (
    r"((?:https?://)?[\w.-]+(?::\d+)?)/([a-z\d]+(?:(?:[./_]|__|-+)[a-z\d]+)*)(?::(\w[\w.-]*))?"
)
DIGEST = r"sha256:[0-9a-f]{64}"
REFERENCE = rf"{DIGEST}|\w[\w.-]{{0,127}}"
ACCEPT = (
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.artifact.manifest.v1+json, "
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json,"
    " application/vnd.docker.distribution.manifest.list.v2+json"
)
TITLE, FOLDER = "org.opencontainers.image.title", "io.deis.oras.content.unpack"


@hookimpl
def sources():
    yield SourceInfo("oci", ("oci",), "OCI registries", ("oci:registry.example/acme/tiny:v1",))


@hookimpl
def resolve(ref, host):
    registry, name, wanted = place(ref)
    answer, _ = ask(host, registry, name, wanted)
    if answer.status_code == 404:
        raise ModelNotFoundError(f"the registry has no {ref}", hint="check repository and tag")
    digest = "sha256:" + hashlib.sha256(answer.raise_for_status().content).hexdigest()
    if wanted.startswith("sha256:") and wanted != digest:
        raise IntegrityError(f"the registry answered {ref} with the manifest {digest}")
    try:
        manifest = answer.json()
        here = f"oci:{registry.removeprefix('https://')}/{name}"
        choices = [f"{here}@{found['digest']}" for found in manifest.get("manifests", ())]
        layers = manifest.get("layers") or manifest.get("blobs") or ()
        titled = [layer for layer in layers if TITLE in (layer.get("annotations") or {})]
        files = tuple(remote_file(layer, f"{registry}/v2/{name}/blobs/") for layer in titled)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise SourceError(f"the manifest of {ref} is not one of an OCI artifact") from None
    if choices:
        hint = f"take one: {', '.join(choices[:8])}"
        raise SourceError(f"{ref} is an index of {len(choices)} manifests", hint=hint)
    if not files:
        raise ModelNotFoundError(f"{ref} holds no files: none of its layers has a title")
    if len(titled) < len(layers):
        host.note(f"{len(layers) - len(titled)} layers without a title were left out")
    return Plan(ref, name.rpartition("/")[2], files, revision=digest)


def place(ref):
    """Registry, repository, and tag or digest that a reference names."""
    where = re.fullmatch(LOCATOR, ref.locator, re.ASCII)
    wanted = ref.revision or (where and where[3]) or "latest"
    if where is None or not re.fullmatch(REFERENCE, wanted, re.ASCII):
        raise RefError(f"{ref} names no artifact", hint="oci:HOST/REPO:TAG or …@sha256:DIGEST")
    return where[1] if "://" in where[1] else f"https://{where[1]}", where[2], wanted


def remote_file(layer, blobs):
    title, digest = layer["annotations"][TITLE], layer["digest"]
    if not re.fullmatch(DIGEST, digest):
        raise SourceError(f"{title} is known by {digest[:16]!r} alone; a sha256 is needed")
    sha256 = digest.removeprefix("sha256:")
    if layer["annotations"].get(FOLDER) == "true":  # an archive with paths from the top
        return RemoteFile(f"{sha256}.tar.gz", blobs + digest, layer["size"], sha256, unpack=True)
    return RemoteFile(title, blobs + digest, layer["size"], sha256)


def ask(host, registry, name, wanted):
    """The answer for a manifest, and the token that the registry's realm gave for it, or None."""
    url = f"{registry}/v2/{name}/manifests/{wanted}"
    answer = host.http.get(url, headers={"accept": ACCEPT})
    challenge = answer.headers.get("www-authenticate", "")
    if answer.status_code != 401 or not challenge.lower().startswith("bearer "):
        return answer, None
    words = {"scope": f"repository:{name}:pull"} | dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = urlsplit(words.pop("realm", ""))
    if realm.scheme not in ("https", urlsplit(url).scheme):
        raise AccessDeniedError(f"{url} sends for a token to a realm that is not https")
    given = host.http.get(realm.geturl(), params=words).raise_for_status()
    try:
        told = given.json()
        token = told.get("token") or told.get("access_token")
    except (ValueError, AttributeError, RecursionError):
        token = None
    if not isinstance(token, str) or not (token.isascii() and token.isprintable()):
        raise SourceError(f"{realm.hostname} gave something that is no token")
    answer = host.http.get(url, headers={"accept": ACCEPT, "authorization": f"Bearer {token}"})
    if answer.status_code in (401, 403):
        hint = f"put a login for {realm.hostname} into ~/.netrc"
        raise AccessDeniedError(f"{url}: a token of {realm.hostname} does not open it", hint=hint)
    return answer, token


@hookimpl
def token(hostname, plan, host):
    registry, name, _ = place(plan.ref)
    if hostname != urlsplit(registry).hostname:
        return None
    return ask(host, registry, name, plan.revision)[1]
