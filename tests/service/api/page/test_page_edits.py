"""Words are corrected, found and saved: their times stay, and what was done can be undone."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from opened import drop
from playwright.sync_api import Page, expect

from asr.audio import SAMPLE_RATE, load
from asr.runtime import Recognizer
from asr.transcript import displayed, write

pytestmark = pytest.mark.slow


def saved(page: Page, format: str) -> str:
    """The file of a format that the page gives."""
    with page.expect_download() as download:
        page.get_by_role("button", name=f"Save as {format}").click()
    assert download.value.suggested_filename.endswith(f".{format.lower()}")
    return download.value.path().read_text(encoding="utf-8")


def word(page: Page, at: int) -> Any:
    return page.locator(".word").nth(at)


def correct(page: Page, at: int, text: str) -> None:
    word(page, at).dblclick()
    page.locator("#words input").fill(text)
    page.keyboard.press("Enter")


def test_files_are_those_of_the_recogniser(
    page: Page, english: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    silences = [np.zeros(SAMPLE_RATE * seconds, np.float32) for seconds in (1, 5, 3, 60, 2)]
    parts = [
        part
        for clip, silence in zip(clips, silences, strict=False)
        for part in (load(clip).samples, silence)
    ]
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    long = tmp_path / "long.wav"
    soundfile.write(long, np.concatenate(parts), SAMPLE_RATE)
    for recording in (*clips[:2], long):
        spoken = english.transcribe(recording)
        page.set_input_files("#file", recording)
        expect(page.locator("#queue .state").last).to_contain_text("words in")
        for format in ("TXT", "SRT", "VTT"):
            assert saved(page, format) == write(spoken, format.lower())
        page.get_by_role("button", name="Copy text").click()
        expect(page.locator("#status")).to_have_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == write(spoken, "txt").rstrip()
        made = json.loads(saved(page, "JSON"))
        assert made.keys() == spoken.to_dict().keys()
        assert made["words"] == spoken.to_dict()["words"]
        assert [part["text"] for part in made["segments"]] == [
            segment.text for segment in spoken.segments
        ]
        assert made["confidence"] == pytest.approx(spoken.confidence, abs=2e-4)


def test_channels_are_read_apart_and_named(
    page: Page, english: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    interview = tmp_path / "interview.wav"
    one, other = (load(clip).samples for clip in clips[:2])
    gap = np.zeros(SAMPLE_RATE, np.float32)
    left = np.concatenate([one, *[gap] * 8, one])  # over a minute they would be paragraphs anyway
    right = np.resize(np.concatenate([gap, gap, other]), len(left))
    soundfile.write(interview, np.stack([left, right], axis=1), SAMPLE_RATE)
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.get_by_label("Channels").select_option("split")
    page.set_input_files("#file", [interview, clips[0]])
    for at in (0, 1):
        expect(page.locator("#queue .state").nth(at)).to_contain_text("words in")
    page.get_by_role("button", name="Show interview.wav").click()
    spoken = english.transcribe(interview, channels="split")
    for format in ("TXT", "SRT", "VTT"):
        assert saved(page, format) == write(spoken, format.lower())
    made, shown = json.loads(saved(page, "JSON")), spoken.to_dict()
    assert (made["text"], made["words"]) == (shown["text"], shown["words"])
    assert made["duration"] == pytest.approx(shown["duration"], abs=1e-3)
    assert [part["channel"] for part in made["segments"]] == [
        segment.channel for segment in spoken.segments
    ]
    assert {*page.locator(".speaker").all_inner_texts()} == {"left", "right"}
    page.get_by_role("button", name=f"Show {clips[0].name}").click()  # which has one channel
    expect(page.locator(".speaker")).to_have_text([""] * page.locator("#words p").count())
    assert saved(page, "SRT") == write(english.transcribe(clips[0]), "srt")


def test_a_corrected_word_keeps_its_times_and_is_saved(
    spoken: Page, english: Recognizer, clips: list[Path]
) -> None:
    heard = displayed(english.transcribe(clips[0]).words)
    correct(spoken, 1, "<b>men & women</b>")
    expect(word(spoken, 1)).to_have_text("<b>men & women</b>")
    assert spoken.evaluate("document.activeElement.dataset.at") == "1"
    correct(spoken, 2, "")
    expect(word(spoken, 2)).to_have_class("word edited removed")
    texts = [heard[0].text, "<b>men & women</b>", *(each.text for each in heard[3:])]
    assert saved(spoken, "TXT") == f"{' '.join(texts)}\n"
    assert "&lt;b&gt;men &amp; women&lt;/b&gt;" in saved(spoken, "VTT")
    made = json.loads(saved(spoken, "JSON"))["words"]
    assert len(made) == len(heard) - 1
    assert made[1] == {
        "text": "b men women b",
        "written": "<b>men & women</b>",
        "start": pytest.approx(heard[1].start, abs=1e-3),
        "end": pytest.approx(heard[1].end, abs=1e-3),
        "confidence": pytest.approx(heard[1].confidence, abs=1e-4),
        "heard": heard[1].text,
    }


def test_edits_are_undone_and_done_again(spoken: Page) -> None:
    before = spoken.locator(".word").all_inner_texts()
    undo, redo = (spoken.get_by_role("button", name=name) for name in ("Undo", "Redo"))
    expect(undo).to_be_disabled()
    correct(spoken, 0, "One")
    correct(spoken, 3, "two")
    undo.click()
    expect(word(spoken, 3)).to_have_text(before[3])
    word(spoken, 3).press("Control+z")
    expect(word(spoken, 0)).to_have_text(before[0])
    expect(undo).to_be_disabled()
    word(spoken, 0).press("Control+Shift+z")
    redo.click()
    expect(spoken.locator(".word")).to_have_text(["One", *before[1:3], "two", *before[4:]])
    undo.click()
    correct(spoken, 1, "new")
    expect(redo).to_be_disabled()


def test_words_are_corrected_by_keyboard_alone(spoken: Page) -> None:
    before = spoken.locator(".word").all_inner_texts()
    word(spoken, 0).focus()
    spoken.keyboard.press("ArrowRight")
    spoken.keyboard.press("F2")
    spoken.keyboard.type("nobody")  # in place of the word, which is selected
    spoken.keyboard.press("Escape")
    expect(word(spoken, 1)).to_have_text(before[1])
    expect(word(spoken, 1)).to_be_focused()
    spoken.keyboard.press("F2")
    spoken.keyboard.type("nobody")
    spoken.keyboard.press("Enter")
    expect(spoken.locator("#audio")).to_have_js_property("currentTime", 0)  # nothing is played
    spoken.keyboard.press("ArrowRight")
    expect(word(spoken, 2)).to_be_focused()
    expect(spoken.locator(".word")).to_have_text([before[0], "nobody", *before[2:]])


def test_words_are_found_whatever_their_capitals_and_marks(spoken: Page) -> None:
    texts = spoken.locator(".word").all_inner_texts()
    find, found = spoken.get_by_label("Find"), spoken.locator("#found")
    find.fill(f"{texts[1].upper()} {texts[2]}")
    expect(found).to_have_text("1 of 1")
    expect(spoken.locator(".found")).to_have_text(texts[1:3])
    correct(spoken, 5, texts[1])
    find.fill(texts[1])
    expect(found).to_have_text("1 of 2")
    find.press("Enter")
    expect(found).to_have_text("2 of 2")
    expect(spoken.locator(".current")).to_have_attribute("data-at", "5")
    find.press("Shift+Enter")
    expect(found).to_have_text("1 of 2")
    find.fill("nowhere")
    expect(found).to_have_text("not found")
    expect(spoken.get_by_role("button", name="Next")).to_be_disabled()


def test_what_is_being_typed_is_kept_when_another_recording_comes(
    spoken: Page, clips: list[Path]
) -> None:
    word(spoken, 1).dblclick()
    spoken.keyboard.type("typed")
    drop(spoken, clips[1])
    expect(spoken.locator("#result-title")).to_have_text(clips[1].name)
    spoken.get_by_role("button", name=f"Show {clips[0].name}").click()
    expect(word(spoken, 1)).to_have_text("typed")


def test_what_was_corrected_is_not_read_anew_by_mistake(page: Page, clips: list[Path]) -> None:
    heard = {"word": "one", "written": "One", "start": 0.1, "end": 0.4, "probability": 0.9}
    event = {"type": "transcript.text.delta", "delta": "One", "words": [heard]}
    body = f"data: {json.dumps(event)}\n\n"  # and then it breaks off
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(body=body))
    page.set_input_files("#file", clips[0])
    again = page.get_by_role("button", name="Try again")
    again.wait_for()
    page.unroute("**/v1/audio/transcriptions")
    correct(page, 0, "Two")
    again.click()  # and the question is answered with no
    expect(page.locator(".word")).to_have_text(["Two"])
    page.once("dialog", lambda dialog: dialog.accept())
    again.click()
    expect(page.locator("#queue .state")).to_contain_text("words in")
    expect(page.locator(".word.edited")).to_have_count(0)
    page.get_by_role("button", name="Remove:").click()  # without a question
    expect(page.locator("#queue li")).to_have_count(0)


def choose_beam(page: Page) -> None:
    """Changes a field, which the page then remembers."""
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.get_by_label("Decoder").select_option("beam")


def test_nothing_is_remembered_unless_asked(spoken: Page) -> None:
    spoken.reload()
    expect(spoken.locator("#queue li")).to_have_count(0)
    assert spoken.evaluate("localStorage.length + document.cookie.length") == 0


def test_results_and_fields_are_remembered_and_forgotten(spoken: Page) -> None:
    spoken.get_by_label("Remember the key").check()
    texts = spoken.locator(".word").all_inner_texts()
    correct(spoken, 1, "nobody")
    spoken.locator("#settings").evaluate("details => { details.open = true; }")
    spoken.get_by_label("Names and rare words").fill("Quilter")
    spoken.get_by_label("Decoder").select_option("beam")
    spoken.reload()
    expect(spoken.get_by_label("Remember the key")).to_be_checked()
    expect(spoken.locator("#hotwords")).to_have_value("Quilter")
    expect(spoken.locator("#decoder")).to_have_value("beam")
    spoken.get_by_role("button", name="Show").click()
    expect(spoken.locator(".word")).to_have_text([texts[0], "nobody", *texts[2:]])
    expect(spoken.locator("#audio")).to_be_hidden()
    assert "nobody" in saved(spoken, "SRT")
    spoken.get_by_role("button", name="Forget all").click()
    assert spoken.evaluate("localStorage.length") == 0
    expect(spoken.locator("#hotwords")).to_have_value("")
    spoken.reload()
    expect(spoken.locator("#queue li")).to_have_count(0)
    expect(spoken.get_by_label("Remember the key")).not_to_be_checked()


def test_two_tabs_remember_the_results_of_both_and_forget_together(
    spoken: Page, clips: list[Path]
) -> None:
    spoken.get_by_label("Remember the key").check()
    other = spoken.context.new_page()
    other.goto(spoken.url)
    expect(other.locator("#queue li")).to_have_count(1)
    spoken.set_input_files("#file", clips[1])
    expect(spoken.locator("#queue .state").nth(1)).to_contain_text("words in")
    other.set_input_files("#file", clips[2])
    expect(other.locator("#queue .state").nth(1)).to_contain_text("words in")
    spoken.reload()
    expect(spoken.locator("#queue .name")).to_have_text([clip.name for clip in clips[:3]])
    other.get_by_role("button", name="Forget all").click()
    expect(spoken.get_by_label("Remember the key")).not_to_be_checked()
    spoken.reload()
    expect(spoken.locator("#queue li")).to_have_count(0)


def test_a_memory_of_another_version_leaves_the_page_whole(page: Page) -> None:
    kept = {"id": "a", "name": "a.wav", "state": "done", "words": [], "seconds": 1}
    other = {"results": [kept, None, {"words": None}], "fields": {"gone": "x", "hotwords": "Ann"}}
    page.evaluate("text => localStorage.setItem('earshot', text)", json.dumps(other))
    page.reload()
    expect(page.locator("#queue .name")).to_have_text(["a.wav"])
    expect(page.locator("#hotwords")).to_have_value("Ann")
    expect(page.get_by_label("Model", exact=True).locator("option")).to_have_count(2)


@pytest.fixture
def other(spoken: Page) -> Page:
    """A second tab, which has the result of the first one from the memory."""
    spoken.get_by_label("Remember the key").check()
    other = spoken.context.new_page()
    other.goto(spoken.url)
    other.get_by_role("button", name="Show").click()
    return other


def test_what_one_tab_corrects_is_kept_when_the_other_remembers(spoken: Page, other: Page) -> None:
    texts = spoken.locator(".word").all_inner_texts()
    correct(spoken, 1, "nobody")
    expect(other.locator(".word").nth(1)).to_have_text("nobody")
    correct(other, 2, "asked")
    expect(spoken.locator(".word").nth(2)).to_have_text("asked")
    choose_beam(other)
    choose_beam(spoken)
    spoken.reload()
    spoken.get_by_role("button", name="Show").click()
    expect(spoken.locator(".word")).to_have_text([texts[0], "nobody", "asked", *texts[3:]])


def test_what_one_tab_corrects_meanwhile_is_kept_by_a_tab_that_was_not_told(
    spoken: Page, other: Page
) -> None:
    other.evaluate("takeCorrections = () => {}")
    correct(spoken, 1, "nobody")
    choose_beam(other)
    spoken.reload()
    spoken.get_by_role("button", name="Show").click()
    expect(spoken.locator(".word").nth(1)).to_have_text("nobody")


def test_what_one_tab_removes_does_not_come_back_from_the_other(
    spoken: Page, other: Page, clips: list[Path]
) -> None:
    spoken.get_by_role("button", name="Remove:").click()
    choose_beam(other)
    spoken.set_input_files("#file", clips[1])
    expect(spoken.locator("#queue .state")).to_contain_text("words in")
    spoken.reload()
    expect(spoken.locator("#queue .name")).to_have_text([clips[1].name])
    correct(other, 0, "One")  # which makes it worth remembering again
    spoken.reload()
    expect(spoken.locator("#queue li")).to_have_count(2)


def test_what_was_corrected_is_not_removed_by_mistake(spoken: Page) -> None:
    correct(spoken, 0, "One")
    remove = spoken.get_by_role("button", name="Remove:")
    remove.click()  # and the question is answered with no
    expect(spoken.locator("#queue li")).to_have_count(1)
    saved(spoken, "TXT")
    remove.click()
    expect(spoken.locator("#queue li")).to_have_count(0)
    expect(spoken.locator("#result")).to_be_hidden()
