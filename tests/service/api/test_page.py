"""The page for people, in a real browser: by mouse, by keyboard and by microphone."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import soundfile
from playwright.sync_api import Browser, Page, expect, sync_playwright

from asr.audio import SAMPLE_RATE, load
from asr.runtime import Recognizer
from asr.text import normalise
from asr.transcript import displayed, write

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
PLAIN = "plain.example"  # by plain http no place for secrets, unlike this machine's own address
expect.set_options(timeout=30_000)  # a busy machine passes too
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed"),
]


@pytest.fixture(scope="module")
def english(shipped_bundle: Path) -> Recognizer:
    """The shipped model: what is heard by the microphone is held against what was said."""
    return Recognizer.load(shipped_bundle, "cpu")


@pytest.fixture(scope="module")
def browser(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser whose microphone hears the first clip."""
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
                f"--host-resolver-rules=MAP {PLAIN} 127.0.0.1",
            ],
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, english_address: str) -> Iterator[Page]:
    """The page on a phone; whatever it complains of in its console fails the test."""
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(english_address)
    yield page
    context.close()
    assert [line for line in said if "Failed to load resource" not in line] == []


def test_a_file_becomes_words_with_times_and_confidence(
    page: Page, english: Recognizer, clips: list[Path]
) -> None:
    spoken = english.transcribe(clips[0])
    shown = displayed(spoken.words)
    page.set_input_files("#file", clips[0])
    expect(page.locator(".word")).to_have_text([word.text for word in shown])
    assert page.locator(".word").first.get_attribute("aria-label") == (
        f"{shown[0].text}, at 0:0{int(10 * spoken.words[0].start) / 10}, "
        f"{round(100 * spoken.words[0].confidence)} percent sure"
    )
    expect(page.get_by_role("status")).to_contain_text(f"{len(spoken.words)} words in")
    expect(page.locator(".doubt.word")).to_have_count(
        sum(round(100 * word.confidence) < 70 for word in spoken.words)
    )
    with page.expect_download() as download:
        page.get_by_role("button", name="Download SRT").click()
    assert download.value.suggested_filename == f"{clips[0].stem}.srt"
    assert download.value.path().read_text() == write(spoken, "srt")


def test_a_word_that_is_clicked_is_heard_and_no_more(
    page: Page, english: Recognizer, clips: list[Path]
) -> None:
    words = displayed(english.transcribe(clips[0]).words)
    page.set_input_files("#file", clips[0])
    page.locator(".word").nth(4).click()
    expect(page.locator("#detail")).to_contain_text(words[4].text)
    page.wait_for_timeout(100)
    audio = page.locator("#audio")
    expect(audio).to_have_js_property("paused", True)  # once the word is over
    stopped, duration = audio.evaluate("audio => [audio.currentTime, audio.duration]")
    assert words[4].end <= stopped < duration - 0.5


def test_it_is_usable_by_keyboard_alone(page: Page, clips: list[Path]) -> None:
    page.set_input_files("#file", clips[0])
    page.locator(".word").first.wait_for()
    page.locator("#audio").evaluate("audio => { audio.tabIndex = -1; audio.controls = false; }")
    for name in ("file", "record"):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.id") == name
    while "word" not in page.evaluate("document.activeElement.className"):
        page.keyboard.press("Tab")
    for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.at") == str(at)
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.locator("#audio")).not_to_have_js_property("currentTime", 0)
    page.keyboard.press("Tab")  # past all words at once
    assert page.evaluate("document.activeElement.id") == "srt"


def test_the_microphone_is_heard(page: Page, english: Recognizer, clips: list[Path]) -> None:
    page.get_by_role("button", name="Record").click()
    page.wait_for_timeout(5_500)  # the clip is 4.6 s, and comes again and again
    page.get_by_role("button", name="Stop").click()
    page.locator(".word").first.wait_for()
    heard = set(map(normalise, page.locator(".word").all_inner_texts()))
    said = {word.text for word in english.transcribe(clips[0]).words}
    assert len(said & heard) >= len(said) / 3, heard  # opus and a meeting's noise filters between


