"""Written text over HTTP: OpenAI's shapes with marks and capitals, and plain text on request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from serving import Client, served, wait_until_ready

from asr.runtime import Recognizer
from service.app import create_app
from service.settings import Settings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def writing(written_bundle: Path) -> Iterator[openai.OpenAI]:
    """OpenAI's client of a service whose bundle has a model of marks."""
    settings = Settings(bundle=written_bundle, device="cpu", hang_s=600, deadline_s=3600)
    with served(create_app(settings)) as address:
        wait_until_ready(address)
        client = Client(address)
        with client.http:
            yield client.openai


@pytest.fixture(scope="module")
def expected(written_bundle: Path, clips: list[Path]) -> tuple[Path, Any, Any]:
    """A clip, and what Python writes and reads of it."""
    recognizer = Recognizer.load(written_bundle, "cpu")
    for clip in clips:
        written, plain = recognizer.transcribe(clip), recognizer.transcribe(clip, written=False)
        if written.text != plain.text:
            return clip, written, plain
    raise AssertionError("no clip has marks")


def test_every_format_is_written(writing: openai.OpenAI, expected: tuple[Path, Any, Any]) -> None:
    clip, written, _ = expected
    create = writing.audio.transcriptions.create
    assert create(file=clip, model="whisper-1").text == written.text
    subtitles = create(file=clip, model="whisper-1", response_format="srt")
    assert subtitles == written.to_srt()
    answer: Any = create(
        file=clip,
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert answer.text == written.text
    assert [segment.text for segment in answer.segments] == [s.text for s in written.segments]
    assert [word.word for word in answer.words] == [word.text for word in written.words]
    assert [word.written for word in answer.words] == [word.written for word in written.words]


def test_plain_text_on_request(writing: openai.OpenAI, expected: tuple[Path, Any, Any]) -> None:
    clip, _, plain = expected
    create = writing.audio.transcriptions.create
    answer = create(file=clip, model="whisper-1", extra_body={"written": "false"})
    assert answer.text == plain.text
    with pytest.raises(openai.UnprocessableEntityError, match="digits has no effect on plain"):
        create(file=clip, model="whisper-1", extra_body={"written": "false", "digits": "never"})
    with pytest.raises(openai.UnprocessableEntityError, match="always"):
        create(file=clip, model="whisper-1", extra_body={"digits": "sometimes"})


def test_a_streams_pieces_and_tokens_are_the_text(
    writing: openai.OpenAI, expected: tuple[Path, Any, Any]
) -> None:
    clip, written, _ = expected
    events: Any = writing.audio.transcriptions.create(
        file=clip, model="whisper-1", stream=True, include=["logprobs"]
    )
    *deltas, done = events
    assert "".join(delta.delta for delta in deltas) == done.text == written.text
    tokens = "".join(token.token for delta in deltas for token in delta.logprobs)
    assert tokens == written.text
