"""Requests share calls where that is proven right, and nobody waits for nobody."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from torchinf_core.runtimes import Signature, TensorSpec
from torchinf_serve.batching import Batcher
from torchinf_serve.computing.item import Item, QueueFullError, StoppingError
from torchinf_serve.computing.joining import Joiner, guess_axes
from torchinf_serve.computing.pacing import AGAIN, Pace
from torchinf_serve.metrics import ModelMetrics


class Bench:
    """A batcher whose computing the test holds back."""

    def __init__(self, **options):
        self.metrics = ModelMetrics()
        self.calls: list[list[int]] = []
        self.go = threading.Event()
        self.entered = threading.Semaphore(0)
        self.pool = ThreadPoolExecutor(4)
        self.batcher = Batcher(self.compute, self.pool, self.metrics, **options)

    def compute(self, batch):
        self.calls.append([item.work for item in batch])
        self.entered.release()
        self.go.wait(60)
        for item in batch:
            item.result = item.work * 10
            if item.work < 0:
                item.error = ValueError(str(item.work))

    async def until_entered(self):
        loop = asyncio.get_running_loop()
        assert await loop.run_in_executor(None, self.entered.acquire, True, 30)


def test_an_idle_model_computes_at_once_what_came_in_one_turn():
    async def run():
        bench = Bench(wait=60)
        bench.go.set()
        assert await bench.batcher.submit(Item(1, "k")) == 10
        found = await asyncio.gather(*(bench.batcher.submit(Item(n, "k")) for n in (2, 3)))
        assert found == [20, 30]
        assert bench.calls == [[1], [2, 3]]

    asyncio.run(run())


def test_what_comes_while_a_call_runs_shares_the_next_by_its_key():
    async def run():
        bench = Bench()
        futures = [bench.batcher.submit(Item(0, "a"))]
        await bench.until_entered()
        for number, key in enumerate("abacab", 1):
            futures.append(bench.batcher.submit(Item(number, key)))
        futures.append(bench.batcher.submit(Item(7, None)))
        futures.append(bench.batcher.submit(Item(8, None)))
        assert bench.batcher.waiting == 8
        bench.batcher.pace.rows = lambda: 32
        bench.go.set()
        assert await asyncio.gather(*futures) == [n * 10 for n in range(9)]
        assert bench.calls == [[0], [1, 3, 5], [2, 6], [4], [7], [8]]
        assert bench.metrics.rows.counts[:3] == [4, 1, 1]
        await bench.batcher.drained()
        assert bench.batcher.open == 0

    asyncio.run(run())


def test_a_batch_has_no_more_rows_than_it_may():
    async def run():
        bench = Bench(batch_max=4)
        futures = [bench.batcher.submit(Item(0, "a"))]
        await bench.until_entered()
        for number, rows in enumerate((3, 2, 1, 9), 1):
            futures.append(bench.batcher.submit(Item(number, "a", rows)))
        bench.batcher.pace.rows = lambda: 4
        bench.go.set()
        await asyncio.gather(*futures)
        assert bench.calls == [[0], [1, 3], [2], [4]]

    asyncio.run(run())


def test_a_second_call_waits_for_company_only_while_another_runs():
    async def run():
        bench = Bench(concurrency=2, wait=0.05, batch_max=8)
        futures = [bench.batcher.submit(Item(0, "a"))]
        await bench.until_entered()
        futures.append(bench.batcher.submit(Item(1, "a")))
        await asyncio.sleep(0)
        futures.append(bench.batcher.submit(Item(2, "a")))
        await bench.until_entered()
        assert bench.calls == [[0], [1, 2]]
        futures.append(bench.batcher.submit(Item(3, "a")))
        bench.go.set()
        assert await asyncio.gather(*futures) == [0, 10, 20, 30]

    asyncio.run(run())


def test_an_error_is_that_of_its_item():
    async def run():
        bench = Bench()
        bench.go.set()
        found = await asyncio.gather(
            *(bench.batcher.submit(Item(n, "a")) for n in (1, -2, 3)), return_exceptions=True
        )
        assert found[0] == 10
        assert isinstance(found[1], ValueError)
        assert found[2] == 30
        assert bench.metrics.outcomes == {"ok": 2, "failed": 1}

    asyncio.run(run())


def test_a_full_queue_refuses_and_says_when_to_come_again():
    async def run():
        bench = Bench(queue=2)
        futures = [bench.batcher.submit(Item(0, "a"))]
        await bench.until_entered()
        futures += [bench.batcher.submit(Item(n, "a")) for n in (1, 2)]
        with pytest.raises(QueueFullError) as refused:
            bench.batcher.submit(Item(3, "a"))
        assert refused.value.http_status == 429
        assert refused.value.retry_after >= 1
        bench.go.set()
        await asyncio.gather(*futures)
        assert bench.metrics.outcomes == {"ok": 3, "refused": 1}

    asyncio.run(run())


def test_who_leaves_before_its_turn_is_not_computed(monkeypatch):
    monkeypatch.setattr("torchinf_serve.batching.WATCH_AFTER", 0.0)

    async def run():
        bench = Bench()
        first = bench.batcher.submit(Item(0, "a"))
        await bench.until_entered()
        left = asyncio.Event()
        second = bench.batcher.submit(Item(1, "a", leaves=left.wait))
        third = bench.batcher.submit(Item(2, "a", leaves=asyncio.Event().wait))
        left.set()
        with pytest.raises(asyncio.CancelledError):
            await second
        bench.go.set()
        assert await asyncio.gather(first, third) == [0, 20]
        assert bench.calls == [[0], [2]]
        assert bench.metrics.outcomes == {"left": 1, "ok": 2}

    asyncio.run(run())


def test_a_stopped_queue_answers_those_who_wait():
    async def run():
        bench = Bench()
        first = bench.batcher.submit(Item(0, "a"))
        await bench.until_entered()
        second = bench.batcher.submit(Item(1, "a"))
        bench.batcher.stop()
        with pytest.raises(StoppingError):
            await second
        with pytest.raises(StoppingError):
            bench.batcher.submit(Item(2, "a"))
        bench.go.set()
        assert await first == 0
        await bench.batcher.drained()

    asyncio.run(run())


def test_batches_grow_only_while_rows_get_cheaper():
    flat, falling, slow = Pace(32), Pace(32), Pace(32)
    for _ in range(3 * AGAIN):
        for pace, cost in (
            (flat, lambda n: 0.001 * n),
            (falling, lambda n: 0.001 + 0.0001 * n),
            (slow, lambda n: 0.1 + 0.05 * n),
        ):
            rows = pace.rows()
            pace.learn(rows, cost(rows))
    assert {flat.rows() for _ in range(8)} <= {1, 2}
    assert {falling.rows() for _ in range(8)} == {32}
    assert {slow.rows() for _ in range(8)} <= {1, 2, 4}
    assert Pace(1).rows() == 1
    assert flat.seconds(10) == pytest.approx(0.01)


# JOINING


def signature(**inputs):
    return Signature(tuple(TensorSpec(name, "float32", shape) for name, shape in inputs.items()))


def test_the_axis_of_items_is_the_first_that_is_free_or_the_only_one():
    assert guess_axes(signature(x=("batch", 4))) == {"x": 0}
    assert guess_axes(signature(x=("n", "m"), s=(2, "k", 8), r=())) == {"x": 0, "s": 1, "r": None}
    assert guess_axes(signature(x=("n",), s=None)) == {"x": 0, "s": None}
    assert guess_axes(signature(x=(1, 4))) == {}
    assert guess_axes(signature(x=("n",), s=(1, "a", "b"))) == {}
    assert guess_axes(Signature()) == {}


def x(*rows):
    return {"x": np.array(rows, np.float32)}


def test_joined_requests_get_what_they_get_alone():
    joiner = Joiner("m", signature(x=("batch", 2)))
    requests = [x([1, 2]), x([3, 4], [5, 6])]
    keys = {joiner.key(feeds)[0] for feeds in requests}
    assert len(keys) == 1
    parts = joiner.compute(lambda f: {"y": f["x"].sum(1)}, requests, [1, 2])
    assert [part["y"].tolist() for part in parts] == [[3], [7, 11]]
    assert joiner.proven


def test_items_along_the_second_axis_are_joined_and_parted_there():
    joiner = Joiner("m", signature(x=("n", 2), state=(2, "n", 3)))

    def run(feeds):
        return {"y": feeds["x"], "state": feeds["state"] + feeds["x"].sum(1)[None, :, None]}

    requests = [
        {"x": np.full((1, 2), n, np.float32), "state": np.full((2, 1, 3), n, np.float32)}
        for n in range(3)
    ]
    parts = joiner.compute(run, requests, [1, 1, 1])
    for feeds, part in zip(requests, parts, strict=True):
        np.testing.assert_array_equal(part["state"], run(feeds)["state"])
        assert part["state"].flags.c_contiguous


@pytest.mark.parametrize(
    "run",
    [
        lambda f: {"y": f["x"] - f["x"].mean()},
        lambda f: {"y": f["x"].sum()},
        lambda f: {"y": np.cumsum(f["x"], 0)},
        lambda f: {"y": np.zeros((3, 3))},
        lambda f: {"y": f["x"].argsort(0)},
    ],
)
def test_a_model_that_mixes_items_is_computed_one_by_one(run):
    joiner = Joiner("m", signature(x=("time", 2)))
    assert joiner.compute(run, [x([1, 2]), x([7, 3])], [1, 1]) is None
    assert not joiner.possible


def test_equal_requests_prove_nothing_so_one_is_turned_round():
    joiner = Joiner("m", signature(x=("time", 2)))
    same = [x([1, 2]), x([1, 2])]
    assert joiner.compute(lambda f: {"y": f["x"] - f["x"].mean()}, same, [1, 1]) is None
    assert not joiner.possible
    symmetric = Joiner("m", signature(x=("time", 2)))
    for _ in range(9):
        assert symmetric.compute(lambda f: {"y": f["x"]}, [x([0, 0]), x([0, 0])], [1, 1]) is None
    assert not symmetric.possible


def test_what_all_share_must_be_equal():
    joiner = Joiner("m", signature(x=("n", 2), rate=()))
    one, _ = joiner.key({**x([1, 2]), "rate": np.float32(1)})
    two, _ = joiner.key({**x([1, 2]), "rate": np.float32(2)})
    assert one != two
    assert joiner.key({**x([1, 2]), "rate": np.zeros(9999, np.float32)}) == (None, 1)
    assert joiner.key({"x": np.zeros((0, 2), np.float32), "rate": np.float32(1)}) == (None, 1)


# THROUGH A SERVER


@pytest.fixture
def patient(monkeypatch):
    """Calls that a test holds back are not taken for slow ones."""
    monkeypatch.setattr("torchinf_serve.computing.pacing.LONGEST", 1e9)


def settle(module):
    while module.ENTERED.acquire(blocking=False):
        pass
    module.CALLS.clear()


def hold(server, toys, name, inputs, pool, others):
    """One request in the model and others behind it; their answers."""
    module = toys.module
    server.predict(name, inputs)
    settle(module)
    module.GO.clear()
    first = pool.submit(server.predict, name, inputs)
    assert module.ENTERED.acquire(timeout=30)
    answers = [pool.submit(server.predict, name, each) for each in others]
    while server.waiting(name) < len(others):
        pass
    module.GO.set()
    return [first.result(30), *(answer.result(30) for answer in answers)]


def test_requests_that_came_while_the_model_ran_share_a_call(toys, serve, patient):
    toys.toy("toy")
    with serve(toys) as server, ThreadPoolExecutor(8) as pool:
        others = [[[n, 0, 0, 0]] for n in range(2)]
        answers = hold(server, toys, "toy", [[9, 0, 0, 0]], pool, others)
        found = [answer.json()["outputs"]["y"]["data"] for answer in answers]
        assert found == [[9.0], [0.0], [1.0]]
        assert toys.module.CALLS == [1, 2]
        toys.module.CALLS.clear()
        toys.toy("mixing")
        answers = hold(server, toys, "mixing", [[9, 0, 0, 0]], pool, others)
        assert [answer.json()["outputs"]["y"]["data"] for answer in answers] == [[0.0]] * 3
        assert toys.module.CALLS == [1, 1, 1]


def test_a_bad_request_in_a_batch_fails_alone(toys, serve, patient):
    toys.toy("toy")
    toys.toy("text-a")
    with serve(toys) as server, ThreadPoolExecutor(8) as pool:
        others = [[[1, 0, 0, 0]], [[666, 0, 0, 0]]]
        answers = hold(server, toys, "toy", [[9, 0, 0, 0]], pool, others)
        assert [answer.status_code for answer in answers] == [200, 200, 422]
        assert "numbers.txt" not in answers[2].text
        answers = hold(server, toys, "text-a", "a", pool, ["b", "boom"])
        assert [answer.status_code for answer in answers] == [200, 200, 422]


def test_a_request_whose_client_has_gone_is_not_computed(toys, serve, monkeypatch):
    monkeypatch.setattr("torchinf_serve.batching.WATCH_AFTER", 0.01)
    toys.toy("toy")
    module = toys.module
    with serve(toys) as server, ThreadPoolExecutor(1) as pool:
        server.predict("toy", [[1, 0, 0, 0]])
        settle(module)
        module.GO.clear()
        first = pool.submit(server.predict, "toy", [[1, 0, 0, 0]])
        assert module.ENTERED.acquire(timeout=30)
        host, port = server.address.split(":")
        body = b'{"inputs": [[5, 0, 0, 0]]}'
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /models/toy/predict HTTP/1.1\r\nHost: a\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (len(body), body)
            )
            while not server.waiting("toy"):
                pass
        while not server.outcomes("toy").get("left"):
            pass
        assert server.waiting("toy") == 0
        module.GO.set()
        assert first.result(30).status_code == 200
    assert module.CALLS == [1]


def test_a_full_queue_is_told_with_429(toys, serve):
    toys.toy("toy")
    module = toys.module
    with serve(toys, predict_queue=1) as server, ThreadPoolExecutor(2) as pool:
        server.predict("toy", [[1, 0, 0, 0]])
        settle(module)
        module.GO.clear()
        running = [pool.submit(server.predict, "toy", [[1, 0, 0, 0]])]
        assert module.ENTERED.acquire(timeout=30)
        running.append(pool.submit(server.predict, "toy", [[1, 0, 0, 0]]))
        while not server.waiting("toy"):
            pass
        refused = server.predict("toy", [[1, 0, 0, 0]])
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["content-type"] == "application/problem+json"
        module.GO.set()
        assert [answer.result(30).status_code for answer in running] == [200, 200]


def test_the_voice_detector_of_silero_is_batched_along_its_own_axes(graphs, serve, tone):
    with serve(graphs) as server, ThreadPoolExecutor(8) as pool:
        rng = np.random.default_rng(0)
        inputs = []
        for n in range(24):
            sound = rng.standard_normal((1, 576)).astype(np.float32) * 0.1
            state = rng.standard_normal((2, 1, 128)).astype(np.float32) * n * 0.01
            inputs.append({"input": sound.tolist(), "state": state.tolist(), "sr": 16000})
        alone = [server.predict("silero", each).json()["outputs"] for each in inputs]
        together = list(pool.map(lambda each: server.predict("silero", each), inputs))
        for one, other in zip(alone, together, strict=True):
            for name, array in other.json()["outputs"].items():
                np.testing.assert_allclose(array["data"], one[name]["data"], atol=1e-4)
        served = server.predictions.pool.ready["silero"]
        assert served.metrics.rows.count < 48 or served.facts.joiner.possible
