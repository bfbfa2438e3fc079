"""The site in a real browser: nothing sticks out on a phone, and dark is dark."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
OVER_THE_EDGE = """
return [...document.querySelectorAll("article *")].filter(one =>
    one.getBoundingClientRect().right > innerWidth + 1
    && !one.closest("pre, code, .highlight, .md-typeset__scrollwrap, p:has(> img)")
).map(one => one.outerHTML.slice(0, 100));
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("material", reason="mkdocs-material is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-W", "ignore", "-m", "mkdocs", "build", "-q", "-d", folder]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    browser, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (browser and driver):
        pytest.skip("chromium and chromedriver are not installed")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    made = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield made
    made.quit()


def look(driver: Any, page: Path, *, width: int, scheme: str = "light") -> None:
    feature = {"name": "prefers-color-scheme", "value": scheme}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    driver.get(page.as_uri())


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("width", [390, 1300])
def test_nothing_sticks_out(chromium: Any, site: Path, width: int) -> None:
    for page in sorted(site.rglob("*.html")):
        look(chromium, page, width=width)
        wide = chromium.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width, page.relative_to(site)
        assert chromium.execute_script(OVER_THE_EDGE) == [], page.relative_to(site)


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_site_is_as_dark_as_the_system(
    chromium: Any, site: Path, scheme: str, dark: bool
) -> None:
    look(chromium, site / "index.html", width=1300, scheme=scheme)
    colour = chromium.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (max(int(part) for part in colour[4:-1].split(",")) < 100) is dark
