"""Every mistake a client can make: its status, OpenAI's shape, and one request each."""

import base64
import gzip
import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import openai
import pytest
import soundfile
from serving import MAX_SECONDS, MAX_UPLOAD_BYTES, Client, assert_shape

from asr.runtime import Recognizer


def encoded(samples: np.ndarray, subtype: str = "PCM_16", kind: str = "WAV") -> bytes:
    """The samples as a file of 16 kHz."""
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, subtype, format=kind)
    return file.getvalue()


def forged() -> bytes:
    """A second of sound whose header claims a rate of 655350 and 2**31 samples."""
    wav = bytearray(encoded(np.full(16_000, 0.1)))
    wav[24:28] = (655_350).to_bytes(4, "little")
    wav[40:44] = (2**32 - 1).to_bytes(4, "little")
    return bytes(wav)


NOT_AUDIO: dict[str, Callable[[], bytes]] = {
    "empty.wav": lambda: b"",
    "text.wav": lambda: b"Dear diary, this is no sound at all. " * 100,
    "page.mp3": lambda: b"<!doctype html><title>404</title>" * 100,
    "not_a_number.wav": lambda: encoded(np.full(16_000, np.nan), "FLOAT"),
    "forged.wav": forged,
}


def test_a_files_name_is_not_taken_for_an_option(client: Client) -> None:
    error = client.refusal(file=("track 7.wav", b"no sound"), model="whisper-1")
    assert (error.param, error.code) == ("file", "unsupported_audio")


@pytest.mark.parametrize("name", NOT_AUDIO)
def test_what_is_no_audio_is_415_and_named(client: Client, name: str) -> None:
    error = client.refusal(file=(name, NOT_AUDIO[name]()), model="whisper-1")
    assert (error.status_code, error.param, error.code) == (415, "file", "unsupported_audio")
    assert name in error.message


