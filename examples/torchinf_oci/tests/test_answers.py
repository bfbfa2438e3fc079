"""What a registry may answer that Debian's does not: read, or refused with a reason."""

import hashlib
import json

import httpx
import pytest
import torchinf_oci

from torchinf_core import (
    AccessDeniedError,
    Host,
    IntegrityError,
    ModelNotFoundError,
    RefError,
    Settings,
    SourceError,
    parse_ref,
)

TITLE = {"org.opencontainers.image.title": "model.onnx"}
LAYER = {"digest": "sha256:" + "a" * 64, "size": 3, "annotations": TITLE}


def resolve(answer, ref="oci:registry.invalid/acme/tiny:v1"):
    """The plan for what a function, or always the same manifest, answers."""
    reply = answer if callable(answer) else lambda _: httpx.Response(200, json=answer)
    client = httpx.Client(transport=httpx.MockTransport(reply))
    with Host(Settings(), "oci", client) as host:
        return torchinf_oci.resolve(parse_ref(ref), host)


def token(answer, plan, hostname):
    """The token for the files of a plan, from what a function answers."""
    client = httpx.Client(transport=httpx.MockTransport(answer))
    with Host(Settings(), "oci", client) as host:
        return torchinf_oci.token(hostname, plan, host)


def test_an_artifact_manifest_has_blobs():
    [file] = resolve({"blobs": [LAYER]}).files
    assert (file.path, file.size, file.sha256) == ("model.onnx", 3, "a" * 64)
    assert file.url == f"https://registry.invalid/v2/acme/tiny/blobs/sha256:{'a' * 64}"


def test_a_reference_without_a_tag_means_the_latest():
    asked = []

    def answer(request):
        asked.append(request.url.path)
        return httpx.Response(200, json={"layers": [LAYER]})

    resolve(answer, "oci:registry.invalid:5000/acme/tiny")
    assert asked == ["/v2/acme/tiny/manifests/latest"]


def test_a_manifest_must_be_the_one_that_was_asked_for():
    with pytest.raises(IntegrityError, match="answered"):
        resolve({"layers": [LAYER]}, f"oci:registry.invalid/acme/tiny@sha256:{'0' * 64}")
    content = json.dumps({"layers": [LAYER]}).encode()
    digest = "sha256:" + hashlib.sha256(content).hexdigest()
    plan = resolve(
        lambda _: httpx.Response(200, content=content),
        f"oci:registry.invalid/acme/tiny:v1@{digest}",
    )
    assert plan.revision == digest


@pytest.mark.parametrize(
    ("manifest", "error", "message"),
    [
        ({"layers": []}, ModelNotFoundError, "holds no files"),
        ({"layers": [{**LAYER, "annotations": None}]}, ModelNotFoundError, "holds no files"),
        (
            {"layers": [{**LAYER, "digest": "sha512:" + "a" * 128}]},
            SourceError,
            "a sha256 is needed",
        ),
        ({"layers": [{"annotations": TITLE}]}, SourceError, "not one of an OCI artifact"),
        ({"layers": 7}, SourceError, "not one of an OCI artifact"),
        ([], SourceError, "not one of an OCI artifact"),
    ],
)
def test_a_manifest_that_can_not_be_used_is_refused(manifest, error, message):
    with pytest.raises(error, match=message):
        resolve(manifest)


@pytest.mark.parametrize(
    "ref",
    ["oci:tiny", "oci:registry.invalid/Acme", "oci:ftp://registry.invalid/tiny",
     "oci:registry.invalid/a/../b", "oci:user:word@registry.invalid/tiny", "oci:r.invalid/t@v/1"],
)  # fmt: skip
def test_what_is_no_reference_is_refused_before_a_connection(ref):
    with pytest.raises(RefError, match="names no artifact"):
        resolve(lambda _: pytest.fail("it asked"), ref)


def test_a_realm_without_tls_is_not_asked():
    challenge = {"www-authenticate": 'Bearer realm="http://tokens.invalid/",service="s"'}

    def answer(request):
        assert request.url.host == "registry.invalid"
        return httpx.Response(401, headers=challenge)

    with pytest.raises(AccessDeniedError, match="not https"):
        resolve(answer)


@pytest.mark.parametrize(
    "content",
    [b"<html>", b"[]", b"{}", b'{"token": 5}', b'{"token": "a\\nb"}', b"[" * 100_000],
    ids=["html", "list", "nothing", "number", "two lines", "deep"],
)
def test_what_is_no_token_is_refused(content):
    def answer(request):
        if request.url.host == "tokens.invalid":
            return httpx.Response(200, content=content)
        return private(request)

    with pytest.raises(SourceError, match=r"tokens\.invalid gave something"):
        resolve(answer)


def private(request):
    """A registry that wants a token, which its realm gives to anybody."""
    if request.url.host == "tokens.invalid":
        assert "authorization" not in request.headers
        return httpx.Response(200, json={"access_token": f"for {request.url.params['scope']}"})
    if "authorization" not in request.headers:
        challenge = {"www-authenticate": 'Bearer realm="https://tokens.invalid/t",service="s"'}
        return httpx.Response(401, headers=challenge)
    assert request.headers["authorization"] == "Bearer for repository:acme/tiny:pull"
    return httpx.Response(200, json={"layers": [LAYER]})


def test_a_token_is_for_its_registry_and_its_repository_alone():
    plan = resolve(private)
    assert token(private, plan, "registry.invalid") == "for repository:acme/tiny:pull"
    assert token(lambda _: pytest.fail("it asked"), plan, "cdn.invalid") is None


def test_a_registry_that_wants_no_token_gets_none():
    plan = resolve({"layers": [LAYER]})
    assert token(lambda _: httpx.Response(200), plan, "registry.invalid") is None


def test_a_token_that_does_not_open_the_repository_says_where_to_log_in():
    def answer(request):
        return httpx.Response(403) if "authorization" in request.headers else private(request)

    with pytest.raises(AccessDeniedError) as refused:
        resolve(answer)
    assert "put a login for tokens.invalid" in refused.value.hint
