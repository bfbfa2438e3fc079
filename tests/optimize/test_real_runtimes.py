"""A model of torchvision through the real runtimes: optimised, loaded, and still the same."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec

import pytest

from torchinf_core import ModelDownloader, load
from torchinf_core.loading.explaining import explain
from torchinf_core.optimize import bench, optimize
from torchinf_core.predicting import comparing

NEEDED = ("torch", "torchvision", "onnx", "onnxruntime", "onnxscript")
missing = [name for name in NEEDED if find_spec(name) is None]
pytestmark = [
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
]
ARCH = "torchvision:mobilenet_v2"


@pytest.fixture(scope="module")
def downloader(tmp_path_factory):
    """A store with a checkpoint of mobilenet_v2 that nobody trained."""
    import torch
    import torchvision

    folder = tmp_path_factory.mktemp("real")
    torch.manual_seed(0)
    module = torchvision.models.mobilenet_v2().eval()
    torch.save(module.state_dict(), folder / "mobilenet_v2.pth")
    downloader = ModelDownloader(cache_dir=folder / "store")
    downloader.download((folder / "mobilenet_v2.pth").as_uri(), name="mobile")
    return downloader


def test_a_form_by_another_runtime_passes_the_gate_and_is_what_load_takes(downloader):
    run = replace(downloader.settings.run, arch=ARCH)
    report = optimize(downloader, "mobile", run, keep="ONNX Runtime fp32")
    assert report.reference == "torch fp32"
    [row] = report.rows
    assert (row.verdict, row.reason) == ("chosen", "")
    assert row.error < 1e-4
    assert report.derived.files
    assert "onnxruntime" in report.derived.versions
    plain = load("mobile", downloader=downloader, arch=ARCH, optimize="off")
    fast = load("mobile", downloader=downloader, arch=ARCH)
    with plain, fast:
        assert (plain.runtime, fast.runtime) == ("torch", "onnx")
        for batch in (1, 3):
            feeds = plain.examples(batch)
            found = comparing.compare(plain.run(feeds), fast.run(feeds))
            assert found.error < 1e-4
        rows = bench([plain, fast], [1], seconds=0.1)
    assert [(row.runtime, row.form) for row in rows] == [("torch", ""), ("onnx", row.label)]
    settings = downloader.settings
    told = explain(downloader.get_record("mobile"), downloader.store, settings, run)
    assert [row.form for row in told if row.chosen] == ["ONNX Runtime fp32"]


def test_whatever_is_the_fastest_here_computes_the_same(downloader):
    run = replace(downloader.settings.run, arch=ARCH)
    report = optimize(downloader, "mobile", run)
    tried = [row for row in report.rows if not row.verdict.startswith("skipped")]
    assert {row.verdict for row in tried} <= {"chosen", "slower"}, tried
    assert {row.runtime for row in tried} >= {"torch", "onnx"}
    assert all(row.error <= run.tolerance for row in tried)
    with load("mobile", downloader=downloader, arch=ARCH) as predictor:
        derived = predictor.artifact.derived
        assert (derived.label if derived else None) == (
            report.derived.label if report.derived else None
        )
