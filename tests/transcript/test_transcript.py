"""Transcripts and their writers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import BadOption
from asr.transcript import (
    FORMATS,
    Layout,
    Transcript,
    Word,
    check_layout,
    file_suffix,
    write,
)

SAID = Transcript(
    text="A MAN SAID",
    words=(
        Word("A", 0.12345, 0.2, 0.98765432),
        Word("MAN", 0.24, 0.5600001, 1.0),
        Word("SAID", 0.6, 1.04, 0.3),
    ),
    confidence=0.76543219,
    duration=4.6500001,
    no_speech=False,
)
SILENCE = Transcript("", (), 0.0, 0.0, True)

seconds = st.floats(0, 20_000, allow_nan=False)
shares = st.floats(0, 1, allow_nan=False)
words = st.builds(
    Word, st.text(min_size=1), seconds, seconds, shares, st.sampled_from([None, 1, 2])
)
transcripts = st.builds(
    Transcript, st.text(), st.lists(words).map(tuple), shares, seconds, st.booleans()
)


def test_json_is_one_object_with_exactly_the_promised_keys_in_order() -> None:
    line = write(SAID, "json")
    assert line.count("\n") == 1 and line.endswith("\n")
    assert list(json.loads(line)) == [
        "text",
        "words",
        "confidence",
        "duration",
        "no_speech",
        "segments",
    ]
    assert list(json.loads(line)["segments"][0]) == ["text", "start", "end", "confidence", "words"]
    assert list(json.loads(line)["words"][0]) == ["text", "start", "end", "confidence"]


def test_json_rounds_times_to_milliseconds_and_confidence_to_four_digits() -> None:
    assert json.loads(write(SAID, "json")) == {
        "text": "A MAN SAID",
        "words": [
            {"text": "A", "start": 0.123, "end": 0.2, "confidence": 0.9877},
            {"text": "MAN", "start": 0.24, "end": 0.56, "confidence": 1.0},
            {"text": "SAID", "start": 0.6, "end": 1.04, "confidence": 0.3},
        ],
        "confidence": 0.7654,
        "duration": 4.65,
        "no_speech": False,
        "segments": [
            {
                "text": "A MAN SAID",
                "start": 0.123,
                "end": 1.04,
                "confidence": 0.7626,
                "words": json.loads(write(SAID, "json"))["words"],
            }
        ],
    }


def test_txt_is_the_text_and_a_newline() -> None:
    assert write(SAID, "txt") == write(SAID, "text") == "A MAN SAID\n"
    assert write(SILENCE, "txt") == "\n"


def test_silence_has_no_words_in_json() -> None:
    assert json.loads(write(SILENCE, "json")) == {
        "text": "",
        "words": [],
        "confidence": 0.0,
        "duration": 0.0,
        "no_speech": True,
        "segments": [],
    }


def test_json_keeps_letters_beyond_ascii_readable() -> None:
    assert "CAFÉ" in write(Transcript("CAFÉ", (), 1.0, 1.0, False), "json")


@given(transcripts)
def test_json_of_any_transcript_reads_back_as_its_dict(transcript: Transcript) -> None:
    assert json.loads(write(transcript, "json")) == transcript.to_dict()


def test_an_option_of_another_format_is_refused_with_those_that_have_it(tmp_path: Path) -> None:
    wide = Layout(max_line_width=60)
    with pytest.raises(BadOption, match=r"max_line_width has no effect on txt; .* srt or vtt"):
        SAID.save(tmp_path / "talk.txt", wide)
    check_layout(wide, ["txt", "srt"])  # of several formats one may have it
    SAID.save(tmp_path / "talk.srt", wide)
    assert [one.name for one in tmp_path.iterdir()] == ["talk.srt"]


@pytest.mark.parametrize("use", [lambda name: write(SAID, name), file_suffix])
def test_an_unknown_format_is_refused_with_the_known_ones(use: Callable[[str], object]) -> None:
    with pytest.raises(BadOption, match="'docx' is not known") as refused:
        use("docx")
    assert all(name in str(refused.value) for name in FORMATS)


def test_a_file_in_the_alias_text_ends_as_txt() -> None:
    suffixes = [file_suffix(name) for name in FORMATS]
    assert suffixes[:2] == [".txt", ".txt"] and len(set(suffixes)) == len(suffixes) - 1


def test_the_room_imports_nothing_but_the_standard_library() -> None:
    probe = (
        "import sys; import asr.transcript;"
        "print(*{n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names))"
    )
    loaded = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {probe}"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert set(loaded) <= {"asr", "__main__"}


@pytest.mark.parametrize("format", ["txt", "json", "srt", "vtt", "tsv", "ctm", "textgrid", "eaf"])
def test_a_transcript_saves_itself_in_the_format_of_its_suffix(format: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / f"talk.{format.upper()}"
    SAID.save(path)
    SAID.save(str(path))
    assert path.read_text("utf-8") == write(SAID, format, "talk")
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_a_transcript_gives_its_subtitles() -> None:
    assert SAID.to_srt() == write(SAID, "srt")
    assert SAID.to_vtt() == write(SAID, "vtt")


@pytest.mark.parametrize("name", ["talk.doc", "talk", "", "folder.txt"])
def test_a_transcript_that_cannot_be_saved_says_why(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(BadOption):
        SAID.save(tmp_path / name)
    assert [one.name for one in tmp_path.iterdir()] == ["folder.txt"]


def test_a_transcript_shows_itself_in_one_short_line() -> None:
    long = Transcript("word " * 5_000, SAID.words * 5_000, 0.5, 3_600.0, False)
    assert len(repr(long)) < 120 and "\n" not in repr(long)
    assert repr(SAID).startswith("Transcript('")
