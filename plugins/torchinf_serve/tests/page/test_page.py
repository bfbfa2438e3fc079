"""The page in a browser: a download watched, a prediction tried, by clicks and by keys."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from torchinf_core.testing import Hub, faults

if TYPE_CHECKING:
    from conftest import Running, Serve

TREES = "gradient_boosting_regressor.onnx"


@pytest.fixture
def trees() -> bytes:
    """A real ONNX model: the trees of surfaces."""
    spec = find_spec("surfaces_onnx_files")
    if spec is None or not spec.submodule_search_locations or find_spec("onnxruntime") is None:
        pytest.skip("surfaces-onnx-files or onnxruntime is not installed")
    return (Path(spec.submodule_search_locations[0]) / TREES).read_bytes()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_real_model_is_downloaded_and_predicts(
    open_server: Running, hub: Hub, trees: bytes, tokens: tuple[str, str], browser: Any, dark: bool
) -> None:
    hub.add(f"/{TREES}", trees)
    browser.open(open_server.url, dark=dark)
    browser.log_in(tokens[0])
    assert tokens[0] not in browser.driver.current_url
    browser.labelled("Source").send_keys("url")
    browser.labelled("Model or reference").send_keys(hub.url(f"/{TREES}"))
    browser.labelled("Name").send_keys("trees")
    browser.click("Download")
    browser.reads("done", "#jobs li")
    browser.click("Try trees")
    browser.reads("FP32[any", "#takes")
    browser.labelled("JSON array").send_keys("[[0.1, 0.2, 0.3, 0.4]]")
    browser.click("Predict")
    browser.reads("trees answered in", "#result")
    shown = browser.find("#result").text
    answer = open_server.client().post(
        "/models/trees/predict", json={"inputs": [[0.1, 0.2, 0.3, 0.4]]}
    )
    for output in answer.json()["outputs"].values():
        assert str(output["data"]).replace(" ", "") in shown.replace(" ", "")
    browser.screenshot(f"page-{'dark' if dark else 'light'}")
    assert browser.complaints() == []
    color = browser.driver.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert color == ("rgb(16, 19, 23)" if dark else "rgb(244, 245, 247)")


def test_pictures_and_texts_are_tried_on_a_phone(
    serve: Serve, toybox: Hub, tokens: tuple[str, str], browser: Any, tmp_path: Path
) -> None:
    image = pytest.importorskip("PIL.Image")
    image.new("RGB", (64, 48), (255, 120, 0)).save(tmp_path / "orange.png")
    server = serve()
    for name in ("image", "text"):
        body = {"source": "toybox", "model_id": name}
        assert server.client().post("/models/download?wait=true", json=body).status_code == 200
    browser.open(server.url, phone=True)
    browser.log_in(tokens[0])
    browser.click("Try text")
    browser.reads("a text, or x: FP32[any, 4]", "#takes")
    browser.labelled("Text").send_keys("<b>what a day</b>")
    browser.click("Predict")
    browser.reads("love of <b>what a day</b>", "#result")
    browser.click("Try image")
    browser.reads("a picture", "#takes")
    browser.labelled("File").send_keys(str(tmp_path / "orange.png"))
    browser.find("#preview")
    browser.click("Predict")
    browser.reads("red", "#result")
    rows = [row.text for row in browser.driver.find_elements("css selector", "#result tr")]
    assert rows == ["red 100.0 %", "green 47.1 %", "blue 0.0 %"]
    wide = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.driver.execute_script(wide) == 0
    browser.screenshot("page-phone")
    assert browser.complaints() == []


def test_a_download_is_watched_cancelled_and_retried(
    open_server: Running, hub: Hub, tokens: tuple[str, str], browser: Any, content: Any
) -> None:
    hub.add("/big.bin", content(4 << 20))
    hub.throttle = 1 << 20
    browser.open(open_server.url)
    browser.log_in(tokens[0])
    browser.labelled("Model or reference").send_keys(hub.url("/big.bin"))
    browser.click("Download")
    browser.until(
        lambda d: d.execute_script("return document.querySelector('progress')?.position > 0")
    )
    browser.reads("running", "#jobs li")
    browser.screenshot("page-running")
    browser.click("Cancel big")
    browser.reads("cancelled", "#jobs li")
    hub.throttle = None
    browser.click("Retry big")
    browser.reads("done", "#jobs li")
    browser.reads("big", "#models li")
    spoken = browser.driver.find_element("css selector", "#progress")
    assert "big: done" in spoken.get_attribute("textContent")


def test_failures_are_told_with_what_to_do(
    open_server: Running, hub: Hub, tokens: tuple[str, str], browser: Any
) -> None:
    hub.fail("/gone.bin", faults.status(404))
    browser.open(open_server.url)
    browser.find("#token").send_keys("a token that nobody knows")
    browser.click("Use it")
    browser.reads("this token is not known", "#message")
    browser.log_in(tokens[0])
    browser.labelled("Model or reference").send_keys("nosuch:model")
    browser.click("Download")
    browser.reads("no installed plugin serves 'nosuch'", "#message")
    field = browser.labelled("Model or reference")
    field.clear()
    field.send_keys(hub.url("/gone.bin"))
    browser.click("Download")
    browser.reads("failed", "#jobs li")
    browser.screenshot("page-failed")
    browser.click("Forget token")
    browser.find("#login")
    assert browser.driver.execute_script("return sessionStorage.length") == 0
    assert browser.driver.find_element("css selector", "#jobs").text == ""


def test_keys_alone_are_enough(
    serve: Serve, toybox: Hub, tokens: tuple[str, str], browser: Any
) -> None:
    from selenium.webdriver import ActionChains, Keys

    browser.open(serve().url)
    browser.find("#token")
    keys = lambda *pressed: ActionChains(browser.driver).send_keys(*pressed).perform()  # noqa: E731
    keys(tokens[0], Keys.ENTER)
    browser.find("#content")
    browser.until(lambda d: d.switch_to.active_element.get_attribute("id") == "model-id")
    keys("toybox:sum", Keys.ENTER)
    browser.reads("sum", "#models li")
    reached = set()
    for _ in range(40):
        keys(Keys.TAB)
        element = browser.driver.switch_to.active_element
        reached.add(element.get_attribute("id") or element.accessible_name)
    assert {"forget", "source", "name", "Download", "Try sum", "Remove sum", "model", "kind",
            "Predict"} <= reached  # fmt: skip
    browser.click("Remove sum")
    browser.until(lambda d: d.switch_to.alert).accept()
    browser.reads("No model is stored.")