def test_what_is_no_recording_is_said_and_the_page_goes_on(page: Page, clips: list[Path]) -> None:
    page.set_input_files(
        "#file", {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no sound"}
    )
    expect(page.get_by_role("alert")).to_contain_text("is not a recording")
    expect(page.locator("#result")).to_be_hidden()
    page.set_input_files("#file", clips[1])
    expect(page.get_by_role("alert")).to_be_hidden()
    page.locator(".word").first.wait_for()


@pytest.mark.parametrize(("status", "said"), [(413, "larger than a proxy"), (502, "no answer")])
def test_the_answer_of_a_proxy_is_told_as_what_it_is(
    page: Page, clips: list[Path], status: int, said: str
) -> None:
    html = f"<html><h1>{status} from a proxy</h1></html>"
    page.route(
        "**/v1/transcribe*",
        lambda route: route.fulfill(status=status, content_type="text/html", body=html),
    )
    page.set_input_files("#file", clips[0])
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_role("alert")).not_to_contain_text("reached")


def pasted(page: Page) -> str:
    """What the clipboard holds."""
    page.locator("details").evaluate("details => { details.open = true; }")
    page.locator("#hotwords").press("Control+V")
    return page.locator("#hotwords").input_value()


def test_the_text_is_copied_also_by_plain_http(
    page: Page, english_address: str, english: Recognizer, clips: list[Path]
) -> None:
    page.goto(english_address.replace("127.0.0.1", PLAIN))
    assert page.evaluate("navigator.clipboard === undefined")
    page.set_input_files("#file", clips[0])
    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("status")).to_have_text("Copied.")
    assert pasted(page) == english.transcribe(clips[0]).text


def test_where_nothing_can_be_copied_it_says_so(
    page: Page, english_address: str, clips: list[Path]
) -> None:
    page.goto(english_address.replace("127.0.0.1", PLAIN))
    page.evaluate("() => { document.execCommand = () => false; }")  # as a browser may refuse it
    page.set_input_files("#file", clips[0])
    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("alert")).to_contain_text("copy it by hand")
    assert page.evaluate("getSelection().toString().length > 10")


def test_while_recording_no_old_result_stays_or_comes(page: Page, clips: list[Path]) -> None:
    page.set_input_files("#file", clips[0])
    page.locator(".word").first.wait_for()
    page.get_by_role("button", name="Record").click()
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    expect(page.locator("#result")).to_be_hidden()
    expect(page.get_by_role("status")).to_have_text("Recording …")
    page.get_by_role("button", name="Stop").click()
    page.locator(".word").first.or_(page.get_by_text("Nothing was said")).first.wait_for()


def test_nothing_is_loaded_from_elsewhere_and_nothing_foreign_runs(
    browser: Browser, english_address: str
) -> None:
    response = httpx.get(english_address, timeout=120)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", response.text)
    assert all(link.startswith("data:") for link in links)
    page = browser.new_page()
    page.goto(english_address)
    page.evaluate(
        """() => {
          const script = document.createElement("script");
          script.textContent = "window.foreign = true";
          document.body.append(script);
        }"""
    )
    assert page.evaluate("window.foreign") is None
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_background(
    browser: Browser, english_address: str, scheme: str
) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(english_address)
    colours = page.evaluate(
        """() => {
          const read = (name) => getComputedStyle(document.documentElement).getPropertyValue(name);
          return Object.fromEntries(["paper", "card", "ink", "soft", "unsure", "doubt", "accent",
            "on-accent", "now"].map((name) => [name, read(`--${name}`).trim()]));
        }"""
    )
    context.close()
    for front, back in (
        *(
            (front, back)
            for front in ("ink", "soft", "unsure", "doubt")
            for back in ("paper", "card")
        ),
        ("on-accent", "accent"),
        ("ink", "now"),
    ):
        assert contrast(colours[front], colours[back]) >= 4.5, (front, back)  # WCAG 2.2, AA


def contrast(one: str, other: str) -> float:
    """The ratio of two colours' luminance, as WCAG defines it."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
