"""Live captions while the microphone records, and recording where there are none."""

import re

import pytest
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.slow


def test_captions_say_what_is_settled_and_dim_what_may_change(page: Page) -> None:
    captions = page.locator("#captions")
    captions.evaluate(
        """captions => new MutationObserver(() => {
          if (captions.querySelector(".tentative:not(:empty)")) captions.dataset.dimmed = "some";
        }).observe(captions, {childList: true, subtree: true, characterData: true})"""
    )
    page.get_by_role("button", name="Record").click()
    settled = captions.locator("span:not(.tentative)", has_text=re.compile("universe", re.I))
    settled.first.wait_for()  # the clip comes again and again until it is heard
    expect(captions).to_have_attribute("data-dimmed", "some")
    assert page.get_by_role("log").count() == 1
    page.get_by_role("button", name="Stop").click()
    page.get_by_text("words in").first.wait_for()
    expect(page.locator("#live")).to_be_hidden()


def test_captions_that_break_off_say_so(page: Page) -> None:
    page.route_web_socket(
        "**/v1/realtime*", lambda socket: socket.on_message(lambda _: socket.close())
    )
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#live-note")).to_contain_text("the connection to the service is lost")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#queue .state")).to_have_text(re.compile("words? in|Nothing was said"))


def test_where_there_are_no_captions_recording_goes_on(page: Page) -> None:
    page.route_web_socket("**/v1/realtime*", lambda socket: socket.close())
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#live-note")).to_contain_text("The recording goes on.")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#queue .state")).to_have_text(re.compile("words? in|Nothing was said"))
