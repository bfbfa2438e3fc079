"""The curl lines of the README do what they say."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Serve

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_the_lines_with_curl_work_as_written(
    serve: Serve, hub: Hub, place: str, content: Callable[[int], bytes], tmp_path: Path
) -> None:
    data = content(100_000)
    digest = hashlib.sha256(data).hexdigest()
    hub.add("/resnet18.bin", data)
    from torchinf_serve.security.tokens import default_path, load_tokens

    tokens, _ = load_tokens(default_path())
    server = serve(tokens=tokens, url_hosts=(place,), allow_http=True)
    script = re.search(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert script is not None
    # The only differences: this server's port, and a model that can be had here.
    text = script[1].replace("127.0.0.1:8000", f"127.0.0.1:{server.config.port}")
    text = text.replace('"source": "torchvision"', '"source": "url"')
    text = text.replace('"model_id": "resnet18"', f'"model_id": "{hub.url("/resnet18.bin")}"')
    text = text.replace("curl ", "curl -sS --fail-with-body -w '\\n' ")
    done = subprocess.run(["sh", "-eu", "-c", text], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines() if line]
    job, jobs, model, available, info, cache, removed, health = answers
    assert [each["id"] for each in jobs["jobs"]] == [job["job_id"]]
    assert model["model_name"] == "my_resnet18"
    assert available["total_available"] == 1
    assert info["info"]["files"][0]["sha256"] == digest
    assert cache["models"] == ["my_resnet18"]
    assert removed["removed"] == ["my_resnet18"]
    assert health["status"] == "ok"


def test_the_readme_names_every_route(serve: Serve) -> None:
    text = README.read_text()
    for path in serve().client().get("/openapi.json").json()["paths"]:
        if path.startswith("/v2/models/"):  # written as one line, with what may come behind
            path, _, behind = path.partition("{name}")
            path += "{name}"
            assert all(f"/{part}" in text for part in behind.split("/")[1:]), behind
        path = path.replace("/v2/repository/models/{name}/unload", "/unload")
        for name in ("job_id", "model_name"):
            path = path.replace(f"{{{name}}}", "{id}" if name == "job_id" else "{name}")
        assert path in text, path


def test_the_readme_names_every_field_of_a_download() -> None:
    from torchinf_serve.asking import DownloadRequest

    text = README.read_text()
    assert [name for name in DownloadRequest.model_fields if f"`{name}`" not in text] == []
