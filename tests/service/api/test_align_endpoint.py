"""Times of a known text, and stretches of speech, as Python gives them."""

from pathlib import Path

import numpy as np
import pytest
from serving import Client, assert_shape, speech, wav

from asr.runtime import Recognizer
from asr.transcript import between_pauses, write

TEXT = "The quick brown fox, 22 of them; jumps over."


def test_a_text_is_aligned_as_python_aligns_it(
    client: Client, clips: list[Path], recognizer: Recognizer
) -> None:
    for clip, text in zip(clips[:2], (TEXT, recognizer.transcribe(clips[1]).text), strict=True):
        files = {"file": ("talk.wav", clip.read_bytes())}
        aligned = recognizer.align(clip, text)
        answer = client.http.post("/v1/align", files=files, data={"text": text})
        assert answer.status_code == 200 and answer.json() == aligned.to_dict()
        assert "model;dur=" in answer.headers["server-timing"]
        for format in ("ctm", "srt", "eaf"):
            form = {"text": text, "response_format": format}
            answer = client.http.post("/v1/align", files=files, data=form)
            assert answer.text == write(aligned, format)


@pytest.mark.parametrize(
    ("form", "param", "code"),
    [
        ({}, "text", "missing_field"),
        ({"text": "22 + 33"}, "text", "invalid_option"),
        ({"text": "a" * 201}, "text", "invalid_value"),
        ({"text": "a", "channels": "split"}, "channels", "invalid_value"),
        ({"text": "a", "response_format": "verbose_json"}, "response_format", "invalid_value"),
        ({"text": "a", "max_line_width": "20"}, "max_line_width", "invalid_value"),
        ({"text": "a", "speakers": "left=Ann"}, "speakers", "unknown_field"),
        ({"text": "a", "prompt": "Ann"}, "prompt", "unknown_field"),
        ({"text": "a", "model": "gpt-9"}, "model", "model_not_found"),
    ],
)
def test_what_cannot_be_aligned_is_refused(
    client: Client, clip: Path, form: dict[str, str], param: str, code: str
) -> None:
    files = {"file": ("talk.wav", clip.read_bytes())}
    answer = client.http.post("/v1/align", files=files, data=form)
    assert answer.status_code in (404, 422)
    error = assert_shape(answer)
    assert (error["param"], error["code"]) == (param, code)
    assert code != "missing_field" or "as `curl -F text=...` does" in (error["message"] or "")


def test_speech_is_where_words_are(
    client: Client, clips: list[Path], recognizer: Recognizer
) -> None:
    parts = [np.append(speech(clip, 5 * 16_000), np.zeros(32_000)) for clip in clips[:3]]
    body = wav(np.concatenate(parts).astype(np.float32))
    whole = recognizer.transcribe(body, decoder="greedy")
    for pause in (0.3, 0.8, 60):
        answer = client.http.post("/v1/vad", params={"pause": pause}, content=body).json()
        expected = list(between_pauses(whole.words, pause))
        assert [(one["start"], one["end"]) for one in answer["stretches"]] == [
            (round(segment.start, 3), round(segment.end, 3)) for segment in expected
        ]
        assert answer["duration"] == whole.duration
    assert len(answer["stretches"]) == 1 and answer["speech_seconds"] < whole.duration


def test_silence_is_no_speech_and_a_form_no_recording(client: Client, clip: Path) -> None:
    quiet = client.http.post("/v1/vad", content=wav(np.zeros(0, np.float32))).json()
    assert quiet == {"stretches": [], "speech_seconds": 0.0, "duration": 0.0}
    form = client.http.post("/v1/vad", files={"file": clip.read_bytes()})
    assert form.status_code == 422 and assert_shape(form)["param"] == "body"
    refused = client.http.post("/v1/vad", params={"pause": 0}, content=clip.read_bytes())
    assert refused.status_code == 422 and assert_shape(refused)["param"] == "pause"
