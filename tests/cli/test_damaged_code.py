"""Code that Python has compiled and the disk has damaged; and what else ends a command early."""

import os
import py_compile
import signal
import subprocess
import sys
import time
from importlib.util import cache_from_source
from pathlib import Path

import pytest
from commands import ASR

import asr
from asr.cli.damaged import damaged_code

PACKAGE = Path(asr.__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "damage"),
    [
        ("batch/inputs.py", b""),  # EOFError, which typer would call "Aborted!"
        ("runtime/reader.py", bytes(64)),  # ValueError
        ("runtime/recognizer.py", b""),
    ],
)
def test_damaged_code_is_one_sentence_that_says_which_file(
    module: str, damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, cache = PACKAGE / module, tmp_path / "cache"
    with monkeypatch.context() as patched:
        patched.setattr(sys, "pycache_prefix", str(cache))
        place = Path(cache_from_source(str(source)))
    py_compile.compile(str(source), str(place), doraise=True)
    place.write_bytes(place.read_bytes()[:1000] + damage)
    (tmp_path / "x.wav").write_bytes(b"")
    done = subprocess.run(
        [*ASR, "transcribe", tmp_path / "x.wav", "--output", tmp_path / "out"],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPYCACHEPREFIX": str(cache), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith(f"asr: {place}, which Python made of its programs, is damaged (")
    assert done.stderr.endswith("): delete it, and Python makes it anew.\n")


def test_other_errors_are_none_of_damaged_code() -> None:
    for error in (EOFError(), ValueError("bad")):
        try:
            raise error
        except type(error) as raised:
            assert damaged_code(raised) is None


@pytest.mark.slow
def test_ctrl_c_ends_a_command_with_the_shells_code(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "texts.txt")  # nobody writes to it
    command = [*ASR, "lm", "build", tmp_path / "texts.txt", tmp_path / "lm.npz"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    writer = os.open(tmp_path / "texts.txt", os.O_WRONLY)  # waits until it is read
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    os.close(writer)
    assert process.returncode == 130 and "Aborted" not in said and "Traceback" not in said, said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "content"),
    [
        ("typer", "os.kill(os.getpid(), signal.SIGINT)\ntime.sleep(60)"),
        ("soundfile", "try: signal.raise_signal(signal.SIGINT)\nfinally: raise ImportError"),
    ],
    ids=["the command itself", "a compiled module, which makes an ImportError of it"],
)
def test_ctrl_c_while_a_module_loads_shows_no_traceback(
    tmp_path: Path, module: str, content: str
) -> None:
    (tmp_path / f"{module}.py").write_text(f"import os, signal, time\n{content}\n")
    done = subprocess.run(
        [*ASR, "transcribe", "x.wav"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")
