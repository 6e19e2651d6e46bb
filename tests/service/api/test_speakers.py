"""Speakers by channel, in OpenAI's own shape, as its client reads them."""

from pathlib import Path

import numpy as np
import pytest
from openai.types.audio import TranscriptionDiarized
from serving import Client

from asr.audio import load
from asr.runtime import Recognizer
from asr.transcript import Transcript

RATE = 16_000
NAMED = {"channels": "split", "speakers": "left=Ann,right=Bob"}


@pytest.fixture(scope="module")
def talk(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people, one in each channel, who fall into each other's words."""
    import soundfile

    sides = [np.resize(load(clip).samples, 8 * RATE) for clip in clips[:2]]
    sides[1] = np.concatenate([np.zeros(RATE, np.float32), sides[1][:-RATE]])
    path = tmp_path_factory.mktemp("talk") / "talk.wav"
    soundfile.write(path, np.stack(sides, axis=1), RATE)
    return path


@pytest.fixture(scope="module")
def spoken(recognizer: Recognizer, talk: Path) -> Transcript:
    return recognizer.transcribe(talk, channels="split")


def turns(answer: TranscriptionDiarized) -> list[tuple[str, float, float, str]]:
    return [(one.speaker, one.start, one.end, one.text) for one in answer.segments]


@pytest.mark.parametrize(
    ("fields", "names"), [(NAMED, ("Ann", "Bob")), ({"channels": "split"}, ("left", "right"))]
)
def test_turns_have_their_speakers(
    client: Client, talk: Path, spoken: Transcript, fields: dict[str, str], names: tuple[str, str]
) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=talk, model="whisper-1", response_format="diarized_json", extra_body=fields
    )
    assert isinstance(answer, TranscriptionDiarized)
    assert turns(answer) == [
        (names[(one.channel or 1) - 1], round(one.start, 3), round(one.end, 3), one.text)
        for one in spoken.segments
    ]
    assert {speaker for speaker, *_ in turns(answer)} == set(names)
    assert [one.id for one in answer.segments] == [
        f"seg_{number}" for number in range(1, len(spoken.segments) + 1)
    ]
    assert {one.type for one in answer.segments} == {"transcript.text.segment"}
    assert (answer.text, answer.duration, answer.task) == (spoken.text, 8.0, "transcribe")


def test_a_stream_has_the_same_turns_behind_its_deltas(client: Client, talk: Path) -> None:
    asked = client.openai.audio.transcriptions
    whole = asked.create(
        file=talk, model="whisper-1", response_format="diarized_json", extra_body=NAMED
    )
    *events, done = asked.create(
        file=talk,
        model="whisper-1",
        response_format="diarized_json",
        extra_body=NAMED,
        stream=True,
    )
    deltas, segments = events[::2], events[1::2]
    assert [event.model_dump() for event in segments] == [
        one.model_dump() for one in whole.segments
    ]
    assert "".join(event.delta for event in deltas) == done.text == whole.text  # type: ignore[union-attr]


def test_one_channel_has_one_speaker(client: Client, clip: Path) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=clip,
        model="whisper-1",
        response_format="diarized_json",
        extra_body={"channels": "split", "speakers": "1=Ann"},
    )
    assert {one.speaker for one in answer.segments} == {"Ann"}


def test_words_of_split_channels_are_in_order_of_time(
    client: Client, talk: Path, spoken: Transcript
) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=talk,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
        extra_body={"channels": "split"},
    )
    words = answer.to_dict()["words"]
    starts = [word["start"] for word in words]  # type: ignore[attr-defined,index]
    channels = [word["channel"] for word in words]  # type: ignore[attr-defined,index]
    assert starts == sorted(starts)
    assert channels == [word.channel for word in spoken.words] != sorted(channels)
    assert answer.text == spoken.text
