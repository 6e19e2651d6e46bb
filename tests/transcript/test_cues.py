"""Subtitles: the rules that every cue keeps, and the formats that carry them."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import BadOption
from asr.runtime import Recognizer
from asr.text import normalise
from asr.transcript import Layout, Transcript, Word, between_pauses, cues, write
from asr.transcript.cues import FLICKER_S, LEAST_S, MOST_S, READ_PER_S, _Span
from asr.transcript.segments import PAUSE_S

layouts = st.builds(Layout, max_line_width=st.integers(8, 60), max_line_count=st.integers(1, 4))


@st.composite
def spoken(draw: st.DrawFn) -> tuple[Word, ...]:
    """Words that follow one another in time."""
    lengths = draw(st.lists(st.integers(1, 60), max_size=30))
    now, words = draw(st.floats(0, 5)), []
    for length in lengths:
        end = now + draw(st.floats(0.04, 1.5))
        words.append(Word("w" * length, now, end, 0.5))
        now = end + draw(st.sampled_from([0.0, 0.04, 0.3, 0.79, 0.81, 3.0]))
    return tuple(words)


def said(text: str, per_word: float = 0.3, gap: float = 0.1) -> tuple[Word, ...]:
    """The words of `text`, evenly spoken."""
    step = per_word + gap
    return tuple(
        Word(word, at * step, at * step + per_word, 1.0) for at, word in enumerate(text.split())
    )


def transcript(words: tuple[Word, ...], more: float = 2.0) -> Transcript:
    text = " ".join(word.text for word in words)
    return Transcript(text, words, 1.0, (words[-1].end if words else 0.0) + more, not words)


@given(spoken(), layouts)
def test_every_word_is_shown_once_whole_and_in_order(
    words: tuple[Word, ...], layout: Layout
) -> None:
    shown = [
        word for cue in cues(words, 100.0, layout) for line in cue.lines for word in line.split()
    ]
    assert shown == [word.text for word in words]


@given(spoken(), layouts)
def test_every_cue_keeps_the_rules(words: tuple[Word, ...], layout: Layout) -> None:
    at = 0
    for cue in cues(words, 100.0, layout):
        count = sum(len(line.split()) for line in cue.lines)
        held, at = words[at : at + count], at + count
        assert 1 <= len(cue.lines) <= layout.max_line_count
        assert all(len(line) <= layout.max_line_width or " " not in line for line in cue.lines)
        assert cue.start == held[0].start and cue.end >= held[-1].end
        assert count == 1 or held[-1].end - held[0].start <= MOST_S
        assert all(after.start - word.end < PAUSE_S for word, after in pairwise(held))


@given(spoken())
def test_cues_never_overlap_and_stay_as_long_as_they_need_where_they_can(
    words: tuple[Word, ...],
) -> None:
    found = cues(words, 100.0)
    for cue, after in pairwise(found):
        assert cue.end == after.start or cue.end + FLICKER_S <= after.start + 1e-9
        needed = max(LEAST_S, len(" ".join(cue.lines)) / READ_PER_S)
        assert cue.end - cue.start >= min(needed, after.start - cue.start) - 1e-9


@settings(max_examples=50)
@given(spoken())
def test_no_other_way_to_cut_costs_less(words: tuple[Word, ...]) -> None:
    for part in between_pauses(words[:9]):
        span = _Span(part.words, part.end + 1.0, Layout())
        n = len(part.words)
        costs = []
        for flags in product([False, True], repeat=n - 1):
            bounds = [0, *(at + 1 for at, cut in enumerate(flags) if cut), n]
            ways = list(pairwise(bounds))
            if all(end - begin == 1 or span.fits(begin, end) for begin, end in ways):
                costs.append(sum(span.cost(begin, end) for begin, end in ways))
        assert sum(span.cost(*way) for way in span.cut()) == pytest.approx(min(costs))


def test_a_cut_is_made_where_the_speaker_pauses() -> None:
    first = said("we had been waiting at the station for the train", gap=0.05)
    offset = first[-1].end + 0.6  # shorter than a pause that always cuts
    second = [
        Word(word.text, word.start + offset, word.end + offset, 1.0)
        for word in said("when it came it was already full of people", gap=0.05)
    ]
    found = cues((*first, *second), 20.0)
    assert found[0].lines == ("we had been waiting at", "the station for the train")
    assert found[1].start == pytest.approx(offset)


def test_two_lines_are_of_like_length_and_a_long_word_has_its_own() -> None:
    (cue,) = cues(said("it is a truth universally acknowledged that a man", 0.2, 0.0), 9.0)
    assert cue.lines == ("it is a truth universally", "acknowledged that a man")
    long = "x" * 60
    lines = [cue.lines for cue in cues((Word("a", 0, 1, 1.0), Word(long, 1, 2, 1.0)), 9.0)]
    assert lines == [("a", long)]


@pytest.mark.parametrize(
    "lines",
    [
        "Sounds a little distasteful. / I have these",
        "sounds a little / distasteful I have these",
        "That led from the house, / to the flat on the hill",
        "No. That is what he / said to me on that day",
    ],
)
def test_a_line_rather_ends_with_a_mark(lines: str) -> None:
    written = lines.replace("/ ", "")
    words = zip(said(normalise(written), 0.2, 0.0), written.split(), strict=True)
    (cue,) = cues(
        [replace(word, written=text) for word, text in words], 9.0, Layout(max_line_width=32)
    )
    assert " / ".join(cue.lines) == lines


def test_srt_and_vtt_to_the_letter() -> None:
    words = (Word("we<b", 0.5, 1.0, 1.0), Word("&", 3661.0, 3661.2, 1.0))
    spoken = transcript(words, more=0.3)
    assert write(spoken, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,500\nwe<b\n\n2\n01:01:01,000 --> 01:01:01,500\n&\n"
    )
    assert write(spoken, "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nwe&lt;b\n\n01:01:01.000 --> 01:01:01.500\n&amp;\n"
    )


def test_lines_are_as_long_and_as_many_as_told() -> None:
    words = said("we had been waiting at the station for the train", 0.3, 0.0)
    (cue,) = cues(words, 9.0, Layout(max_line_width=16, max_line_count=4))
    assert cue.lines == ("we had been", "waiting at", "the station", "for the train")
    one = cues(words, 9.0, Layout(max_line_width=30, max_line_count=1))
    assert [cue.lines for cue in one] == [
        ("we had been waiting",),
        ("at the station for the train",),
    ]


def test_two_speakers_are_named_and_each_is_cut_by_itself() -> None:
    ann, bob = said("well i think so"), said("no")
    later = [replace(word, start=word.start + 0.5, end=word.end + 0.5, channel=2) for word in bob]
    spoken = transcript((*(replace(word, channel=1) for word in ann), *later))
    names = Layout(speakers="right=Bob,1=Ann")
    srt, vtt = (write(spoken, format, layout=names).splitlines() for format in ("srt", "vtt"))
    assert srt[2::4] == ["Ann: well i think so", "Bob: no"]
    assert vtt[3::3] == ["<v Ann>well i think so", "<v Bob>no"]
    assert write(spoken, "txt") == "left: well i think so\n\nright: no\n"


@pytest.mark.parametrize("speakers", ["Ann", "left=", "=Ann", "0=Ann", "65=Ann", "left=A,,", "x=A"])
def test_speakers_that_cannot_be_read_are_refused(speakers: str) -> None:
    with pytest.raises(BadOption, match="cannot be read at"):
        Layout(speakers=speakers)


def test_a_gap_that_would_flicker_is_closed() -> None:
    words = tuple(Word("w" * 20, 2 * at, 2 * at + 1.95, 1.0) for at in range(9))
    found = cues(words, 20.0)
    assert len(found) > 2
    assert all(cue.end == after.start for cue, after in pairwise(found))


def test_highlighted_words_have_their_times_in_order_within_the_cue() -> None:
    words = (Word("a<b", 0.5, 0.5, 1.0), Word("b", 0.5, 1.0, 1.0), Word("c", 1.25, 1.5, 1.0))
    written = write(transcript(words), "vtt", layout=Layout(highlight_words=True))
    assert written.splitlines()[3:] == ["<c>a&lt;b</c> <c>b</c> <00:00:01.250><c>c</c>"]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"max_line_width": 7}, "max_line_width 7 is out of range; choose 8 to 1000."),
        ({"max_line_width": "wide"}, "max_line_width 'wide' is not a whole number"),
        ({"max_line_count": 0}, "max_line_count 0 is out of range; choose 1 to 10."),
        ({"timestamps": "no"}, "timestamps 'no' is neither true nor false"),
    ],
)
def test_a_layout_that_cannot_be_is_refused(values: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadOption, match=re.escape(reason)):
        Layout(**values)


def test_tsv_has_whispers_columns_and_ctm_those_of_sclite() -> None:
    spoken = transcript((*said("one two"), Word("three", 3.0, 3.5, 0.25)))
    assert write(spoken, "tsv") == "start\tend\ttext\n0\t700\tone two\n3000\t3500\tthree\n"
    assert write(spoken, "ctm", "my talk").splitlines() == [
        "my_talk 1 0.000 0.300 one 1.0000",
        "my_talk 1 0.400 0.300 two 1.0000",
        "my_talk 1 3.000 0.500 three 0.2500",
    ]


def test_silence_is_a_file_without_cues() -> None:
    written = [write(transcript(()), format) for format in ("srt", "vtt", "tsv", "ctm")]
    assert written == ["", "WEBVTT\n", "start\tend\ttext\n", ""]


@pytest.mark.skipif(shutil.which("sctk") is None, reason="NIST's sctk is not installed")
def test_sclite_reads_the_ctm(tmp_path: Path) -> None:
    spoken = transcript(said("the quick brown fox"))
    (tmp_path / "heard.ctm").write_text(write(spoken, "ctm", "talk"))
    (tmp_path / "said.stm").write_text("talk 1 ann 0.0 9.0 the quick brown ox\n")
    files = ["-r", "said.stm", "stm", "-h", "heard.ctm", "ctm"]
    command = ["sctk", "sclite", *files, "-o", "sum", "stdout"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.search(r"Sum/Avg *\| +1 +4 +\| +75\.0 +25\.0 ", done.stdout), done.stdout


@pytest.mark.slow
def test_a_real_recording_in_every_format(clips: list[Path], shipped_bundle: Path) -> None:
    spoken = Recognizer.load(shipped_bundle, "cpu").transcribe(clips[0])
    assert spoken.words
    assert " ".join(write(spoken, "srt").splitlines()[2:4]).split()[0] == spoken.words[0].written
    assert len(write(spoken, "ctm").splitlines()) == len(spoken.words)
    assert json.loads(write(spoken, "json")) == spoken.to_dict()
