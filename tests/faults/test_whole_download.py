"""A whole download, killed or let down by the disk at any system call that touches the store."""

from __future__ import annotations

import random
import signal

import pytest

from torchinf_core.testing import Hub

pytestmark = pytest.mark.root
SIZE = 2_500_000


def content(number):
    return random.Random(number).randbytes(SIZE)


def spread(points, most):
    """At most so many of the points, evenly, the first and last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


@pytest.mark.parametrize(
    ("what", "most"), [("signal=KILL", 18), ("error=EIO", 10), ("error=ENOSPC", 10)]
)
def test_a_download_that_is_struck_at_any_call_can_be_done_again(
    tracer, cli, make_shelf, depth, what, most
):
    shelf = make_shelf(cli.store)
    statuses = set()
    with Hub() as hub:
        number = 0

        def words():
            nonlocal number
            number += 1
            url = hub.add(f"/{number}/model.bin", content(number))
            return ("download", url, "--name", "m", "--replace", "-q")

        assert cli(*words()).returncode == 0
        points = tracer.points(cli.command(*words()), cli.store, env=cli.env)
        assert len(points) > 60
        for point in spread(points, int(most * depth)):
            again, old = words(), number - 1
            done = tracer.inject(cli.command(*again), point, what, env=cli.env)
            where = (point, done.returncode, done.stderr)
            statuses.add(done.returncode)
            assert done.returncode in (0, 6, -signal.SIGKILL, 128 + signal.SIGKILL), where
            assert "Traceback" not in done.stderr, where
            assert shelf.damage() == [], where
            found = shelf.content("m")["model.bin"]
            assert found == content(number) or (done.returncode and found == content(old)), where
            assert done.returncode != 6 or found == content(old), where
            repeated = cli(*again)
            assert repeated.returncode == 0, (where, repeated.stderr)
            assert shelf.content("m")["model.bin"] == content(number), where
            assert shelf.damage() == [], where
        assert hub.requests
    assert statuses - {0}
    assert list((cli.store / "partial").glob("*.json")) == []
