"""A browser without a window, and a server with toys to look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SHOTS = os.environ.get("TORCHINF_SCREENSHOTS")
"""Read before the fixtures take all such variables away."""
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A WebDriver of a fresh Chromium; skips where there is none."""
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('chromium')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.set_capability("unhandledPromptBehavior", "ignore")
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield made
    made.quit()


class Browser:
    """The page as a person uses it: by labels and buttons, and with patience.

    Attributes:
        driver: Selenium's.
    """

    def __init__(self, driver: Any, shots: Path) -> None:
        self.driver = driver
        self._shots = shots

    def open(self, url: str, *, dark: bool = False, phone: bool = False) -> None:
        """Load a page in a fresh tab."""
        self.driver.switch_to.new_window("tab")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._tell("Emulation.setEmulatedMedia", {"features": [scheme]})
        size = {"width": 390 if phone else 1000, "height": 900}
        more = {"deviceScaleFactor": 1, "mobile": phone}
        self._tell("Emulation.setDeviceMetricsOverride", {**size, **more})
        self.driver.get_log("browser")
        self.driver.get(url)

    def find(self, selector: str) -> Any:
        """The first element, as soon as it is there and shown."""

        def shown(driver: Any) -> Any:
            found = driver.find_elements("css selector", selector)
            return next((element for element in found if element.is_displayed()), None)

        return self.until(shown, f"nothing is shown that is {selector}")

    def labelled(self, label: str) -> Any:
        """The field that a label belongs to."""
        path = f"//label[starts-with(normalize-space(), '{label}')]"
        found = self.until(
            lambda d: [e for e in d.find_elements("xpath", path) if e.is_displayed()]
        )
        return self.find(f"#{found[0].get_attribute('for')}")

    def click(self, name: str) -> None:
        """Push the button of a name, with which assistive technology would find it."""

        def named(driver: Any) -> Any:
            buttons = driver.find_elements("css selector", "button")
            return next(
                (b for b in buttons if b.is_displayed() and b.accessible_name == name), None
            )

        self.until(named, f"there is no button {name!r}").click()

    def reads(self, text: str, selector: str = "main") -> None:
        """Wait until a text is shown."""
        self.until(
            lambda d: any(text in e.text for e in d.find_elements("css selector", selector)),
            f"{text!r} is not shown",
        )

    def until(self, condition: Callable[[Any], Any], message: str = "") -> Any:
        """What a condition gives as soon as that is true."""
        from selenium.common import StaleElementReferenceException
        from selenium.webdriver.support.ui import WebDriverWait

        wait = WebDriverWait(
            self.driver, 20, 0.02, ignored_exceptions=[StaleElementReferenceException]
        )
        return wait.until(condition, message)

    def log_in(self, token: str) -> None:
        """Give the token."""
        self.find("#token").send_keys(token)
        self.click("Use it")
        self.find("#content")

    def screenshot(self, name: str) -> Path:
        """Keep a picture of the whole page."""
        height = self.driver.execute_script("return document.documentElement.scrollHeight")
        width = self.driver.execute_script("return innerWidth")
        more = {"deviceScaleFactor": 1, "mobile": width < 500}
        size = {"width": width, "height": max(height, 600)}
        self._tell("Emulation.setDeviceMetricsOverride", {**size, **more})
        path = self._shots / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path

    def complaints(self) -> list[str]:
        """What the browser wrote to its console."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def _tell(self, command: str, parameters: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(command, parameters)


@pytest.fixture
def browser(chromium: Any, tmp_path: Path) -> Iterator[Browser]:
    """One tab; its screenshots go to ``$TORCHINF_SCREENSHOTS``, else to the test's folder."""
    shots = Path(SHOTS or tmp_path)
    shots.mkdir(parents=True, exist_ok=True)
    before = chromium.current_window_handle
    yield Browser(chromium, shots)
    if chromium.current_window_handle != before:
        chromium.close()
        chromium.switch_to.window(before)
