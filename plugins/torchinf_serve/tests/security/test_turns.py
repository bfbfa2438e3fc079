"""Whose turn it is when a thousand requests come at once, and how often one token may ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from torchinf_serve.config import Config
from torchinf_serve.security.gate import Gate
from torchinf_serve.security.limits import Rate, Turnstile
from torchinf_serve.security.tokens import Caller, Tokens

TOKEN = "a-token-of-sufficient-length"


def scope(path: str, method: str = "GET") -> dict[str, Any]:
    headers = [(b"host", b"localhost:8000"), (b"authorization", f"Bearer {TOKEN}".encode())]
    return {"type": "http", "method": method, "path": path, "headers": headers, "client": None}


@pytest.mark.parametrize("path", ["/health", "/models/x/predict", "/v2/models/x/infer"])
def test_a_thousand_requests_do_not_keep_health_and_predictions_waiting(path: str) -> None:
    ended: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
        ended.append(scope["path"])

    async def nothing(*_: Any) -> Any:
        return {}

    async def all_at_once() -> None:
        gate = Gate(app, Config(rate=0.0), Tokens([(TOKEN, Caller("a", True))]))
        crowd = [gate(scope("/models/jobs"), nothing, nothing) for _ in range(1000)]
        await asyncio.gather(*crowd, gate(scope(path, "POST" if "x" in path else "GET"),
                                          nothing, nothing))  # fmt: skip

    asyncio.run(all_at_once())
    assert len(ended) == 1001
    assert ended.index(path) < 5


def test_who_leaves_while_waiting_keeps_nobody_back() -> None:
    async def leave() -> list[int]:
        turnstile, through = Turnstile(), []

        async def enter(number: int) -> None:
            await turnstile.enter()
            through.append(number)

        tasks = [asyncio.create_task(enter(number)) for number in range(10)]
        await asyncio.sleep(0)
        for number in (1, 3, 9):
            tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.wait_for(enter(10), 10)
        return through

    assert asyncio.run(leave()) == [0, 2, 4, 5, 6, 7, 8, 10]


def test_a_bucket_fills_again_evenly() -> None:
    now = [0.0]
    rate = Rate(2.0, 4, clock=lambda: now[0])
    assert [rate.wait("a") for _ in range(4)] == [0.0] * 4
    assert rate.wait("a") == pytest.approx(0.5)
    assert rate.wait("b") == 0.0
    now[0] = 0.5
    assert rate.wait("a") == 0.0
    assert rate.wait("a") > 0.0
    now[0] = 1000.0
    assert [rate.wait("a") > 0.0 for _ in range(5)] == [False] * 4 + [True]


def test_no_rate_is_no_limit() -> None:
    rate = Rate(0.0, 1)
    assert {rate.wait("a") for _ in range(1000)} == {0.0}
