"""Nobody's text freezes the service: every text field, with the patterns that cost the most.

Each pattern here takes, or once took, time in the square of its length: minutes where a linear
reading takes milliseconds. So the bound on the others' waiting can be generous to a busy machine.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from service.api.fields import TranscriptionForm
from service.api.parts import MOST_TEXT
from service.api.prompt import hot_words

pytestmark = pytest.mark.slow

BOUND_S = 5.0
PATTERNS = {
    "marks": "." * 7 + "!" * 5,
    "names": "Ab ",
    "quotes": "\"'I'",
    "brackets": "[[a",
    "commas": "A,",
    "digits": "9",
    "languages": "en-",
    "accents": "a\u0345\u0345\u0334\u0334",
    "piled accents": "\u0345",
    "spaces": "  \n",
}
TEXTS = sorted(TranscriptionForm.model_fields.keys() - {"file"})


def filled(pattern: str, size: int) -> str:
    """So many bytes of a pattern; accents in the order that takes longest to put right."""
    if pattern == "\u0345":
        return "a" + "\u0345" * (size // 4) + "\u0334" * (size // 4 - 2)
    return (pattern * size).encode()[:size].decode(errors="ignore")


@contextmanager
def watched(address: str) -> Iterator[None]:
    """`/health/live` answers all the while, each time within the bound."""
    begun, over, waits = threading.Event(), threading.Event(), []

    def watch() -> None:
        with httpx.Client(base_url=address, timeout=120) as http:
            while not over.is_set():
                asked = time.monotonic()
                assert http.get("/health/live").status_code == 200
                waits.append(time.monotonic() - asked)
                begun.set()
                time.sleep(0.005)

    thread = threading.Thread(target=watch)
    thread.start()
    begun.wait(120)
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert max(waits) < BOUND_S


@pytest.mark.parametrize("field", TEXTS)
def test_no_text_of_a_form_freezes_the_service(address: str, clip: Path, field: str) -> None:
    body = {"file": ("clip", clip.read_bytes())}
    others = {} if field == "decoder" else {"decoder": "beam"}
    with watched(address), httpx.Client(base_url=address, timeout=120) as http:
        for pattern in PATTERNS.values():
            data = {**others, field: filled(pattern, MOST_TEXT - 4)}
            asked = time.monotonic()
            response = http.post("/v1/audio/transcriptions", files=body, data=data)
            assert response.status_code in (200, 400, 404, 422), response.text
            assert time.monotonic() - asked < 4 * BOUND_S


def test_no_name_of_a_field_or_file_freezes_the_service(address: str, clip: Path) -> None:
    with watched(address), httpx.Client(base_url=address, timeout=120) as http:
        for pattern in PATTERNS.values():
            name = filled(pattern, 3_900)
            files = {"file": (name, clip.read_bytes())}
            response = http.post("/v1/audio/transcriptions", files=files)
            assert response.status_code in (200, 400)  # 400: a header of 4 kB is the most
            response = http.post("/v1/audio/transcriptions", files=files, data={name: "x"})
            assert response.status_code in (400, 422)


def test_no_query_and_no_header_freezes_the_service(address: str, clip: Path) -> None:
    names = ["x-request-id", "authorization", "content-type", "traceparent", "content-encoding"]
    with watched(address), httpx.Client(base_url=address, timeout=120) as http:
        for pattern in PATTERNS.values():
            for field in ("model", "language", "hotwords", "beam_size", "lm_weight"):
                query = {"decoder": "beam"} if field != "decoder" else {}
                query[field] = filled(pattern, 4_000)
                response = http.post("/v1/transcribe", params=query, content=clip.read_bytes())
                assert response.status_code in (200, 404, 422)
            for name in names:
                value = filled(pattern, 12_000).strip().replace("\n", " ")
                headers = {name: f"multipart/form-data;{value}".encode()}
                response = http.post("/v1/audio/transcriptions", content=b"x", headers=headers)
                assert response.status_code < 500


@pytest.mark.parametrize("pattern", [b"\r\n--", b"\r\n--bbbbbbbb\r\n\r\n", b"\r", b"--", b"\r\n:"])
def test_no_form_freezes_the_service(address: str, pattern: bytes) -> None:
    boundary = "b" * 200
    body = f'--{boundary}\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
    whole = (body.encode() + pattern * 400_000)[:1_900_000]
    headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
    with watched(address):
        url = f"{address}/v1/audio/transcriptions"
        response = httpx.post(url, content=whole, headers=headers, timeout=120)
        assert response.status_code in (400, 415, 422)
        pieces = (whole[at : at + 7] for at in range(0, 70_000, 7))
        response = httpx.post(url, content=pieces, headers=headers, timeout=120)
        assert response.status_code in (400, 415, 422)


def test_a_prompt_is_read_in_linear_time() -> None:
    """Ten times the text takes far less than a hundred times as long."""

    def took(pattern: str, size: int) -> float:
        text = filled(pattern, size)
        tries = []
        for _ in range(5):
            began = time.thread_time()
            hot_words(text)
            tries.append(time.thread_time() - began)
        return min(tries)

    for pattern in PATTERNS.values():
        assert took(pattern, 7_900) < 40 * took(pattern, 790) + 0.001
