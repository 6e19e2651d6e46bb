"""The words on the page: shown, heard by a click, walked by keyboard, copied; the microphone."""

import re
from pathlib import Path

import pytest
import soundfile
from playwright.sync_api import Page, expect

from asr.audio import SAMPLE_RATE, load
from asr.runtime import Recognizer
from asr.text import normalise
from asr.transcript import displayed

pytestmark = pytest.mark.slow


def test_a_file_becomes_words_with_times_and_confidence(
    spoken: Page, english: Recognizer, clips: list[Path]
) -> None:
    words = displayed(english.transcribe(clips[0]).words)
    expect(spoken.locator(".word")).to_have_text([word.text for word in words])
    assert spoken.locator(".word").first.get_attribute("aria-label") == (
        f"{words[0].text}, at 0:0{int(10 * words[0].start) / 10}, "
        f"{round(100 * words[0].confidence)} percent sure"
    )
    expect(spoken.locator("#status")).to_contain_text(f"{len(words)} words in")
    expect(spoken.locator(".doubt.word")).to_have_count(
        sum(round(100 * word.confidence) < 70 for word in words)
    )


def test_a_word_that_is_clicked_is_heard_and_no_more(
    spoken: Page, english: Recognizer, clips: list[Path]
) -> None:
    words = displayed(english.transcribe(clips[0]).words)
    audio = spoken.locator("#audio")
    audio.evaluate("audio => audio.addEventListener('pause', () => { audio.stopped = true; })")
    spoken.locator(".word").nth(4).click()
    expect(spoken.locator("#detail")).to_contain_text(words[4].text)
    expect(audio).to_have_js_property("stopped", True)  # once the word is over
    stopped, duration = audio.evaluate("audio => [audio.currentTime, audio.duration]")
    assert words[4].end <= stopped < duration


def test_the_word_of_each_channel_that_is_heard_is_lit_at_little_cost(spoken: Page) -> None:
    """However long the recording is: the words are searched and not gone through at each frame."""
    lit, reads = spoken.evaluate(
        """async () => {
          shown.words = [];
          showItem(shown);
          [0, 1.5, 5].forEach((delay, channel) => {
            const words = Array.from({ length: 3000 }, (_, at) => {
              const start = 2 * at + delay;
              return { word: `${channel}-${at}`, start, end: start + 1.9, probability: 1, channel };
            });
            hearSegment(shown, { words });
          });
          let reads = 0;
          for (const word of shown.words) {
            const { start } = word;
            Object.defineProperty(word, "start", { get: () => { reads += 1; return start; } });
          }
          const audio = $("audio"), frame = () => new Promise(requestAnimationFrame);
          audio.currentTime = 2.1;
          audio.playbackRate = 0.1;
          await audio.play();
          while (!$("words").querySelector(".now")) await frame();
          reads = 0;
          for (let at = 0; at < 10; at += 1) await frame();
          return [Array.from(document.querySelectorAll(".now"), (one) => one.textContent), reads];
        }"""
    )
    assert lit == ["0-1", "1-0"]
    assert 0 < reads < 10 * 3 * 20
    spoken.locator("#audio").evaluate("audio => audio.pause()")
    expect(spoken.locator(".now")).to_have_count(0)


def test_it_is_usable_by_keyboard_alone(spoken: Page) -> None:
    spoken.locator("#audio").evaluate("audio => { audio.tabIndex = -1; audio.controls = false; }")
    spoken.evaluate("document.activeElement.blur()")
    for name in ("file", "record"):
        spoken.keyboard.press("Tab")
        assert spoken.evaluate("document.activeElement.id") == name
    while spoken.evaluate("document.activeElement.className") != "name":
        spoken.keyboard.press("Tab")
    spoken.keyboard.press("Enter")  # to the words of this recording
    assert spoken.evaluate("document.activeElement.id") == "result-title"
    while "word" not in spoken.evaluate("document.activeElement.className"):
        spoken.keyboard.press("Tab")
    for key, at in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("Home", 0)):
        spoken.keyboard.press(key)
        assert spoken.evaluate("document.activeElement.dataset.at") == str(at)
    spoken.keyboard.press("End")
    spoken.keyboard.press("Enter")
    expect(spoken.locator("#audio")).not_to_have_js_property("currentTime", 0)
    spoken.keyboard.press("Tab")  # past all words at once
    assert "word" not in spoken.evaluate("document.activeElement.className")


def test_the_microphone_is_heard(page: Page, english: Recognizer, clips: list[Path]) -> None:
    page.get_by_role("button", name="Record").click()
    # The clip is 4.6 s, and comes again and again.
    page.get_by_role("button", name=re.compile(r"Stop .0:(0[6-9]|[1-5]\d)")).click()
    page.locator(".word").first.wait_for()
    page.get_by_text("words in").first.wait_for()
    heard = set(map(normalise, page.locator(".word").all_inner_texts()))
    said = {word.text for word in english.transcribe(clips[0]).words}
    assert len(said & heard) >= len(said) / 3, heard  # opus and a meeting's noise filters between


