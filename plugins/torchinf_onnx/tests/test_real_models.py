"""Trained models that ship inside packages give the outputs that they are known for."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def packaged(artifact_of: Any, tmp_path: Path) -> Any:
    def run(package: str, path: str) -> Any:
        spec = find_spec(package)
        if spec is None or not spec.submodule_search_locations:
            pytest.skip(f"{package} is not installed")
        source = Path(spec.submodule_search_locations[0]) / path
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / source.name).write_bytes(source.read_bytes())
        return artifact_of(tmp_path / "real")

    return run


def test_the_voice_detector_of_silero(packaged, load):
    predictor = load(packaged("silero_vad", "data/silero_vad.onnx"))
    tone = 0.5 * np.sin(2 * np.pi * 220 * np.arange(512) / 16000)
    feeds = {
        "input": np.concatenate([np.zeros(64), tone]).astype(np.float32)[None],
        "state": np.zeros((2, 1, 128), np.float32),
        "sr": np.array(16000),
    }
    assert predictor.predict(feeds)["output"] == pytest.approx(0.1233494, abs=1e-5)
    assert predictor.predict({**feeds, "sr": 16000})["stateN"].shape == (2, 1, 128)
    predictor.warm_up()


SURFACES = [
    "gradient_boosting_regressor",
    "k_neighbors_classifier",
    "k_neighbors_classifier.validity",
    "k_neighbors_regressor",
]


@pytest.mark.parametrize("name", SURFACES)
def test_the_trees_and_neighbours_of_surfaces(packaged, load, name):
    predictor = load(packaged("surfaces_onnx_files", f"{name}.onnx"))
    found = predictor.predict(np.ones((1, 4), np.float32))
    if name == SURFACES[0]:
        assert found == pytest.approx(0.256073, abs=1e-5)
        assert predictor.predict([1, 1, 1, 1]) == pytest.approx(0.256073, abs=1e-5)
    assert len(predictor.predict_batch([[1, 1, 1, 1]] * 3)) == 3
    assert all(np.isfinite(np.asarray(a, float)).all() for a in [found] if not isinstance(a, dict))
