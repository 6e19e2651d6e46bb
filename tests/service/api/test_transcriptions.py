"""The transcription endpoint through OpenAI's own client: what it answers."""

import math
from pathlib import Path

import openai
import pytest
from serving import Client

from asr.runtime import Recognizer
from asr.transcript import Transcript, Word, write
from service.api.responses import verbose

SEGMENT_FIELDS = {
    "id", "seek", "start", "end", "text", "tokens",
    "temperature", "avg_logprob", "compression_ratio", "no_speech_prob",
}  # fmt: skip


def test_json_has_the_words_that_python_gives(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    expected = recognizer.transcribe(clip)
    answer = client.openai.audio.transcriptions.create(file=clip, model="whisper-1")
    assert answer.text == expected.text
    assert answer.usage is not None and answer.usage.type == "duration"
    assert answer.usage.seconds == expected.duration
    assert answer.model_extra == {"confidence": round(expected.confidence, 4)}


def test_text_is_plain_text(client: Client, clip: Path, recognizer: Recognizer) -> None:
    answer = client.openai.audio.transcriptions.with_raw_response.create(
        file=clip, model="whisper-1", response_format="text"
    )
    assert answer.text == recognizer.transcribe(clip).text
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"


def test_verbose_json_has_every_field_and_the_words_times(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    expected = recognizer.transcribe(clip)
    answer = client.openai.audio.transcriptions.create(
        file=clip,
        model="whisper-1",
        language="en",
        prompt="Ahoy!",
        temperature=0.2,
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    assert (answer.text, answer.duration, answer.language) == (
        expected.text,
        expected.duration,
        "en",
    )
    words = [(word.word, word.start, word.end) for word in answer.words or []]
    assert words == [(word.text, word.start, word.end) for word in expected.words]
    segments = answer.segments or []
    assert all(segment.model_fields_set >= SEGMENT_FIELDS for segment in segments)
    assert " ".join(segment.text for segment in segments) == expected.text
    assert [segment.id for segment in segments] == list(range(len(segments)))
    assert answer.usage is not None and answer.usage.seconds == expected.duration


def test_verbose_json_has_no_words_unless_asked(client: Client, clip: Path) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=clip, model="whisper-1", response_format="verbose_json"
    )
    assert answer.words is None


@pytest.mark.parametrize("granularities", [[], ["segment"], ["word"], ["word", "segment"]])
def test_every_granularity(client: Client, clip: Path, granularities: list[str]) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=clip,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=granularities,  # type: ignore[arg-type]
    )
    assert (answer.words is not None) == ("word" in granularities)
    assert answer.segments


@pytest.mark.parametrize("format", ["srt", "vtt"])
def test_subtitles_are_those_of_the_writers(
    client: Client, clip: Path, recognizer: Recognizer, format: str
) -> None:
    answer = client.openai.audio.transcriptions.with_raw_response.create(
        file=clip,
        model="whisper-1",
        response_format=format,  # type: ignore[call-overload]
    )
    assert answer.text == write(recognizer.transcribe(clip), format)
    kind = {"srt": "text/plain", "vtt": "text/vtt"}[format]
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    parsed = client.openai.audio.transcriptions.create(
        file=clip,
        model="whisper-1",
        response_format=format,  # type: ignore[call-overload]
    )
    assert parsed == answer.text  # the client hands text on as it is


def test_logprobs_spell_the_text(client: Client, clip: Path, recognizer: Recognizer) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=clip, model="gpt-4o-transcribe", include=["logprobs"]
    )
    found = answer.logprobs or []
    assert "".join(one.token or "" for one in found) == answer.text
    assert all(bytes(map(int, one.bytes or ())).decode() == one.token for one in found)
    expected = [math.log(word.confidence) for word in recognizer.transcribe(clip).words]
    assert [one.logprob for one in found] == pytest.approx(expected)


def test_what_has_no_meaning_here_is_accepted(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=clip,
        model="gpt-transcribe",
        prompt="Nyx, Anubis",
        temperature=0.4,
        chunking_strategy={"type": "server_vad", "threshold": 0.5},
        extra_body={"languages": ["en"], "best_of": 5, "vad_filter": True},
    )
    assert answer.text == recognizer.transcribe(clip).text


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_gb", "English", "AUTO"])
def test_english_by_any_name(client: Client, clip: Path, language: str) -> None:
    client.openai.audio.transcriptions.create(file=clip, model="whisper-1", language=language)


def test_where_the_time_went(client: Client, clip: Path) -> None:
    answer = client.openai.audio.transcriptions.with_raw_response.create(
        file=clip, model="whisper-1", response_format="verbose_json"
    )
    header = answer.headers["server-timing"]
    stages = dict(part.split(";dur=") for part in header.split(", "))
    timings = answer.http_response.json()["timings"]
    assert stages.keys() == timings.keys() >= {"decode", "model"}
    for stage, seconds in timings.items():
        assert float(stages[stage]) == pytest.approx(1000 * seconds, abs=0.1)
        assert 0 <= seconds < 60


def test_segments_end_at_pauses() -> None:
    words = (Word("a", 0.0, 0.4, 1.0), Word("b", 0.8, 1.0, 0.0), Word("c", 1.8, 2.0, 0.5))
    transcript = Transcript("a b c", words, 0.5, 3.0, False)
    segments = verbose(transcript, False, lambda text: [len(text)], {}, "en").segments
    assert [(segment.text, segment.start, segment.end) for segment in segments] == [
        ("a b", 0.0, 1.0),
        ("c", 1.8, 2.0),
    ]
    assert verbose(Transcript("", (), 0.0, 3.0, True), True, lambda _: [], {}, "en").segments == []


@pytest.mark.parametrize("field", ["timestamp_granularities", "timestamp_granularities[]"])
def test_a_list_comes_with_brackets_or_without(client: Client, clip: Path, field: str) -> None:
    served = client.openai.models.list().data[0].id
    response = client.http.post(
        "/v1/audio/transcriptions",
        files={"file": ("clip", clip.read_bytes())},
        data={"model": served, "response_format": "verbose_json", field: ["word", "segment"]},
    )
    assert "words" in response.json()


def test_the_name_and_type_of_a_part_mean_nothing(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    recording = ("talk.webm", clip.read_bytes(), "video/webm")
    answer = client.openai.audio.transcriptions.create(
        file=recording, model="whisper-1", extra_body={"stream": False}
    )
    assert answer.text == recognizer.transcribe(clip).text


def test_models_are_listed_and_found(client: Client, recognizer: Recognizer) -> None:
    (model,) = client.openai.models.list().data
    assert model.id == recognizer.bundle.info.name
    assert model.created > 1_600_000_000
    assert client.openai.models.retrieve(model.id) == model


def test_dated_names_of_openais_models_stand_for_the_default_one(
    client: Client,
) -> None:
    for name in ("gpt-4o-transcribe-2025-03-20", "gpt-4o-transcribe-diarize", "whisper-1"):
        assert client.openai.models.retrieve(name).id == name
    for name in ("gpt-4o-transcribe-2025", "gpt-4o-transcribe-speakers", "xwhisper-1"):
        with pytest.raises(openai.NotFoundError):
            client.openai.models.retrieve(name)
