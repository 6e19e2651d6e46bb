"""`asr transcribe` with marks and digits, and without."""

from pathlib import Path

import pytest
from commands import asr

from asr.runtime import Recognizer

pytestmark = pytest.mark.slow


def test_text_is_written_and_plain_on_request(
    written_bundle: Path, tiny_bundle: Path, clips: list[Path]
) -> None:
    recognizer = Recognizer.load(written_bundle, "cpu")
    clip = next(
        clip
        for clip in clips
        if recognizer.transcribe(clip).text != recognizer.transcribe(clip, written=False).text
    )
    said = ["transcribe", str(clip), "--bundle", str(written_bundle)]
    assert asr(*said).stdout == f"{recognizer.transcribe(clip).text}\n"
    plain = asr(*said, "--plain").stdout
    assert plain == f"{recognizer.transcribe(clip, written=False).text}\n"
    words = recognizer.transcribe(clip, digits="never").text
    assert asr(*said, "--digits", "never").stdout == f"{words}\n"
    for options, reason in (
        (["--digits", "sometimes"], "digits 'sometimes' is not known"),
        (["--plain", "--digits", "never"], "digits has no effect on plain text"),
    ):
        refused = asr(*said, *options)
        assert refused.returncode == 2 and reason in refused.stderr
    bare = asr("transcribe", str(clip), "--bundle", str(tiny_bundle), "--plain")
    assert bare.returncode == 0 and bare.stdout == plain
