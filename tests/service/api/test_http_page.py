"""The pages of HTTP are true: their examples are answered as shown, and they leave nothing out."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.api.fields import WITHOUT_EFFECT, TranscribeQuery, TranscriptionForm
from service.api.prompt import hot_words

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PAGES = ("http.md", "http-reference.md")
PAGE = "\n".join((ROOT / "docs" / name).read_text(encoding="utf-8") for name in PAGES)
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"```sh\n(curl [^\n]*)\n```\n\n```json\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("at", range(len(EXAMPLES)))
def test_an_example_is_answered_as_shown(english_address: str, at: int) -> None:
    command, shown = EXAMPLES[at]
    done = subprocess.run(
        command.replace("curl ", "curl -s ", 1).replace("http://127.0.0.1:8000", english_address),
        shell=True, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    expected = values(shown)
    answered = values(done.stdout.replace("data: ", ""))
    if "error" in expected[0]:
        assert answered == expected
    else:
        assert list(map(shape, answered)) == list(map(shape, expected))


@pytest.mark.parametrize("at", range(len(PROGRAMS)))
def test_a_program_prints_what_is_said(english_address: str, tmp_path: Path, at: int) -> None:
    program = PROGRAMS[at]
    script = tmp_path / "program.py"
    script.write_text(program.replace("http://127.0.0.1:8000", english_address), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    with open(ROOT / "samples" / "1272-141231-0000.flac", "rb") as clip:
        url = f"{english_address}/v1/audio/transcriptions"
        text = httpx.post(url, files={"file": clip}, timeout=120).json()["text"]
    assert done.stdout.splitlines()[-1:] == [text], done.stderr


def values(text: str) -> list[Any]:
    """The JSON values in `text`, one after another."""
    found, decoder = [], json.JSONDecoder()
    while text := text.strip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return found


def shape(value: Any) -> Any:
    """`value` with every word and number replaced by its type, and lists by their first item."""
    if isinstance(value, dict):
        # Which stages a request has depends on the machine.
        return {key: shape(inner) for key, inner in value.items() if key != "timings"}
    if isinstance(value, list):
        return [shape(inner) for inner in value[:1]]
    return "number" if type(value) in (int, float) else type(value).__name__


def test_the_page_has_examples_and_every_one_has_its_answer() -> None:
    assert len(EXAMPLES) >= 7
    assert PAGE.count("```sh\n") == len(EXAMPLES)


def test_every_field_is_on_the_page() -> None:
    cells = " ".join(re.findall(r"^\| (`.*?) \|", PAGE, re.MULTILINE))
    named = set(re.findall(r"`(\w+)(?:\[\])?`", cells))
    assert named >= TranscriptionForm.model_fields.keys() | TranscribeQuery.model_fields.keys()
    assert all(f"`{name}`" in PAGE for name in WITHOUT_EFFECT)


def test_every_code_of_an_error_is_on_the_page() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "service").rglob("*.py")]
    codes = {code for source in sources for code in re.findall(r'code="(\w+)"', source)}
    # From the table of the recogniser's errors, and the reasons of admission.
    codes |= {"unsupported_audio", "audio_too_long", "queue_full", "deadline"}
    assert [code for code in sorted(codes) if f"`{code}`" not in PAGE] == []


def test_the_prompts_of_the_page_give_what_it_says() -> None:
    assert hot_words("ZyntriQix, Digique Plus") == ["ZyntriQix", "Digique Plus"]
    assert hot_words("We spoke with Ann Lee of NASA.") == ["Ann Lee", "NASA"]
    assert "`ZyntriQix, Digique Plus`" in PAGE and "`We spoke with Ann Lee of NASA.`" in PAGE
