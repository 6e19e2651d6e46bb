"""`Recognizer.align` on real speech: clips, and a recording that is longer than its text."""

import json
from pathlib import Path

import numpy as np
import pytest

from asr.audio import SAMPLE_RATE, load
from asr.errors import BadOption
from asr.runtime import Recognizer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def recognizer(shipped_bundle: Path) -> Recognizer:
    return Recognizer.load(shipped_bundle, "cpu")


@pytest.fixture(scope="module")
def said() -> list[tuple[Path, str]]:
    """Clips with their texts."""
    lines = (ROOT / "samples" / "transcripts.jsonl").read_text(encoding="utf-8").splitlines()
    values = [json.loads(line) for line in lines]
    return [(ROOT / "samples" / one["audio"], one["text"]) for one in values]


def test_a_clip_has_its_text_as_it_is_written(
    recognizer: Recognizer, said: list[tuple[Path, str]]
) -> None:
    clip, text = said[0]
    written = [f'"{word.title()}"' for word in text.split()]
    found = recognizer.align(clip, " ".join([*written[:3], "—", *written[3:]]))
    assert [word.text for word in found.words] == [*written[:2], f"{written[2]} —", *written[3:]]
    assert found.unsaid == () and found.duration == load(clip).duration
    read = recognizer.transcribe(clip, decoder="greedy").words
    assert abs(found.words[0].start - read[0].start) < 0.1
    assert abs(found.words[-1].end - read[-1].end) < 0.2
    assert all(0 < word.confidence <= 1 for word in found.words)
    assert all(a.end <= b.start for a, b in zip(found.words, found.words[1:], strict=False))


def test_accents_that_the_model_has_no_letters_for_are_left_out(
    recognizer: Recognizer, said: list[tuple[Path, str]]
) -> None:
    clip, text = said[0]
    accented = text.lower().replace("e", "é").replace("i", "i\u0308")
    found, plain = recognizer.align(clip, accented), recognizer.align(clip, text)
    assert " ".join(word.text for word in found.words) == accented and not found.unsaid
    assert [word.start for word in found.words] == [word.start for word in plain.words]


def test_what_was_not_said_is_marked_and_what_is_not_written_is_left_out(
    recognizer: Recognizer, said: list[tuple[Path, str]]
) -> None:
    (one, text), (other, _) = said[0], said[1]
    clip = load(one).samples
    samples = np.concatenate([load(other).samples, clip])
    offset = (len(samples) - len(clip)) / SAMPLE_RATE
    alone = recognizer.align(one, text)
    extra = "nobody ever pronounced these particular sentences"
    found = recognizer.align((samples, SAMPLE_RATE), f"{text} {extra} 1984")
    assert [word.text for word in found.words] == text.split()
    assert [word.text for word in found.unsaid] == [*extra.split(), "1984"]
    assert {word.start for word in found.unsaid} == {found.words[-1].end}
    assert found.to_dict()["unsaid"][0]["confidence"] == 0.0
    # A short word at the edge of what is missing may be found where something sounds like it.
    for word, expected in list(zip(found.words, alone.words, strict=True))[3:]:
        assert word.start == pytest.approx(expected.start + offset, abs=0.09)


def test_times_of_a_part_count_from_the_start(
    recognizer: Recognizer, said: list[tuple[Path, str]]
) -> None:
    clip, text = said[0]
    whole = recognizer.align(clip, text)
    part = recognizer.align(clip, text, start=whole.words[4].start - 0.1)
    assert part.words[-1].end == pytest.approx(whole.words[-1].end, abs=0.09)
    assert {word.text for word in part.unsaid} <= set(text.split()[:5])


def test_a_text_that_cannot_be_aligned_is_refused(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    for text in ("", "1984", "— …"):
        with pytest.raises(BadOption, match="has no word that the model can spell"):
            recognizer.align(clips[0], text)
    with pytest.raises(BadOption, match="a text has one channel"):
        recognizer.align(clips[0], "a man", channels="split")
