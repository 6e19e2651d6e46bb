"""OpenAI's client for Node, with a real server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import soundfile
from serving import speech

from asr.audio import SAMPLE_RATE
from asr.runtime import Recognizer

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("openai_client.cjs")


def node(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What Node does with a program beside this file, which finds the checkout's packages."""
    return subprocess.run(["node", *arguments], capture_output=True, text=True, cwd=PROGRAM.parent)


def test_openais_client_for_node_has_all_that_it_asks_for(
    address: str, recognizer: Recognizer, clip: Path, tmp_path: Path
) -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    if node("-e", "require('openai/realtime/ws')").returncode:
        pytest.skip("npm's package openai is not installed: npm install --no-save openai ws")
    path = tmp_path / "clip.wav"
    samples = speech(clip, 4 * SAMPLE_RATE)  # whole frames, of which a live turn is made
    soundfile.write(path, samples, SAMPLE_RATE, subtype="PCM_16")
    done = node(str(PROGRAM), address, str(path))
    assert done.returncode == 0, done.stderr
    spoken = recognizer.transcribe(path)
    found = json.loads(done.stdout)
    assert found["text"] == found["streamed"] == found["live"] == spoken.text != ""
    assert found["words"] == [word.text for word in spoken.words]
    assert found["speakers"] == ["left"] * len(spoken.segments)
    assert found["refused"] == {"status": 422, "param": "language", "isApiError": True}
