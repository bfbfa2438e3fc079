"""Whatever the description of the API allows, and what it does not: answers as described.

``TORCHINF_SCHEMA_EXAMPLES=20000`` tries that many requests; without it there are a few hundred.
"""

from __future__ import annotations

import os
import warnings
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi import checks as openapi_checks

from torchinf_core.testing import Hub

if TYPE_CHECKING:
    from conftest import Running, Serve

EXAMPLES = int(os.environ.get("TORCHINF_SCHEMA_EXAMPLES", "400"))
OPERATIONS = 25
CHECKS = [
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.unsupported_method,
    openapi_checks.ignored_auth,
]
TOYS = ("sum", "two", "text", "image", "mapping")
REFUSED = {501, 503}
"""The server errors that a client can bring about: a source that is not there, a full house."""

pytestmark = [
    pytest.mark.timeout(60 + EXAMPLES),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def lived_in(serve: Serve, hub: Hub, toybox: Hub, place: str) -> tuple[Running, dict[str, Any]]:
    """A server with models and jobs, and what they are called."""
    server = serve(url_hosts=(place,), allow_http=True, keep_jobs=20)
    hub.add("/m.bin", b"x" * 1000)
    client = server.client()
    asked = [("url", hub.url(path)) for path in ("/m.bin", "/nothing.bin")]
    for source, model_id in [*asked, *(("toybox", name) for name in TOYS)]:
        body = {"source": source, "model_id": model_id}
        client.post("/models/download?wait=true", json=body)
    jobs = [job["id"] for job in client.get("/models/jobs").json()["jobs"]]
    bodies = [
        {"source": "url", "model_id": hub.url("/m.bin"), "name": "other"},
        {"source": "url", "model_id": hub.url("/nothing.bin")},
    ]
    names = ["m", "other"]
    # What is predicted with keeps its name, whatever is deleted meanwhile.
    return server, {"job_id": jobs, "model_name": names, "body": bodies, "name": [*TOYS, "m"]}


def test_every_answer_is_as_described(
    lived_in: tuple[Running, dict[str, Any]], tokens: tuple[str, str]
) -> None:
    server, known = lived_in
    description = server.client().get("/openapi.json").json()
    schema = schemathesis.openapi.from_dict(description)
    schema.config.update(base_url=server.url)
    headers = {"authorization": f"Bearer {tokens[0]}"}
    seen: Counter[int] = Counter()
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == OPERATIONS

    def try_out(operation: Any, mode: GenerationMode, number: int) -> None:
        @seed(number)
        @settings(
            max_examples=max(5, -(-EXAMPLES // 45)),
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate],
        )
        @given(data=st.data())
        def one(data: st.DataObject) -> None:
            case = data.draw(operation.as_strategy(generation_mode=mode))
            if mode is GenerationMode.POSITIVE and data.draw(st.integers(0, 2)):
                for name in ("job_id", "model_name", "name"):
                    if name in (case.path_parameters or {}):
                        case.path_parameters[name] = data.draw(st.sampled_from(known[name]))
                if operation.path == "/models/download" and operation.method == "post":
                    case.body = data.draw(st.sampled_from(known["body"]))
                    case.query = {"wait": data.draw(st.sampled_from(["true", "false"]))}
            answer = case.call(headers=headers, timeout=60)
            seen[answer.status_code] += 1
            assert answer.status_code < 500 or answer.status_code in REFUSED, answer.text
            case.validate_response(answer, checks=CHECKS, headers=headers)

        one()

    for number, operation in enumerate(operations):
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            try:
                try_out(operation, mode, number)
            except Exception as error:
                if type(error).__name__ != "Unsatisfiable":  # nothing to get wrong
                    raise
    print(f"{sum(seen.values())} requests: {dict(sorted(seen.items()))}")  # noqa: T201 - the figure
    assert sum(seen.values()) >= EXAMPLES
    assert server.client(None).get("/health").status_code == 200
