"""Models are loaded once, held by name, and let go when memory is short."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from torchinf_core import (
    ModelManager,
    NotCachedError,
    NotFoundError,
    SizeLimitError,
    UsageError,
    get_model_manager,
    load,
)

if TYPE_CHECKING:
    from conftest import Box

ONES = np.ones((1, 4), np.float32)


def test_a_model_is_loaded_and_predicts(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    manager.load_model("toy")
    assert manager.get_model("toy").predict(ONES).tolist() == [10.0]
    [shown] = manager.list_models()
    assert (shown.name, shown.model, shown.runtime, shown.device) == ("toy", "toy", "toys", "cpu")


def test_the_same_model_is_loaded_once_and_with_other_settings_again(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    first = manager.load_model("toy")
    assert manager.load_model("toy") is first
    assert manager.load_model("toy", threads=3).threads == 3  # type: ignore[attr-defined]
    assert len(toys.module.LOADS) == 2


def test_a_changed_model_is_loaded_anew(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    manager.load_model("toy")
    toys.add("toy", weights=(1, 1, 1, 1))
    assert manager.load_model("toy").predict(ONES).tolist() == [4.0]


def test_a_model_may_have_another_name_in_the_program(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    manager.load_model("toy", "mine")
    assert manager.get_model("mine").name == "toy"
    with pytest.raises(NotFoundError, match="'toy'") as caught:
        manager.get_model("toy")
    assert "loaded: mine" in caught.value.hint


def test_threads_that_want_one_model_load_it_once(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    toys.module.GO.clear()
    with ThreadPoolExecutor(8) as pool:
        waiting = [pool.submit(manager.load_model, "toy") for _ in range(8)]
        toys.module.STARTED.wait(60)
        toys.module.GO.set()
        found = {id(future.result()) for future in waiting}
    assert len(found) == 1
    assert toys.module.LOADS == ["toy"]


def test_what_was_not_used_for_longest_makes_room_and_comes_back_when_asked(toys: Box) -> None:
    sizes = {name: toys.add(name, weights).size for name, weights in
             {"a": (1, 1, 1, 1), "b": (2, 2, 2, 2), "c": (3, 3, 3, 3)}.items()}  # fmt: skip
    manager = ModelManager(toys.again(memory_budget=2 * sizes["a"]))
    manager.load_model("a")
    held = manager.load_model("b")
    manager.get_model("a")
    manager.load_model("c")
    assert [model.name for model in manager.list_models()] == ["a", "c"]
    assert held.predict(ONES).tolist() == [8.0], "who still holds it can go on"
    assert manager.get_model("b").predict(ONES).tolist() == [8.0]
    assert [model.name for model in manager.list_models()] == ["c", "b"]


def test_a_model_larger_than_the_budget_is_refused(toys: Box) -> None:
    toys.add("toy")
    with pytest.raises(SizeLimitError, match="memory budget"):
        ModelManager(toys.again(memory_budget=3)).load_model("toy")


def test_unloading_closes_and_forgets(toys: Box) -> None:
    toys.add("toy")
    manager = ModelManager(toys.downloader)
    predictor = manager.load_model("toy")
    assert manager.unload("toy")
    assert not manager.unload("toy")
    assert predictor.closed
    assert predictor.released == 1  # type: ignore[attr-defined]
    predictor.close()
    assert predictor.released == 1  # type: ignore[attr-defined]
    assert manager.list_models() == []


def test_a_reference_is_downloaded_and_a_bare_word_is_not(toys: Box) -> None:
    with pytest.raises(NotCachedError):
        load("toy", downloader=toys.downloader)
    with pytest.raises(Exception, match="no runtime loads 'toy'"):
        load("toybox:toy", downloader=toys.downloader)  # it has no file, so nothing to load
    assert toys.downloader.get_record("toy").ref == "toybox:toy"


def test_download_and_load_in_one_step_names_the_model(toys: Box) -> None:
    record = toys.add("mine", ref="toybox:toy", model_id="toy")
    assert record.name == "mine"
    manager = ModelManager(toys.downloader)
    predictor = manager.load_model("mine")
    assert manager.get_model("mine") is predictor


def test_settings_of_one_model_stand_in_the_file(
    toys: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toys.add("toy")
    toys.add("other", weights=(2, 2, 2, 2))
    config = tmp_path / "config.toml"
    config.write_text("[run]\nthreads = 2\n[models.toy]\nthreads = 5\n")
    monkeypatch.setenv("TORCHINF_CONFIG", str(config))
    manager = ModelManager(toys.again())
    assert manager.load_model("toy").threads == 5  # type: ignore[attr-defined]
    assert manager.load_model("other").threads == 2  # type: ignore[attr-defined]
    assert manager.load_model("toy", threads=7).threads == 7  # type: ignore[attr-defined]
    monkeypatch.setenv("TORCHINF_THREADS", "9")
    assert ModelManager(toys.again()).load_model("toy").threads == 9  # type: ignore[attr-defined]


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"threads": -1}, {"precision": "fp8"}])
def test_a_setting_that_can_not_be_is_refused_before_loading(
    toys: Box, wrong: dict[str, object]
) -> None:
    toys.add("toy")
    with pytest.raises(UsageError, match=next(iter(wrong))):
        ModelManager(toys.downloader).load_model("toy", **wrong)
    assert toys.module.LOADS == []


def test_the_process_has_one_manager(toys: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINF_CACHE_DIR", str(toys.shelf.store.root))
    toys.add("toy")
    get_model_manager().load_model("toy")
    assert get_model_manager().get_model("toy").predict(ONES).tolist() == [10.0]
