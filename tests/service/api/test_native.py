"""`POST /v1/transcribe`: the recording as the body, options in the query."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from serving import MAX_SECONDS, MAX_UPLOAD_BYTES, Client, assert_shape

from asr.audio import SAMPLE_RATE, load, load_channels
from asr.runtime import Recognizer
from asr.transcript import FORMATS, Layout, write

URL = "/v1/transcribe"


def test_the_answer_is_the_transcript(client: Client, clip: Path, recognizer: Recognizer) -> None:
    response = client.http.post(URL, content=clip.read_bytes())
    assert response.status_code == 200
    assert response.json() == recognizer.transcribe(clip).to_dict()
    assert "model;dur=" in response.headers["server-timing"]


@pytest.mark.parametrize("kind", ["", "audio/flac", "application/x-www-form-urlencoded"])
def test_the_type_of_the_body_means_nothing(client: Client, clip: Path, kind: str) -> None:
    # curl --data-binary says it sends a form.
    headers = {"content-type": kind} if kind else {}
    response = client.http.post(URL, content=clip.read_bytes(), headers=headers)
    assert response.status_code == 200


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_what_the_writers_write(
    client: Client, clip: Path, recognizer: Recognizer, format: str
) -> None:
    response = client.http.post(URL, params={"format": format}, content=clip.read_bytes())
    expected = write(recognizer.transcribe(clip), format)
    if format == "json":
        assert response.json() == json.loads(expected)
    else:
        assert response.text == expected


def test_subtitles_come_beside_the_words(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    response = client.http.post(URL, params={"subtitles": "vtt"}, content=clip.read_bytes())
    spoken = recognizer.transcribe(clip)
    assert response.json() == {**spoken.to_dict(), "subtitles": write(spoken, "vtt")}


def test_each_channel_has_a_transcript_of_its_own(
    client: Client, clips: list[Path], recognizer: Recognizer
) -> None:
    one, other = (load(path).samples[: 3 * SAMPLE_RATE] for path in clips[:2])
    file = io.BytesIO()
    soundfile.write(file, np.stack([one, other], axis=1), SAMPLE_RATE, format="FLAC")
    response = client.http.post(URL, params={"multichannel": "true"}, content=file.getvalue())
    expected = [recognizer.transcribe(audio).to_dict() for audio in load_channels(file.getvalue())]
    assert response.json() == {"channels": expected, "duration": 3.0}
    assert expected[0]["text"] != expected[1]["text"]


def two_speakers(clips: list[Path]) -> bytes:
    """A file with one clip on the left, and another one on the right."""
    one, other = (load(path).samples[: 3 * SAMPLE_RATE] for path in clips[:2])
    file = io.BytesIO()
    soundfile.write(file, np.stack([one, other], axis=1), SAMPLE_RATE, format="FLAC")
    return file.getvalue()


def test_split_channels_are_one_transcript_with_speakers(
    client: Client, clips: list[Path], recognizer: Recognizer
) -> None:
    recording = two_speakers(clips)
    spoken = recognizer.transcribe(recording, channels="split")
    response = client.http.post(URL, params={"channels": "split"}, content=recording)
    assert response.json() == spoken.to_dict()
    assert {word["channel"] for word in response.json()["words"]} == {1, 2}
    named = {"channels": "split", "speakers": "left=Ann,right=Bob", "format": "srt"}
    response = client.http.post(URL, params=named, content=recording)
    assert response.text == spoken.to_srt(Layout(speakers="left=Ann,right=Bob"))
    assert "Ann: " in response.text and "Bob: " in response.text
    right = client.http.post(URL, params={"channels": "2"}, content=recording)
    assert right.json() == recognizer.transcribe(recording, channels=2).to_dict()


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"channels": "both"}, "channels"),
        ({"channels": "3"}, "channels"),
        ({"channels": "split", "multichannel": "true"}, "channels"),
        ({"channels": "split", "nbest": "2", "decoder": "beam"}, "nbest"),
        ({"speakers": "left=Ann", "format": "srt"}, "speakers"),
        ({"channels": "split", "speakers": "Ann", "format": "srt"}, "speakers"),
        ({"channels": "split", "speakers": "left=Ann"}, "speakers"),
        ({"max_line_width": "30"}, "max_line_width"),
    ],
)
def test_channels_and_layouts_that_cannot_be_are_refused(
    client: Client, clips: list[Path], query: dict[str, str], param: str | None
) -> None:
    response = client.http.post(URL, params=query, content=two_speakers(clips))
    assert response.status_code == 422
    assert assert_shape(response)["param"] == param


@pytest.mark.parametrize(
    ("url", "said"), [(URL, "choose mix, split or the"), ("/v1/vad", "choose mix or the")]
)
def test_channels_that_cannot_be_are_told_in_words(client: Client, url: str, said: str) -> None:
    response = client.http.post(url, params={"channels": "0"}, content=b"")
    message = f"The field 'channels' does not fit: {said} number of a channel, got '0'."
    assert assert_shape(response)["message"] == message


def test_a_track_is_chosen_and_one_that_is_not_there_is_422(
    client: Client, recognizer: Recognizer
) -> None:
    film = Path(__file__).parents[2] / "data" / "files" / "second_track_default.mp4"
    for query, expected in (({}, 2), ({"track": "2"}, 2), ({"track": "1"}, 1)):
        response = client.http.post(URL, params=query, content=film.read_bytes())
        assert response.json() == recognizer.transcribe(film, track=expected).to_dict()
    response = client.http.post(URL, params={"track": "3"}, content=film.read_bytes())
    assert response.status_code == 422
    assert "which has 2 sound tracks: choose 1 to 2" in (assert_shape(response)["message"] or "")


@pytest.mark.parametrize("channels", [1, 2])
def test_quiet_speech_is_read_as_python_reads_it(
    client: Client, clip: Path, recognizer: Recognizer, channels: int
) -> None:
    quiet = load(clip).samples * np.float32(10 ** (-55 / 20))
    file = io.BytesIO()
    sides = [quiet, load(clip).samples][:channels]
    soundfile.write(file, np.stack(sides, axis=1), SAMPLE_RATE, format="WAV", subtype="FLOAT")
    apart = {"multichannel": "true"} if channels > 1 else {}
    answer = client.http.post(URL, params=apart, content=file.getvalue()).json()
    heard = [recognizer.transcribe(audio).to_dict() for audio in load_channels(file.getvalue())]
    assert answer == (heard[0] if channels == 1 else {**answer, "channels": heard})
    assert heard[0]["text"]


def test_the_limit_on_seconds_counts_every_channel(client: Client) -> None:
    file = io.BytesIO()
    seconds = int(MAX_SECONDS / 2) + 1
    soundfile.write(file, np.zeros((seconds * SAMPLE_RATE, 2)), SAMPLE_RATE, format="FLAC")
    assert client.http.post(URL, content=file.getvalue()).status_code == 200
    response = client.http.post(URL, params={"multichannel": "1"}, content=file.getvalue())
    assert response.status_code == 413
    assert "in 2 channels" in (assert_shape(response)["message"] or "")


@pytest.mark.parametrize(
    ("query", "param", "sentence"),
    [
        ("formt=srt", "formt", "did you mean 'format'?"),
        ("response_format=srt", "response_format", "did you mean"),
        ("format=docx", "format", "got 'docx'"),
        ("multichannel=true&format=srt", "multichannel", "answers in json"),
        ("subtitles=srt&format=vtt", "subtitles", "beside json"),
        ("nbest=2&format=srt", "nbest", "come in json"),
        ("nbest=0", "nbest", "greater than or equal to 1"),
        ("language=de", "language", "got 'de'"),
        ("decoder=beam&decoder=greedy", "decoder", "came twice"),
    ],
)
def test_a_wrong_option_is_422_and_named(
    client: Client, clip: Path, query: str, param: str, sentence: str
) -> None:
    response = client.http.post(f"{URL}?{query}", content=clip.read_bytes())
    assert response.status_code == 422
    error = assert_shape(response)
    assert error["param"] == param and sentence in (error["message"] or "")


def test_a_form_is_told_where_to_go(client: Client, clip: Path) -> None:
    response = client.http.post(URL, files={"file": clip.read_bytes()})
    assert response.status_code == 422
    assert "/v1/audio/transcriptions" in (assert_shape(response)["message"] or "")


def test_an_empty_a_wrong_and_a_large_body(client: Client) -> None:
    response = client.http.post(URL)
    assert response.status_code == 415
    assert "empty" in (assert_shape(response)["message"] or "")
    assert client.http.post(URL, content=b"no sound").status_code == 415
    response = client.http.post(URL, content=bytes(MAX_UPLOAD_BYTES + 1))
    assert response.status_code == 413
    assert client.http.post(f"{URL}?model=gpt-9", content=b"x").status_code == 404


def test_the_beam_and_its_options_are_those_of_python(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    query = "decoder=beam&hotwords=table%0D%0Anyx,&hotwords=Sally%20Ride&nbest=3&beam_size=8"
    response = client.http.post(f"{URL}?{query}", content=clip.read_bytes())
    expected = recognizer.transcribe(
        clip, decoder="beam", hotwords=["table", "nyx", "Sally Ride"], nbest=3, beam_size=8
    )
    assert response.json() == expected.to_dict()
    assert len(response.json()["alternatives"]) == 3


def test_hot_words_choose_the_decoder_that_hears_them(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    response = client.http.post(f"{URL}?hotwords=table", content=clip.read_bytes())
    assert (
        response.json()
        == recognizer.transcribe(clip, hotwords=["table"]).to_dict()
        == recognizer.transcribe(clip, decoder="beam", hotwords=["table"]).to_dict()
    )
    keywords = client.openai.audio.transcriptions.create(
        file=clip, model="gpt-transcribe", extra_body={"keywords": ["table"]}
    )
    assert keywords.text == response.json()["text"]
    response = client.http.post(f"{URL}?hotwords=table&decoder=greedy", content=clip.read_bytes())
    assert response.status_code == 422
    assert assert_shape(response)["param"] == "hotwords"


def test_a_hot_word_that_cannot_be_spelled_is_named_but_one_of_a_prompt_is_not(
    client: Client, clip: Path, recognizer: Recognizer
) -> None:
    response = client.http.post(f"{URL}?hotwords=R2D2", content=clip.read_bytes())
    assert response.status_code == 422
    error = assert_shape(response)
    assert error["param"] == "hotwords" and "R2D2" in (error["message"] or "")
    answer = client.openai.audio.transcriptions.create(
        file=clip, model="whisper-1", prompt="R2D2, table", extra_body={"decoder": "beam"}
    )
    assert answer.text == recognizer.transcribe(clip, decoder="beam", hotwords=["table"]).text
