"""A blob is deleted when nobody uses it any more, also after a repair put another in its place."""

from __future__ import annotations


def test_a_mended_blob_is_still_counted_by_a_model_that_holds_a_copy(make_shelf, tmp_path) -> None:
    shelf = make_shelf(tmp_path / "store")
    shelf.add("linked", {"m.bin": b"one"})
    shelf.add("copied", {"g.onnx": b"graph", "w.data": b"one"})
    path = shelf.store.model_dir(shelf.registry.get("linked")) / "m.bin"
    path.chmod(0o600)
    path.write_bytes(b"?ne")
    assert [problem.repaired for problem in shelf.store.fsck(repair=True)] == [True]
    assert shelf.content("linked") == {"m.bin": b"one"}
    shelf.registry.remove("linked")
    assert shelf.store.fsck() == []
    shelf.registry.remove("copied")
    blobs = [path for path in (shelf.store.root / "blobs").rglob("*") if path.is_file()]
    assert blobs == []
