"""`asr inspect`: its numbers, its page in a real browser, and what it refuses."""

import json
import re
import shutil
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import soundfile
import torch
from commands import asr
from full_disk import full_disk
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from playwright.sync_api import expect, sync_playwright

from asr.audio import SAMPLE_RATE, load
from asr.errors import BadOption
from asr.export import export
from asr.inspection import MOST_SECONDS, inspect
from asr.inspection.events import Event, correlations, events
from asr.inspection.inspection import HELD_AT
from asr.inspection.page import write_page
from asr.inspection.picture import _sound as draw_sound
from asr.inspection.picture import _units as draw_units
from asr.inspection.picture import draw
from asr.model import AcousticModel, ModelConfig
from asr.model.recurrent import Cell
from asr.runtime import Recognizer
from asr.transcript import Word

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def recognizer(phone_bundle: Path) -> Recognizer:
    return Recognizer.load(phone_bundle, "cpu")


def test_an_inspection_reads_what_the_recogniser_reads(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    inspection = inspect(recognizer, load(clips[0]))
    assert inspection.transcript.text == recognizer.transcribe(clips[0]).text
    letters, phones = inspection.heads
    assert letters.units[0] == phones.units[0] == "blank" and "ZH" in phones.units
    assert len(letters.path) == len(phones.path) == inspection.traces[0].curves["cell"].shape[0]
    assert {(item.layer, item.value) for item in inspection.held} >= {(1, 0.0), (2, 1.0)}
    assert not inspection.was_cut


def test_events_follow_the_words() -> None:
    path = np.array([0, 2, 0, 3, 0, 0, 0, 0, 0, 0])
    words = [Word("ab", 0.04, 0.2, 0.9)]
    log_mel = np.repeat(np.arange(10.0, dtype=np.float32), 4)[:, None]
    loud, pause, start, vowel = events(("blank", " ", "B", "AA"), path, log_mel, words, 0.04)
    np.testing.assert_allclose(loud.series, np.arange(10.0))
    assert pause.series.tolist() == [1, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert start.series.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert vowel.series.tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 0, 0]


def test_a_cell_that_follows_an_event_correlates_with_it() -> None:
    series = np.random.default_rng(1).random(50).astype(np.float32)
    memory = np.stack([3 * series + 1, -series, np.ones(50)], axis=1).astype(np.float32)
    found = correlations(memory, [Event("x", series)])
    np.testing.assert_allclose(found[:, 0], [1.0, -1.0, 0.0], atol=1e-5)


def test_a_picture_names_every_peak_of_a_unit(recognizer: Recognizer, clips: list[Path]) -> None:
    inspection = inspect(recognizer, load(clips[0]))
    said = [0, 1, 1, 0, 2, 0, 1, 0]  # a unit that comes twice has its name twice
    log_probs = np.log(np.full((8, 3), 0.1, np.float32))
    log_probs[np.arange(8), said] = np.log(0.8)
    head = replace(inspection.heads[-1], units=("blank", "AH", "M"), log_probs=log_probs)
    axes = Figure().subplots()
    draw_units(axes, replace(inspection, heads=(head,)))
    named = [(text.get_position()[0], text.get_text()) for text in axes.texts]
    assert [name for _, name in sorted(named)] == ["AH", "M", "AH"]


def test_no_word_of_a_picture_covers_another(recognizer: Recognizer, clips: list[Path]) -> None:
    inspection = inspect(recognizer, load(clips[0]))
    starts = np.linspace(0.0, inspection.audio.duration, 40, endpoint=False)
    words = tuple(Word("amen"[: 1 + i % 4], s, s + 0.05, 1.0) for i, s in enumerate(starts))
    figure = Figure(figsize=(7, 1.3), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0.0, inspection.audio.duration)
    draw_sound(axes, replace(inspection, transcript=inspection.transcript.with_words(words)))
    FigureCanvasAgg(figure).draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert 30 <= len(boxes) <= 40
    pairs = combinations([box for box in boxes if box.x1 < axes.bbox.x1], 2)
    assert not any(one.overlaps(other) for one, other in pairs)


@pytest.mark.parametrize("name", ["picture.svg", "page.html"])
def test_a_full_disk_leaves_the_old_file(
    name: str, recognizer: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    inspection, path = inspect(recognizer, load(clips[0])), tmp_path / name
    path.write_text("old")
    with full_disk(), pytest.raises(BadOption, match="cannot be written"):
        draw(inspection, path) if name[-3:] == "svg" else write_page(inspection, path, "x")
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_draws_plays_and_shows_the_right_numbers(
    recognizer: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    inspection = inspect(recognizer, load(clips[0]))
    write_page(inspection, tmp_path / "page.html", "a <clip>")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        page = browser.new_page(viewport={"width": 360, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend(
            [request.url] if request.url.startswith("http") else []
        ))  # fmt: skip
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        assert page.title().startswith("a <clip>")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360

        # Every canvas is drawn.
        for name in ("wave", "mel", "units", "cells", "curves"):
            colours = page.evaluate(
                f"new Set(new Uint32Array($('{name}').getContext('2d').getImageData("
                f"0, 0, $('{name}').width, $('{name}').height).data.buffer)).size"
            )
            assert colours > 1, name

        # A click on a cell at a time shows that cell's numbers at that time.
        page.select_option("#layer", label="2 back")
        page.select_option("#sort", label="number")
        page.click("#cells", position={"x": 100, "y": 40})
        height = page.evaluate("$('cells').clientHeight")
        cell, frame = int(40 / height * 16), int(100 / page.evaluate("zoom") / 0.04)
        assert page.input_value("#cell") == str(cell)
        trace = inspection.traces[3]
        for name, curve in trace.curves.items():
            shown = float(page.text_content(f"[data-curve={name}] td") or "nan")
            series = curve[:, cell]
            step = float(series.max() - series.min()) / 255
            assert shown == pytest.approx(float(curve[frame, cell]), abs=step + 1e-3), name
        expect(page.locator("#about")).to_contain_text(f"Cell {cell} of layer 2 back: half-life")

        # A cell that is not there is the nearest one.
        page.fill("#cell", "999")
        page.press("#cell", "Enter")
        assert page.input_value("#cell") == "15"
        expect(page.locator("#about")).to_contain_text("Cell 15 of layer 2 back")
        page.fill("#cell", str(cell))

        # Cells are sorted by how long they remember, and by what they follow.
        for way in ("half-life", "pause"):
            page.select_option("#sort", label=way)
            order = page.evaluate("order")
            if way == "pause":
                wanted = correlations(trace.curves["cell"].numpy(), inspection.events)[:, 1]
            else:
                wanted = trace.half_life(inspection.frame_seconds).numpy()  # type: ignore[union-attr]
            assert (np.diff(wanted[order]) <= 1e-3).all(), way
        page.select_option("#sort", label="number")
        page.fill("#cell", str(cell))

        # Keys choose another cell and another time.
        page.focus("#cells")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowRight")
        assert page.input_value("#cell") == str(cell + 1)
        expect(page.locator("#values")).to_contain_text(f"frame {frame + 1}")

        # The words light up while they are heard.
        word = inspection.transcript.words[0]
        page.evaluate(f"$('sound').currentTime = {(word.start + word.end) / 2}")
        expect(page.locator(".words button.now").first).to_have_text(word.text)
        page.evaluate("$('sound').play()")
        page.wait_for_function(f"second > {word.end}")
        page.evaluate("$('sound').pause()")

        # A gate that is held gives other words, and its own value the words of the recogniser.
        assert page.text_content("#heard", strict=True).strip() == inspection.transcript.text
        for item in inspection.held:
            page.select_option("#held-layer", label=str(item.layer))
            place = 1 + HELD_AT.index(item.value)
            page.evaluate(f"$('held').value = {place}, $('held').oninput()")
            expect(page.locator("#held-value")).to_have_text(f"held at {item.value:g}")
            said = re.compile(re.escape(item.text or "(nothing)"))
            expect(page.locator("#heard")).to_have_text(said)
        browser.close()
    assert complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(("cell", "directions"), [("lstm", 1), ("gru", 2), ("rnn", 2)])
def test_every_cell_can_be_inspected(
    cell: Cell,
    directions: Literal[1, 2],
    tiny_checkpoint: Path,
    clips: list[Path],
    tmp_path: Path,
) -> None:
    content = torch.load(tiny_checkpoint, weights_only=False)
    content["earshot"]["model"] |= {"cell": cell, "directions": directions}
    model = AcousticModel(ModelConfig.from_dict(content["earshot"]["model"]), 29)
    content["state_dict"] = {f"network.{k}": v for k, v in model.state_dict().items()}
    torch.save(content, tmp_path / "cell.ckpt")
    bundle = export(tmp_path / "cell.ckpt", tmp_path / "bundle", "fp32").path
    for name in ("page.html", "picture.png"):
        done = asr("inspect", clips[0], "--bundle", bundle, "-o", tmp_path / name)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / name).stat().st_size > 10_000
    printed = done.stdout
    assert ("half-life" in printed) == (cell != "rnn")
    page = (tmp_path / "page.html").read_text()
    data = json.loads(page.split('id="data">')[1].split("</script>")[0])
    assert len(data["layers"]) == 2 * directions
    names = set(data["layers"][0]["curves"])
    assert names >= {"lstm": {"forget", "cell"}, "gru": {"update"}, "rnn": {"hidden"}}[cell]
    assert bool(data["held"]) == (cell != "rnn")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gates.xyz", "name a .html, .png, .svg, .pdf file"), ("file/gates.html", "")],
)
def test_what_cannot_be_written_is_named(
    tmp_path: Path,
    tiny_bundle: Path,
    clips: list[Path],
    name: str,
    reason: str,
) -> None:
    (tmp_path / "file").touch()
    done = asr("inspect", clips[0], "--bundle", tiny_bundle, "-o", tmp_path / name)
    assert done.returncode == 2
    err = done.stderr
    assert str(tmp_path) in err and reason in err and err.count("\n") == 1


def test_a_bundle_without_weights_is_refused(bundle_copy: Path, clips: list[Path]) -> None:
    (bundle_copy / "model.safetensors").unlink()
    done = asr("inspect", clips[0], "--bundle", bundle_copy)
    assert done.returncode == 2
    assert str(bundle_copy) in done.stderr and "model.safetensors" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["page.html", "picture.png"])
def test_what_draws_may_be_missing(
    name: str, tmp_path: Path, tiny_bundle: Path, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("asr.inspection.page", "asr.inspection.picture", "asr.pages"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for library in ("jinja2", "matplotlib", "matplotlib.axes", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, library, None)
    done = asr("inspect", clips[0], "--bundle", tiny_bundle, "-o", tmp_path / name)
    assert done.returncode == 2 and not (tmp_path / name).exists()
    assert "needs the extra `train`" in done.stderr and done.stderr.count("\n") == 1
    numbers = asr("inspect", clips[0], "--bundle", tiny_bundle)
    assert numbers.returncode == 0 and "half-life" in numbers.stdout


@pytest.mark.slow
def test_the_end_of_a_long_recording_is_left_out_with_a_note(
    tmp_path: Path, tiny_bundle: Path
) -> None:
    noise = np.random.default_rng(0).normal(0, 0.01, int((MOST_SECONDS + 5) * SAMPLE_RATE))
    soundfile.write(tmp_path / "long.wav", noise.astype(np.float32), SAMPLE_RATE)
    page = tmp_path / "page.html"
    done = asr("inspect", tmp_path / "long.wav", "--bundle", tiny_bundle, "-o", page)
    assert done.returncode == 0
    assert "is longer than a page can hold; its first 30 seconds" in done.stderr
    assert "The first 30 of 35 seconds" in page.read_text(encoding="utf-8")


def test_a_clip_without_a_frame_is_refused(
    tmp_path: Path,
    tiny_bundle: Path,
) -> None:
    soundfile.write(tmp_path / "short.wav", np.zeros(100, np.float32), SAMPLE_RATE)
    done = asr("inspect", tmp_path / "short.wav", "--bundle", tiny_bundle)
    assert done.returncode == 2
    assert "too short for a single frame" in done.stderr
