"""Killed, or let down by the disk, at every system call that touches the store.

One store lives through all of it: each fault hits the publication of a new
version, after which the version before it or the new one must be there, and
publishing again must work.
"""

from __future__ import annotations

import signal

import pytest

pytestmark = pytest.mark.root


def spread(points, most):
    """At most so many of the points, evenly, the first and last among them."""
    if len(points) <= most:
        return points
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def seeds(kind):
    """Versions without end; ONNX models are copied, others linked."""
    number = 0
    while True:
        number += 1
        yield f"{kind}-{number}"


@pytest.mark.parametrize("kind", ["plain", "onnx"])
def test_killed_at_any_call_the_old_or_the_new_version_is_there(
    tracer, victim, publisher, make_shelf, tmp_path, depth, kind
):
    shelf = make_shelf(tmp_path / "store")
    versions = seeds(kind)
    publisher.publish(str(shelf.store.root), "m", old := next(versions))
    publisher.publish(str(shelf.store.root), "other", "other")
    points = tracer.points(victim(shelf.store.root, "m", old := next(versions)), shelf.store.root)
    assert len(points) > 40
    killed, kept = 0, 0
    for point in spread(points, int(depth * (45 if kind == "plain" else 15))):
        new = next(versions)
        done = tracer.inject(victim(shelf.store.root, "m", new), point, "signal=KILL")
        killed += done.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)
        assert done.returncode in (0, -signal.SIGKILL, 128 + signal.SIGKILL), (point, done.stderr)
        assert shelf.damage() == [], point
        content = shelf.content("m")
        assert content in (publisher.contents(old), publisher.contents(new)), point
        kept += content == publisher.contents(old)
        if "acknowledged" in done.stdout:
            assert content == publisher.contents(new), point
        publisher.publish(str(shelf.store.root), "m", new)
        assert shelf.content("m") == publisher.contents(new), point
        assert shelf.damage() == [], point
        old = new
    assert killed > 10
    assert kept > 5
    assert shelf.content("other") == publisher.contents("other")
    shelf.store.gc(dry_run=False, grace=0)
    assert shelf.damage() == []
    assert len(list((shelf.store.root / "models").iterdir())) == 2
    assert [path for path in (shelf.store.root / "tmp").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("error", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("kind", ["plain", "onnx"])
def test_whatever_call_fails_nothing_is_published_and_the_old_version_stays(
    tracer, victim, publisher, make_shelf, tmp_path, depth, kind, error
):
    shelf = make_shelf(tmp_path / "store")
    versions = seeds(kind)
    publisher.publish(str(shelf.store.root), "m", old := next(versions))
    publisher.publish(str(shelf.store.root), "other", "other")
    points = tracer.points(victim(shelf.store.root, "m", old := next(versions)), shelf.store.root)
    failed = 0
    for point in spread(points, int(depth * (25 if kind == "plain" else 12))):
        new = next(versions)
        done = tracer.inject(victim(shelf.store.root, "m", new), point, f"error={error}")
        assert done.returncode in (0, 6), (point, done.stderr)
        if done.returncode == 6:
            failed += 1
            expected = "DiskSpaceError" if error == "ENOSPC" else "StoreError"
            assert expected in done.stderr, (point, done.stderr)
            assert shelf.content("m") == publisher.contents(old), point
        else:
            assert shelf.content("m") == publisher.contents(new), point
        assert shelf.damage() == [], point
        publisher.publish(str(shelf.store.root), "m", new)
        assert shelf.content("m") == publisher.contents(new), point
        old = new
    assert failed > 5
    assert shelf.content("other") == publisher.contents("other")
    assert shelf.damage() == []


def test_killed_while_the_store_is_made_the_next_one_makes_it(
    tracer, victim, publisher, make_shelf, tmp_path, depth
):
    first = tmp_path / "first" / "store"
    first.parent.mkdir()
    points = tracer.points(victim(first, "m", "one"), first)
    assert len(points) > 60
    for number, point in enumerate(spread(points, int(depth * 25))):
        root = tmp_path / f"{number:05}" / "store"
        root.parent.mkdir()
        done = tracer.inject(victim(root, "m", "one"), point, "signal=KILL")
        shelf = make_shelf(root)
        assert shelf.damage() == [], point
        if "acknowledged" not in done.stdout:
            assert shelf.registry.names() in ([], ["m"]), point
        publisher.publish(str(root), "m", "one")
        assert shelf.content("m") == publisher.contents("one"), point
        assert shelf.damage() == [], point
