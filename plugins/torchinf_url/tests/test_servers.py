"""What is asked of a server, and what its answer means for the plan."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from torchinf_core.errors import (
    AccessDeniedError,
    ModelNotFoundError,
    OfflineError,
    SourceError,
)
from torchinf_core.settings import Settings
from torchinf_core.testing import Hub, Request, faults
from torchinf_core.testing.faults import any_method
from torchinf_core.types import Plan

CONTENT = bytes(range(256)) * 20
Resolve = Callable[..., Plan]


def head(request: Request) -> bool:
    return request.method == "HEAD"


def on_head(fault: faults.Fault) -> faults.Fault:
    return fault.always().on(head)


def seen(hub: Hub) -> list[tuple[str, str | None]]:
    return [(one.method, one.headers.get("Range")) for one in hub.requests]


def test_one_head_request_tells_size_name_and_entity_tag(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/models/tiny.onnx", CONTENT, etag='"v1"', content_type="application/x-onnx")

    plan = resolve(url)

    (file,) = plan.files
    assert (file.path, file.url, file.size, file.validator) == ("tiny.onnx", url, 5120, '"v1"')
    assert (plan.name, plan.revision) == ("tiny", "v1")
    assert plan.metadata["content_type"] == "application/x-onnx"
    assert plan.metadata["last_modified"].endswith("GMT")
    assert seen(hub) == [("HEAD", None)]
    assert hub.requests[0].headers["accept-encoding"] == "identity"


def test_the_same_url_gives_an_equal_plan(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)

    assert resolve(url) == resolve(url)


def test_a_pinned_digest_is_that_of_the_file(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)

    plan = resolve(f"{url}#sha256={'ab' * 32}")

    assert plan.files[0].sha256 == "ab" * 32
    assert plan.files[0].url == url


def test_a_hash_in_the_file_name_is_not_taken_as_a_digest(hub: Hub, resolve: Resolve) -> None:
    plan = resolve(hub.add("/resnet18-f37072fd.pth", CONTENT))

    assert (plan.files[0].sha256, plan.files[0].sha256_prefix) == (None, None)
    assert plan.name == "resnet18-f37072fd"


@pytest.mark.parametrize("code", [400, 403, 404, 405, 406, 501])
def test_a_server_that_refuses_head_is_asked_for_one_byte(
    hub: Hub, resolve: Resolve, code: int
) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", on_head(faults.status(code)))

    plan = resolve(url)

    assert plan.size == len(CONTENT)
    assert seen(hub) == [("HEAD", None), ("GET", "bytes=0-0")]
    assert hub.bytes_sent("/tiny.onnx") <= 1


def test_a_head_without_a_length_is_followed_by_one_byte(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", on_head(faults.no_length()))

    assert resolve(url).size == len(CONTENT)


def test_a_head_that_says_zero_is_not_believed_alone(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", on_head(faults.header("Content-Length", "0")))

    assert resolve(url).size == len(CONTENT)


def test_an_empty_file_has_size_zero(hub: Hub, resolve: Resolve) -> None:
    assert resolve(hub.add("/empty.onnx", b"")).size == 0


def test_a_server_without_ranges_still_tells_the_size(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", on_head(faults.status(405)), faults.ignore_range().always())

    assert resolve(url).size == len(CONTENT)


def test_where_nobody_says_the_size_it_is_unknown(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    streamed = faults.together(faults.ignore_range(), faults.no_length())
    hub.fail("/tiny.onnx", streamed.always().on(any_method))

    assert resolve(url).size is None


def test_the_length_of_an_encoded_body_is_not_the_size(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT, headers={"Content-Encoding": "gzip"})

    plan = resolve(url)

    assert (plan.size, plan.files[0].validator) == (None, None)


def test_a_length_beyond_all_disks_is_not_believed_alone(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", on_head(faults.header("Content-Length", "9" * 20)))

    assert resolve(url).size == len(CONTENT)


@pytest.mark.parametrize("etag", ['W/"weak"', '"with space"', '""', '"' + "x" * 300 + '"'])
def test_only_a_strong_entity_tag_becomes_a_revision(hub: Hub, resolve: Resolve, etag: str) -> None:
    plan = resolve(hub.add("/tiny.onnx", CONTENT, etag=etag))

    assert (plan.revision, plan.files[0].validator) == (None, None)


def test_the_url_as_written_stays_behind_a_redirect(hub: Hub, resolve: Resolve) -> None:
    hub.add("/cdn/tiny.onnx", CONTENT)
    url = hub.redirect("/latest", "/cdn/tiny.onnx?signature=expires-soon")

    plan = resolve(url)

    assert plan.files[0].url == url
    assert plan.files[0].path == "tiny.onnx"


def test_an_object_store_behind_a_redirect_does_not_name_the_file(
    hub: Hub, resolve: Resolve
) -> None:
    hub.add("/blobs/6a09e667f3bcc908", CONTENT)
    url = hub.redirect("/repo/model-q4.gguf", "/blobs/6a09e667f3bcc908")

    assert resolve(url).files[0].path == "model-q4.gguf"


def test_content_disposition_names_the_file(hub: Hub, resolve: Resolve) -> None:
    header = "attachment; filename=x; filename*=UTF-8''t%C3%ADny.onnx"
    url = hub.add("/download", CONTENT, headers={"Content-Disposition": header})

    plan = resolve(url + "?id=5")

    assert plan.files[0].path == "tíny.onnx"
    assert plan.name == "t-ny"


@pytest.mark.parametrize("filename", ["../../etc/x.onnx", "/etc/x.onnx", "..\\x.onnx"])
def test_a_path_in_content_disposition_is_one_component(
    hub: Hub, resolve: Resolve, filename: str
) -> None:
    header = f'attachment; filename="{filename}"'
    url = hub.add("/download", CONTENT, headers={"Content-Disposition": header})

    assert resolve(url).files[0].path == "x.onnx"


def test_a_url_without_a_name_is_called_model(hub: Hub, resolve: Resolve) -> None:
    plan = resolve(hub.add("/", CONTENT))

    assert (plan.name, plan.files[0].path) == ("model", "model")


@pytest.mark.parametrize("code", [401, 403])
def test_a_refusal_says_which_variable_takes_the_token(
    hub: Hub, resolve: Resolve, code: int
) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", faults.status(code).always().on(any_method))

    with pytest.raises(AccessDeniedError) as caught:
        resolve(url)

    assert "TORCHINF_TOKEN_127_0_0_1" in caught.value.hint


@pytest.mark.parametrize("code", [404, 410])
def test_what_is_not_there_is_not_found(hub: Hub, resolve: Resolve, code: int) -> None:
    hub.fail("/gone.onnx", faults.status(code).always().on(any_method))

    with pytest.raises(ModelNotFoundError):
        resolve(hub.url("/gone.onnx"))


def test_a_passing_failure_is_tried_again(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", faults.status(503).repeat(2).on(any_method))

    assert resolve(url).size == len(CONTENT)


def test_a_lasting_failure_is_the_servers(hub: Hub, resolve: Resolve) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.fail("/tiny.onnx", faults.status(500).always().on(any_method))

    with pytest.raises(SourceError, match="500"):
        resolve(url)


def test_a_token_is_sent_to_its_host(
    hub: Hub, resolve: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = hub.add("/tiny.onnx", CONTENT)
    hub.require_token("/tiny.onnx", "s3cret")
    monkeypatch.setenv("TORCHINF_TOKEN_127_0_0_1", "s3cret")

    assert resolve(url).size == len(CONTENT)


def test_secrets_of_a_url_are_in_no_message(hub: Hub, resolve: Resolve) -> None:
    url = hub.url("/gone.onnx").replace("://", "://user:hunter2@") + "?token=hunter3"

    with pytest.raises(ModelNotFoundError) as caught:
        resolve(url)

    assert "hunter" not in str(caught.value) + caught.value.hint


def test_offline_mode_asks_nobody(hub: Hub, resolve: Resolve, settings: Settings) -> None:
    url = hub.add("/tiny.onnx", CONTENT)

    with pytest.raises(OfflineError):
        resolve(url, replace(settings, offline=True))

    assert hub.requests == []
