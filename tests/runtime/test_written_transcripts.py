"""Written text through the recogniser: by default where a bundle has the model."""

from pathlib import Path

import numpy as np
import pytest

from asr.audio import load
from asr.errors import BadOption
from asr.runtime import Recognizer
from asr.transcript import Transcript


@pytest.fixture(scope="module")
def recognizer(written_bundle: Path) -> Recognizer:
    return Recognizer.load(written_bundle, "cpu")


def plain(transcript: Transcript) -> list[str]:
    return [word.text for word in transcript.words]


def test_written_text_is_the_default_where_there_is_a_model(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    marked = 0
    for clip in clips:
        written, bare = recognizer.transcribe(clip), recognizer.transcribe(clip, written=False)
        assert plain(written) == plain(bare)
        assert [word.start for word in written.words] == [word.start for word in bare.words]
        assert bare.text == " ".join(plain(bare))
        assert all(word.written is None for word in bare.words)
        assert all(word.written is not None for word in written.words)
        assert written.text == " ".join(word.written for word in written.words if word.written)
        marked += written.text != bare.text
    assert marked


def test_alternatives_are_plain(recognizer: Recognizer, clips: list[Path]) -> None:
    found = recognizer.transcribe(clips[0], decoder="beam", nbest=3)
    assert found.alternatives[0].text == " ".join(plain(found)) != found.text


def test_a_stream_is_written_as_the_whole(recognizer: Recognizer, clips: list[Path]) -> None:
    speech = np.concatenate([load(clip).samples for clip in clips])
    whole = recognizer.transcribe((np.tile(speech, 3), 16_000))
    segments = list(recognizer.stream((np.tile(speech, 3), 16_000)))
    assert len(segments) > 3 and tuple(segments) == whole.segments


def test_a_bundle_without_the_model_says_so(tiny_bundle: Path, clips: list[Path]) -> None:
    bare = Recognizer.load(tiny_bundle, "cpu")
    assert bare.punctuator is None
    assert bare.transcribe(clips[0], written=False).text == bare.transcribe(clips[0]).text
    with pytest.raises(BadOption, match="written has no effect, as this bundle has no model of"):
        bare.transcribe(clips[0], written=True)
    with pytest.raises(BadOption, match="digits has no effect on plain text"):
        bare.transcribe(clips[0], digits="never")


def test_options_that_cannot_be_are_refused(recognizer: Recognizer, clips: list[Path]) -> None:
    for values in ({"digits": "sometimes"}, {"written": "yes"}, {"digits": None}):
        with pytest.raises(BadOption, match=r"digits|written"):
            recognizer.transcribe(clips[0], **values)
    with pytest.raises(BadOption, match="digits has no effect on plain text"):
        recognizer.transcribe(clips[0], written=False, digits="never")


def test_the_greedy_decoder_writes_too(recognizer: Recognizer, clips: list[Path]) -> None:
    found = recognizer.transcribe(clips[0], decoder="greedy", written=True, digits="never")
    assert found.words[0].written