def test_a_truncated_flac_is_never_a_fault_of_the_service(client: Client, clip: Path) -> None:
    whole = encoded(soundfile.read(clip)[0], kind="FLAC")
    error = client.refusal(file=("cut.flac", whole[: len(whole) // 2]), model="whisper-1")
    assert (error.status_code, error.code) == (415, "unsupported_audio")


@pytest.mark.parametrize("seconds", [0, 1])
def test_silence_and_nothing_are_transcripts(client: Client, seconds: int) -> None:
    answer = client.openai.audio.transcriptions.create(
        file=("silence.wav", encoded(np.zeros(seconds * 16_000))), model="whisper-1"
    )
    assert answer.usage is not None and answer.usage.seconds == seconds
    assert seconds or answer.text == ""


def test_seconds_beyond_the_limit_are_413_with_both_numbers(client: Client) -> None:
    long = encoded(np.zeros(50 * 16_000), kind="FLAC")
    error = client.refusal(file=("long.flac", long), model="whisper-1")
    assert (error.status_code, error.param, error.code) == (413, "file", "audio_too_long")
    assert f"{MAX_SECONDS:g}" in error.message and "at least 50.0 s" in error.message


def test_a_body_beyond_the_limit_is_413_with_both_numbers(client: Client) -> None:
    error = client.refusal(file=("big.wav", bytes(8 * MAX_UPLOAD_BYTES)), model="whisper-1")
    assert (error.status_code, error.param, error.code) == (413, "file", "upload_too_large")
    assert str(MAX_UPLOAD_BYTES) in error.message
    assert client.sent[0].headers["content-length"] in error.message


@pytest.mark.parametrize("chunked", [True, False])
def test_the_413_reaches_a_client_that_still_writes(address: str, chunked: bool) -> None:
    # urllib asks to close the connection, writes to the end, and does not read if that fails.
    def chunks() -> Iterator[bytes]:
        yield b'--x\r\ncontent-disposition: form-data; name="file"; filename="big.wav"\r\n\r\n'
        for _ in range(200):
            yield bytes(100_000)

    request = urllib.request.Request(
        f"{address}/v1/audio/transcriptions",
        data=chunks() if chunked else b"".join(chunks()),
        headers={"content-type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    assert caught.value.code == 413
    error = json.loads(caught.value.read())["error"]
    assert error["code"] == "upload_too_large"
    assert str(MAX_UPLOAD_BYTES) in error["message"]


WRONG_FIELDS: dict[str, tuple[dict[str, object], str]] = {
    "response_format": ({"response_format": "diarized_json"}, "need channels=split"),
    "hotwords": ({"extra_body": {"hotwords": "n" * 201}}, "at most 200 characters"),
    "language": ({"language": "fr"}, "English ('en') and no other language, got 'fr'"),
    "languages": ({"extra_body": {"languages": ["en", "sw"]}}, "no other language, got 'sw'"),
    "temperature": ({"temperature": 7}, "less than or equal to 1, got '7'"),
    "stream": ({"stream": True, "response_format": "srt"}, "leave 'srt' out"),
    "include": ({"include": ["logprobs"], "response_format": "text"}, "json only, got 'text'"),
    "known_speaker_names": ({"known_speaker_names": ["Ann"]}, "tells no speakers apart"),
    "response-format": ({"extra_body": {"response-format": "text"}}, "mean 'response_format'?"),
    "hot_words": ({"extra_body": {"hot_words": "Nyx"}}, "mean 'hotwords'?"),
    "zzz": ({"extra_body": {"zzz": "1"}}, "the fields are model, language"),
    "timestamp_granularities": (
        {"timestamp_granularities": ["word"]},
        "verbose_json only, got 'json'",
    ),
    "decoder": ({"extra_body": {"decoder": "viterbi"}}, "'greedy' or 'beam', got 'viterbi'"),
    "beam_size": ({"extra_body": {"beam_size": 0}}, "greater than or equal to 1, got '0'"),
    "lm_weight": ({"extra_body": {"lm_weight": "nan"}}, "finite number, got 'nan'"),
    "nbest": ({"extra_body": {"nbest": 3}, "response_format": "text"}, "json and verbose_json"),
}


@pytest.mark.parametrize("param", WRONG_FIELDS)
def test_a_wrong_field_is_422_and_named(client: Client, clip: Path, param: str) -> None:
    fields, sentence = WRONG_FIELDS[param]
    error = client.refusal(**{"file": clip, "model": "whisper-1", **fields})
    assert isinstance(error, openai.UnprocessableEntityError)
    assert error.param == param
    assert sentence.lower() in error.message.lower()


def test_a_missing_file_is_422_and_named(client: Client) -> None:
    parts = {"model": (None, b"whisper-1")}
    response = client.http.post("/v1/audio/transcriptions", files=parts)
    assert response.status_code == 422
    error = assert_shape(response)
    assert (error["param"], error["code"]) == ("file", "missing_field")


def test_the_model_may_be_left_out(client: Client, clip: Path) -> None:
    parts = {"file": ("clip", clip.read_bytes())}
    assert client.http.post("/v1/audio/transcriptions", files=parts).status_code == 200


def test_a_form_that_is_none_is_422(client: Client) -> None:
    response = client.http.post("/v1/audio/transcriptions", json={"model": "whisper-1"})
    assert response.status_code == 422
    assert "multipart/form-data" in (assert_shape(response)["message"] or "")


def test_a_file_sent_as_text_and_a_field_sent_twice_are_422(client: Client, clip: Path) -> None:
    url = "/v1/audio/transcriptions"
    response = client.http.post(url, data={"file": str(clip), "model": "whisper-1"})
    assert response.status_code == 422
    assert "curl -F file=@" in (assert_shape(response)["message"] or "")
    for path in (url, "/v1/jobs"):  # as `curl -F "file=<recording"` sends it
        for text in (clip.read_bytes(), bytes(200_000)):
            response = client.http.post(path, files={"file": (None, text)})
            assert response.status_code == 422
            assert "curl -F file=@" in (assert_shape(response)["message"] or "")
    response = client.http.post(
        url, files={"file": clip.read_bytes()}, data={"model": ["whisper-1", "en"]}
    )
    assert response.status_code == 422
    assert assert_shape(response)["param"] == "model"


@pytest.mark.parametrize("boundary", ["", "; boundary=x"])
def test_a_broken_multipart_body_is_400(client: Client, boundary: str) -> None:
    response = client.http.post(
        "/v1/audio/transcriptions",
        content=b"this is no multipart body",
        headers={"content-type": f"multipart/form-data{boundary}"},
    )
    assert response.status_code == 400
    assert_shape(response)


@pytest.mark.parametrize("last", ["file", "response_format"])
def test_a_form_that_breaks_off_is_400(client: Client, clip: Path, last: str) -> None:
    fields = {"file": clip.read_bytes(), "response_format": b"srt"}
    names = sorted(fields, key=lambda name: name == last)
    files: list[Any] = [(one, (one if one == "file" else None, fields[one])) for one in names]
    request = client.http.build_request("POST", "/v1/audio/transcriptions", files=files)
    body = request.read().rstrip().removesuffix(b"--")
    for end in (body.rindex(b"\r\n"), body.rindex(b"form-data"), len(body)):
        response = client.http.post(
            request.url,
            content=body[:end],
            headers={"content-type": request.headers["content-type"]},
        )
        assert response.status_code == 400
        assert "the boundary that ends it is missing" in (assert_shape(response)["message"] or "")


@pytest.mark.parametrize("name", ["channels", "track"])
def test_what_the_recording_does_not_have_is_422_and_named(
    client: Client, clip: Path, name: str
) -> None:
    with clip.open("rb") as file:
        error = client.refusal(file=file, model="whisper-1", extra_body={name: 7})
    assert (error.status_code, error.param, error.code) == (422, name, "invalid_option")


def test_empty_fields_count_as_left_out(client: Client, clip: Path, recognizer: Recognizer) -> None:
    names = ["model", "language", "response_format", "temperature", "stream", "prompt", "decoder"]
    names += ["beam_size", "nbest", "hotwords", "timestamp_granularities[]", "include[]", "seed"]
    parts = {"file": ("clip", clip.read_bytes())}
    data = dict.fromkeys(names, "")
    response = client.http.post("/v1/audio/transcriptions", files=parts, data=data)
    assert response.json()["text"] == recognizer.transcribe(clip).text
    query = "?format=&model=&language=&multichannel=&subtitles=&nbest="
    response = client.http.post(f"/v1/transcribe{query}", content=clip.read_bytes())
    assert response.json()["text"] == recognizer.transcribe(clip).text
    response = client.http.post("/v1/transcribe?zzz=", content=clip.read_bytes())
    assert assert_shape(response)["param"] == "zzz"


@pytest.mark.parametrize("name", ["model", "hotwords[]", "text"])
def test_a_file_where_a_text_should_be_is_422_and_named(
    client: Client, clip: Path, name: str
) -> None:
    path = "/v1/align" if name == "text" else "/v1/audio/transcriptions"
    parts = {"file": ("clip", clip.read_bytes()), name: ("words.txt", b"a man said")}
    response = client.http.post(path, files=parts)
    assert response.status_code == 422
    error = assert_shape(response)
    param = name.removesuffix("[]")
    assert error["param"] == param
    assert (error["message"] or "").startswith(f"The field {param!r} came as a file: send its text")


def test_fields_that_hold_too_much_text_are_400(client: Client, clip: Path) -> None:
    parts = {"file": ("clip", clip.read_bytes())}
    data = {"prompt": "x" * 70_000, "hotwords": "x" * 70_000}
    response = client.http.post("/v1/audio/transcriptions", files=parts, data=data)
    assert response.status_code == 400
    assert "over 131072 bytes; shorten them" in (assert_shape(response)["message"] or "")


def test_a_form_in_another_charset_is_400(client: Client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x; charset=punycode"}
    response = client.http.post("/v1/audio/transcriptions", content=b"--x--", headers=headers)
    assert response.status_code == 400
    assert "charset must be utf-8" in (assert_shape(response)["message"] or "")


@pytest.mark.parametrize("other", ["", "; filename=x"])
def test_a_files_name_that_is_not_ascii_comes_as_some_clients_send_it(
    client: Client, clip: Path, recognizer: Recognizer, other: str
) -> None:
    name = quote("caf\u00e9 \u4f60.opus")
    for content in (clip.read_bytes(), b"nothing"):
        part = f"Content-Disposition: form-data; name=\"file\"{other}; filename*=utf-8''{name}"
        body = f"--x\r\n{part}\r\n\r\n".encode() + content + b"\r\n--x--\r\n"
        headers = {"content-type": "multipart/form-data; boundary=x"}
        response = client.http.post("/v1/audio/transcriptions", content=body, headers=headers)
        if content != b"nothing":
            assert response.json()["text"] == recognizer.transcribe(clip).text
    called = "x" if other else "caf\u00e9 \u4f60.opus"
    assert (assert_shape(response)["message"] or "").startswith(f"{called} is not a recording")


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/v1/align", "/v1/jobs"])
@pytest.mark.parametrize(
    ("kind", "text", "named"),
    [
        ("text/plain", "caf\u00e9".encode("latin-1"), "not in UTF-8"),
        ("text/plain; charset=utf-8", "caf\u00e9".encode("latin-1"), "not in UTF-8"),
        ("text/plain; charset=ISO-8859-1", "caf\u00e9".encode("latin-1"), "in 'iso-8859-1'"),
        ("text/plain; charset=utf-16", "cafe".encode("utf-16"), "in 'utf-16'"),
        ("text/plain; charset=utf-7", b"caf+AOk-", "in 'utf-7'"),
    ],
)
def test_a_field_that_is_not_in_utf8_is_400_and_named(
    client: Client, clip: Path, path: str, kind: str, text: bytes, named: str
) -> None:
    name = "text" if path == "/v1/align" else "hotwords"
    parts = {"file": ("clip", clip.read_bytes()), name: (None, text, kind)}
    response = client.http.post(path, files=parts)
    assert response.status_code == 400
    error = assert_shape(response)
    assert (error["param"], error["code"]) == (name, "not_utf8")
    assert error["message"] == f"The text of the field {name!r} is {named}: send it in UTF-8."


def test_a_querys_names_are_in_utf8_and_its_text_may_have_any_letter_of_it(
    client: Client, clip: Path
) -> None:
    response = client.http.post("/v1/transcribe?%E9=x", content=clip.read_bytes())
    assert response.status_code == 400 and assert_shape(response)["code"] == "not_utf8"
    sound = client.http.post("/v1/transcribe?hotwords=caf%EF%BF%BD", content=clip.read_bytes())
    assert sound.json()["error"]["code"] != "not_utf8"  # what UTF-8 says for a missing letter


@pytest.mark.parametrize("charset", ["UTF-8", "us-ascii", "ISO-8859-1"])
def test_a_field_of_ascii_may_be_called_so(client: Client, clip: Path, charset: str) -> None:
    kind = f"text/plain; charset={charset}"
    parts = {"file": ("clip", clip.read_bytes()), "language": (None, b"en", kind)}
    response = client.http.post("/v1/audio/transcriptions", files=parts)
    assert response.status_code == 200


def test_a_query_that_is_not_in_utf8_is_400_and_named(client: Client, clip: Path) -> None:
    url = "/v1/transcribe?format=srt&channels=split&speakers=left%3DZo%EB"
    response = client.http.post(url, content=clip.read_bytes())
    assert response.status_code == 400
    error = assert_shape(response)
    assert error["param"] == "speakers" and "send it in UTF-8" in (error["message"] or "")


@pytest.mark.parametrize("name", ["response_format", "zzz"])
def test_a_query_beside_a_form_is_422_and_named(client: Client, clip: Path, name: str) -> None:
    url = f"/v1/audio/transcriptions?{name}=text"
    response = client.http.post(url, files={"file": ("clip", clip.read_bytes())})
    assert response.status_code == 422
    error = assert_shape(response)
    assert error["param"] == name and "field of the form" in (error["message"] or "")


def test_an_encoded_body_is_415_and_the_encoding_named(client: Client, clip: Path) -> None:
    squeezed = gzip.compress(clip.read_bytes())
    for url in ("/v1/transcribe", "/v1/audio/transcriptions"):
        response = client.http.post(url, content=squeezed, headers={"content-encoding": "gzip"})
        assert response.status_code == 415
        error = assert_shape(response)
        assert (error["param"], error["code"]) == ("content-encoding", "unsupported_encoding")
        assert "'gzip'" in (error["message"] or "")
        assert response.headers["accept-encoding"] == "identity"
    plain = {"content-encoding": "identity"}
    response = client.http.post("/v1/transcribe", content=clip.read_bytes(), headers=plain)
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["Content-Encoding", "Content-Transfer-Encoding"])
def test_an_encoded_file_in_a_form_is_415(client: Client, clip: Path, name: str) -> None:
    part = ("clip.opus", base64.b64encode(clip.read_bytes()), "audio/ogg", {name: "base64"})
    response = client.http.post("/v1/audio/transcriptions", files={"file": part})
    assert response.status_code == 415
    error = assert_shape(response)
    assert error["code"] == "unsupported_encoding" and "'base64'" in (error["message"] or "")


@pytest.mark.parametrize("path", ["/v1/models/", "/health/live/", "/v1/audio/transcriptions/"])
def test_nobody_is_sent_where_the_host_header_says(client: Client, path: str) -> None:
    for method in ("GET", "POST"):
        response = client.http.request(method, path, headers={"host": "evil.example"})
        assert response.status_code in (404, 405)
        assert "location" not in response.headers
        assert "evil.example" not in response.text


def test_an_unknown_model_is_404(client: Client, clip: Path) -> None:
    error = client.refusal(file=clip, model="gpt-9")
    assert isinstance(error, openai.NotFoundError)
    assert (error.param, error.code) == ("model", "model_not_found")
    with pytest.raises(openai.NotFoundError):
        client.openai.models.retrieve("some/other")


def test_nothing_there_and_method_not_allowed_keep_the_shape(client: Client) -> None:
    response = client.http.get("/v2/nothing")
    assert response.status_code == 404
    assert "/v2/nothing" in (assert_shape(response)["message"] or "")
    long = client.http.get(f"/v2/{'x' * 9000}")
    assert len(assert_shape(long)["message"] or "") < 300
    response = client.http.get("/v1/audio/transcriptions")
    assert response.status_code == 405
    assert response.headers["allow"] == "POST"
    assert "POST" in (assert_shape(response)["message"] or "")


def test_monitors_that_want_no_body_are_answered(client: Client) -> None:
    for path in ("/", "/health/live", "/health/ready"):
        response = client.http.head(path)
        assert response.status_code == 200 and response.content == b""


@pytest.mark.parametrize("name", ["hotwords", "keywords"])
def test_the_field_that_was_sent_is_named(client: Client, clip: Path, name: str) -> None:
    error = client.refusal(file=clip, model="tiny", extra_body={name: "Zoë9", "decoder": "beam"})
    assert error.param == name


def test_a_request_id_is_echoed_if_sane(address: str) -> None:
    def answered(sent: str) -> str:
        response = httpx.get(f"{address}/health/live", headers={"x-request-id": sent}, timeout=120)
        return response.headers["x-request-id"]

    assert answered("trace-1.a_B") == "trace-1.a_B"
    assert answered("no spaces\tor tabs").startswith("req_")
    assert answered("x" * 129).startswith("req_")