@pytest.mark.parametrize(
    ("name", "advice"),
    [("NotAllowedError", "allow it beside the address"), ("NotFoundError", "plug one in")],
)
def test_without_a_microphone_it_says_what_to_do(page: Page, name: str, advice: str) -> None:
    page.evaluate(
        """name => {
          navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", name); };
        }""",
        name,
    )
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#alert")).to_contain_text(advice)


def test_two_clicks_ask_for_one_microphone(page: Page) -> None:
    page.evaluate(
        """() => {
          const devices = navigator.mediaDevices, ask = devices.getUserMedia.bind(devices);
          devices.getUserMedia = async (what) => {
            document.body.dataset.asked = Number(document.body.dataset.asked ?? 0) + 1;
            await new Promise((resolve) => setTimeout(resolve, 500));
            return ask(what);
          };
        }"""
    )
    page.get_by_role("button", name="Record").dblclick()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("button", name="Record", exact=True).wait_for()
    expect(page.locator("body")).to_have_attribute("data-asked", "1")


def test_a_recording_that_gave_no_words_is_not_lost(page: Page) -> None:
    page.evaluate("LIMITS.bytes = 10_001")
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#queue .state")).to_contain_text("and the service takes 1 byte")
    leave = "() => !dispatchEvent(new Event('beforeunload', {cancelable: true}))"
    assert page.evaluate(leave)  # the browser asks before it closes the page
    remove = page.get_by_role("button", name="Remove:")
    remove.click()  # and the question is answered with no
    with page.expect_download() as download:
        page.get_by_role("button", name="Save sound").click()
    assert download.value.path().stat().st_size > 100
    assert not page.evaluate(leave)
    remove.click()
    expect(page.locator("#queue li")).to_have_count(0)


def test_hours_of_the_microphone_fit_into_a_request(page: Page) -> None:
    page.get_by_role("button", name="Record").click()
    page.get_by_role("button", name=re.compile(r"Stop .0:(0[6-9]|[1-5]\d)")).click()
    page.get_by_text("words in").first.wait_for()
    size, seconds, most = page.evaluate(
        "[items[0].file.size, items[0].seconds, [LIMITS.bytes, LIMITS.seconds]]"
    )
    assert size / seconds < most[0] / most[1]


def test_where_the_browser_cannot_play_a_file_it_says_so(
    page: Page, clips: list[Path], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "talk.aiff", load(clips[0]).samples, SAMPLE_RATE)
    page.set_input_files("#file", tmp_path / "talk.aiff")
    expect(page.locator("#queue .state")).to_contain_text("words in")
    expect(page.get_by_text("This browser cannot play this kind of file")).to_be_visible()
    expect(page.locator("#audio")).to_be_hidden()
    page.set_input_files("#file", clips[0])
    expect(page.locator("#queue .state").nth(1)).to_contain_text("words in")
    expect(page.locator("#audio")).to_be_visible()
    expect(page.get_by_text("This browser cannot play")).to_have_count(0)


def test_while_recording_no_old_result_is_shown(spoken: Page) -> None:
    spoken.get_by_role("button", name="Record").click()
    expect(spoken.get_by_role("button", name="Stop")).to_be_visible()
    expect(spoken.locator("#result")).to_be_hidden()
    expect(spoken.locator("#status")).to_have_text("Recording …")
    spoken.get_by_role("button", name="Stop").click()
    expect(spoken.locator("#queue li")).to_have_count(2)
    expect(spoken.locator("#result-title")).to_contain_text("Recording of")


def pasted(page: Page) -> str:
    """What the clipboard holds."""
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.locator("#hotwords").press("Control+V")
    return page.locator("#hotwords").input_value()


@pytest.fixture
def by_http(page: Page, english_address: str, clips: list[Path]) -> Page:
    """The page by plain http, where browsers keep the clipboard from it, with words on it."""
    page.goto(english_address.replace("127.0.0.1", "plain.example"))
    assert page.evaluate("navigator.clipboard === undefined")
    page.set_input_files("#file", clips[0])
    page.get_by_text("words in").first.wait_for()
    return page


def test_the_text_is_copied_also_by_plain_http(
    by_http: Page, english: Recognizer, clips: list[Path]
) -> None:
    by_http.get_by_role("button", name="Copy text").click()
    expect(by_http.locator("#status")).to_have_text("Copied.")
    assert pasted(by_http) == english.transcribe(clips[0]).text


def test_a_pasted_list_of_lines_gets_commas(page: Page) -> None:
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.context.grant_permissions(["clipboard-write"])
    page.evaluate("navigator.clipboard.writeText(' Ann Lee\\r\\n\\nNyx \\nQuilter\\n')")
    page.locator("#hotwords").fill("Zoe, ")
    page.locator("#hotwords").press("Control+V")
    expect(page.locator("#hotwords")).to_have_value("Zoe, Ann Lee, Nyx, Quilter")


def test_where_nothing_can_be_copied_it_says_so(by_http: Page) -> None:
    by_http.evaluate("() => { document.execCommand = () => false; }")  # as a browser may refuse it
    by_http.get_by_role("button", name="Copy text").click()
    expect(by_http.locator("#alert")).to_contain_text("copy it by hand")
    assert by_http.evaluate("getSelection().toString().length > 10")
