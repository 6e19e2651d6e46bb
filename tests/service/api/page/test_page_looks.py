"""How the page looks and reads: to people, to screen readers, on phones; and what it may run."""

import re
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from opened import PHONE, Open
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.slow

NO_RECORDING = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no sound"}


def faults(result: AxeResults) -> list[str]:
    """What a checker complains of, and where."""
    return [
        f"{fault['id']}: {node['html']} {node['failureSummary']}"
        for fault in result.response["violations"]
        for node in fault["nodes"]
    ]


def test_nothing_is_loaded_from_elsewhere_and_nothing_foreign_runs(
    browser: Browser, english_address: str
) -> None:
    response = httpx.get(english_address, timeout=120)
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy and "http" not in policy
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", response.text)
    assert all(link.startswith("data:") for link in links)
    assert len(response.content) < 80_000  # as docs/page.md says
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


def test_nothing_that_comes_from_outside_is_read_as_markup(page: Page, clips: list[Path]) -> None:
    hostile = '<img src=x onerror="document.title=1"><b>talk</b>.flac'
    page.set_input_files(
        "#file", {"name": hostile, "mimeType": "audio/flac", "buffer": clips[0].read_bytes()}
    )
    expect(page.locator("#result-title")).to_have_text(hostile)
    page.get_by_text("words in").first.wait_for()
    assert page.locator("main img, main b").count() == 0
    assert page.title() == "earshot: recordings to words"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_checker_of_accessibility_finds_no_fault(
    open_page: Open, english_address: str, clips: list[Path], scheme: str
) -> None:
    with open_page(english_address, color_scheme=scheme, reduced_motion="reduce") as page:
        found = [Axe().run(page)]
        page.locator("#settings").evaluate("details => { details.open = true; }")
        sound = {"name": "s", "mimeType": "audio/flac", "buffer": clips[0].read_bytes()}
        page.set_input_files("#file", [sound, NO_RECORDING])
        page.get_by_text("words in").first.wait_for()
        page.get_by_role("alert").first.wait_for()
        found.append(Axe().run(page))
        page.get_by_role("button", name="Correct word").click()
        page.locator("#words input").fill("another")
        found.append(Axe().run(page))
        page.keyboard.press("Enter")
        page.get_by_label("Find").fill("another")
        page.get_by_label("Remember the key").check()
        found.append(Axe().run(page))
        page.get_by_role("button", name="Record").click()
        page.locator("#captions p").first.wait_for()
        found.append(Axe().run(page))
        page.get_by_role("button", name="Stop").click()
    assert [fault for result in found for fault in faults(result)] == []


def test_on_a_phone_nothing_goes_beyond_the_edge(spoken: Page) -> None:
    spoken.locator("#settings").evaluate("details => { details.open = true; }")
    name = "a_name_without_any_place_where_it_could_be_broken_into_lines" * 2
    for sound in (b"no", b""):
        spoken.set_input_files("#file", {"name": name, "mimeType": "audio/wav", "buffer": sound})
    expect(spoken.get_by_role("alert")).to_have_count(2)
    assert spoken.evaluate("innerWidth") == PHONE["width"]
    assert spoken.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_the_player_stays_in_sight_while_words_scroll(page: Page, clips: list[Path]) -> None:
    page.set_viewport_size({"width": 360, "height": 300})
    page.set_input_files("#file", clips[0])
    page.get_by_text("words in").first.wait_for()
    page.locator(".word").first.evaluate("word => word.scrollIntoView({block: 'start'})")
    expect(page.locator("#player")).to_be_in_viewport(ratio=1)


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
