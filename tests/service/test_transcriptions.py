"""The transcription endpoint through OpenAI's own client: what it answers."""

from pathlib import Path

import httpx
import pytest
from serving import Client

from asr.runtime import Recognizer
from asr.transcript import Transcript, Word
from service.answers import verbose

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
    assert answer.model_extra == {"confidence": expected.confidence}


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


def test_segments_end_at_pauses() -> None:
    words = (Word("a", 0.0, 0.4, 1.0), Word("b", 0.8, 1.0, 0.0), Word("c", 1.8, 2.0, 0.5))
    transcript = Transcript("a b c", words, 0.5, 3.0, False)
    segments = verbose(transcript, with_words=False, encode=lambda text: [len(text)]).segments
    assert [(segment.text, segment.start, segment.end) for segment in segments] == [
        ("a b", 0.0, 1.0),
        ("c", 1.8, 2.0),
    ]
    assert verbose(Transcript("", (), 0.0, 3.0, True), True, lambda _: []).segments == []


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
    assert model.id == recognizer.bundle.info["name"]
    assert model.created > 1_600_000_000
    assert client.openai.models.retrieve(model.id) == model


def test_the_schema_types_every_answer(address: str) -> None:
    paths = httpx.get(f"{address}/openapi.json").json()["paths"]
    post = paths["/v1/audio/transcriptions"]["post"]
    form = post["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["required"]) == {"file"}
    assert set(post["responses"]["200"]["content"]) == {"application/json", "text/plain"}
    for status in ("400", "404", "413", "415", "422", "500", "503"):
        schema = post["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorBody"}
    assert all(
        operation["responses"]["200"]["content"]["application/json"]["schema"]
        for path in paths.values()
        for operation in path.values()
    )
