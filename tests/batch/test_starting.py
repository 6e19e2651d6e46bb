"""Decoding processes that cannot be started: the machine is named, and no recording is blamed."""

import os
import sys
from pathlib import Path

import pytest
from commands import asr
from folders import harmful

from asr.audio import Audio, Limits, load
from asr.batch import Decoder, list_inputs
from asr.errors import BadMachine

UNABLE = "no process that decodes audio can be started: "
BOOK = Path(__file__).parents[1] / "data" / "files" / "book.m4b"
pytestmark = pytest.mark.slow


def program(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch, mode: int = 0o755) -> Path:
    """A program in the place of the interpreter."""
    path = folder / "python"
    path.write_text(text)
    path.chmod(mode)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def refusal(path: Path) -> str:
    """What a decoder says that cannot read a recording."""
    decoder = Decoder(Limits())
    try:
        with pytest.raises(BadMachine) as told:
            decoder.read(*list_inputs([path]))
        return str(told.value)
    finally:
        decoder.stop()


def heard(path: Path) -> object:
    decoder = Decoder(Limits())
    try:
        return decoder.read(*list_inputs([path]))
    finally:
        decoder.stop()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, "Permission denied"),
        ("#!/gone/python\n", 0o755, "No such file or directory"),
    ],
)
def test_an_interpreter_that_may_not_be_run_is_named(
    text: str,
    mode: int,
    why: str,
    clips: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = program(tmp_path, text, monkeypatch, mode)
    assert refusal(clips[0]) == (
        f"{UNABLE}{path} cannot be run ({why}); let this user run it, or install earshot where it "
        "may"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "echo 'ModuleNotFoundError: no encodings' >&2; echo later >&2; exit 1",
            "ends at once (ModuleNotFoundError: no encodings); install earshot anew, and see what "
            "`asr doctor` says",
        ),
        ("exit 7", "ends at once (exit code 7); install earshot anew, and see what `asr doctor` "),
        ("exit 0", "does not answer; see what `asr doctor` says"),
        ("kill -9 $$", "is ended by SIGKILL; give it more memory, or lower --jobs"),
    ],
)
def test_why_it_ends_before_it_listens_is_told(
    text: str, why: str, clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = program(tmp_path, f"#!/bin/sh\n{text}\n", monkeypatch)
    assert refusal(clips[0]).startswith(f"{UNABLE}{path} {why}")


def test_one_that_is_ended_before_it_listens_is_started_again(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = tmp_path / "once"
    text = f'[ -e {once} ] || {{ touch {once}; kill -9 $$; }}\nexec {sys.executable} "$@"'
    program(tmp_path, f"#!/bin/sh\n{text}\n", monkeypatch)
    assert isinstance(heard(clips[0]), tuple) and once.exists()


def test_a_library_that_cannot_be_loaded_is_named(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only some formats need it, others are read."""
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['av'] = None\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert refusal(BOOK).startswith("the library av cannot be loaded (import of av halted")
    assert isinstance(heard(clips[0]), tuple)
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['soxr'] = None\n")
    assert "ends at once (ModuleNotFoundError: import of soxr halted" in refusal(clips[0])


def test_in_this_process_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(BadMachine, match="the library av cannot be loaded"):
        load(BOOK)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", " was not read, since memory ran out: "),
        ("raise MemoryError", " was not read, since memory ran out: "),
        ("raise KeyError('oops')", " fails in the decoder ('oops'): please report it"),
    ],
)
def test_a_file_is_not_called_damaged_for_what_is_no_fault_of_it(
    harm: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = harmful(tmp_path, harm, monkeypatch)
    assert str(heard(path)).startswith(f"{path}{said}")


def test_a_job_ends_with_one_sentence_and_goes_on_another_time(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ("--output", tmp_path / "out")
    arguments = ("transcribe", *clips[:3], "--bundle", tiny_bundle)
    with monkeypatch.context() as patch:
        program(tmp_path, "#!/bin/sh\n", patch, 0o644)
        for where in (out, ()):
            done = asr(*arguments, *where)
            assert done.returncode == 2 and done.stdout == ""
            (line,) = [line for line in done.stderr.splitlines() if UNABLE in line]
            assert ("(0 of 3 done; the same command goes on)" in line) == bool(where)
            assert "damaged" not in done.stderr and os.fspath(clips[0]) not in done.stderr
        marked = asr("doctor", "--bundle", tmp_path).stdout
        assert f"! decoder        {UNABLE}" in marked
    assert asr("transcribe", "--status", tmp_path / "out").returncode == 1
    assert "3 of 3 written" in asr(*arguments, *out).stderr


def test_one_that_runs_has_begun(clips: list[Path]) -> None:
    decoder = Decoder(Limits())
    try:
        decoder.begin()
        decoder.begin()
        (found,) = decoder.read(*list_inputs(clips[:1]))
        assert isinstance(found, Audio) and found.duration == load(clips[0]).duration
        decoder.end()
        with pytest.raises(EOFError):
            decoder.begin()
    finally:
        decoder.stop()
