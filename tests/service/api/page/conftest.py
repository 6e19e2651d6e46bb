"""A real browser, and the page in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import soundfile
from opened import PHONE, Open
from playwright.sync_api import Browser, Page, expect, sync_playwright

from asr.audio import SAMPLE_RATE, load
from asr.runtime import Recognizer

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
expect.set_options(timeout=60_000)  # a busy machine passes too


@pytest.fixture(scope="session")
def english(shipped_bundle: Path) -> Recognizer:
    """The shipped model: what the page shows is held against what it reads."""
    return Recognizer.load(shipped_bundle, "cpu")


@pytest.fixture(scope="module")  # its loop must not run beside the tests of other files
def browser(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone hears the first clip, again and again."""
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed")
    voice = tmp_path_factory.mktemp("voice") / "voice.wav"
    soundfile.write(voice, load(clips[0]).samples, SAMPLE_RATE)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",  # which root may not use
                "--use-fake-ui-for-media-stream",
                "--use-fake-device-for-media-stream",
                f"--use-file-for-fake-audio-capture={voice}",
                "--autoplay-policy=no-user-gesture-required",
                # By plain http no place for secrets, unlike this machine's own address.
                "--host-resolver-rules=MAP plain.example 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def open_page(browser: Browser) -> Open:
    """Opens a page; whatever it complains of in its console fails the test."""

    @contextmanager
    def opened(address: str, **context: Any) -> Iterator[Page]:
        with browser.new_context(**{"viewport": PHONE, **context}) as made:
            made.set_default_timeout(60_000)
            page = made.new_page()
            said: list[str] = []
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.goto(address)
            yield page
        assert [line for line in said if "Failed to load resource" not in line] == []

    return opened


@pytest.fixture
def page(open_page: Open, english_address: str) -> Iterator[Page]:
    """The page of the shipped model's service, on a phone."""
    with open_page(english_address) as page:
        yield page


@pytest.fixture
def spoken(page: Page, clips: list[Path]) -> Page:
    """The page, once the words of the first clip are on it."""
    page.set_input_files("#file", clips[0])
    page.get_by_text("words in").first.wait_for()
    return page
