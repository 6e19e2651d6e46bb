"""Audio decoding in child processes: its results, and a job whose file crashes a process."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
from folders import harmful

from asr.audio import Audio, Limits, load
from asr.batch import Input, list_inputs
from asr.batch.decoders import Decoder
from asr.options import Selection

_Found = TypeVar("_Found")


def decoded(
    inputs: Iterable[Input], limits: Limits, track: int | None
) -> Iterator[tuple[Input, Audio | str]]:
    """Each input with what one process makes of it."""
    decoder = Decoder(limits, Selection(track=track))
    try:
        for item in inputs:
            heard = decoder.read(item)
            yield item, heard if isinstance(heard, str) else heard[0]
    finally:
        decoder.stop()


def test_sound_is_what_it_is_in_this_process(clips: list[Path]) -> None:
    found = list(decoded(list_inputs(clips), Limits(), None))
    assert [item.path for item, _ in found] == clips
    for item, heard in found:
        assert isinstance(heard, Audio)
        assert np.array_equal(heard.samples, load(item.path).samples)


def test_sentences_are_those_of_this_process(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    inputs = [
        *list_inputs([tmp_path / "empty.wav", tmp_path / "gone.wav", clips[0]]),
        Input(tmp_path, tmp_path, "a problem of its own"),
    ]
    found = [heard for _, heard in decoded(inputs, Limits(max_seconds=1.0), None)]
    assert [str(heard).partition(tmp_path.name)[2] for heard in found[:2]] == [
        "/empty.wav is empty (0 bytes): record or fetch it again",
        "/gone.wav does not exist: check the path",
    ]
    assert "is too long" in str(found[2]) and found[3] == "a problem of its own"


def _children(since: set[int]) -> set[int]:
    path = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return {int(word) for word in path.read_text().split()} - since


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the children in /proc")
def test_a_process_that_others_end_costs_no_recording(clips: list[Path]) -> None:
    before = _children(set())
    found = decoded(list_inputs(clips), Limits(), None)
    results = [next(found)]
    for child in _children(before):
        os.kill(child, signal.SIGKILL)
    results.extend(found)
    assert [item.path for item, _ in results] == clips
    assert all(isinstance(heard, Audio) for _, heard in results)
    assert not _children(before)


@pytest.mark.slow
def test_a_file_is_to_blame_once_it_has_ended_two_processes(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fatal = harmful(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)", monkeypatch)
    found = list(decoded(list_inputs([clips[0], fatal, clips[1]]), Limits(), None))
    assert [isinstance(heard, Audio) for _, heard in found] == [True, False, True]
    assert found[1][1] == (
        f"{fatal} is damaged: the program that reads it stumbles; convert it to wav or flac, or "
        "record it again"
    )


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the children in /proc")
def test_processes_end_with_whoever_stops_listening(clips: list[Path]) -> None:
    before = _children(set())
    found = decoded(list_inputs(clips), Limits(), None)
    next(found)
    assert _children(before)
    del found
    assert not _children(before)


def test_another_thread_may_end_it(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = harmful(tmp_path, "time.sleep(3600)", monkeypatch)
    decoder, ended = Decoder(Limits()), threading.Event()
    assert isinstance(decoder.read(*list_inputs(clips[:1])), tuple)

    def read() -> None:
        with pytest.raises(EOFError):
            decoder.read(*list_inputs([endless]))
        ended.set()

    thread = threading.Thread(target=read)
    thread.start()
    decoder.end()
    thread.join()
    assert ended.is_set()
    decoder.stop()
    with pytest.raises(EOFError):
        decoder.read(*list_inputs(clips[:1]))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for the child in /proc")
def test_a_child_ends_with_its_parent_in_the_middle_of_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parent is killed while the child reads a file that never ends."""
    reached = tmp_path / "reached"
    endless = harmful(
        tmp_path,
        f"open({str(reached)!r}, 'w').write(str(os.getpid())); time.sleep(3600)",
        monkeypatch,
    )
    program = (
        "import sys; sys.path.insert(0, sys.argv[2]);"
        "from asr.audio import Limits; from asr.batch import list_inputs;"
        "from asr.batch.decoders import Decoder;"
        "Decoder(Limits()).read(*list_inputs([sys.argv[1]]))"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, str(endless), str(tmp_path / "hook")])
    child = _wait_for(lambda: reached.exists() and reached.read_text())
    parent.kill()
    parent.wait()
    _wait_for(lambda: not _runs(child))


def _wait_for(condition: Callable[[], _Found]) -> _Found:
    while not (found := condition()):
        time.sleep(0.05)
    return found


def _runs(process: str) -> bool:
    """Whether it is neither gone nor a zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_other_tracks_of_films_are_read(clips: list[Path]) -> None:
    (result,) = decoded(list_inputs(clips[:1]), Limits(), 2)
    assert "which has one sound track" in str(result[1])


@pytest.mark.slow
def test_a_file_that_gives_no_sound_for_long_is_given_up(
    clips: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening it never comes back, as on a disk that is gone; the next is read as ever."""
    endless = harmful(tmp_path, "time.sleep(3600)", monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("asr.batch.decoders._PATIENCE_S", 1.0)
        results = decoded(list_inputs([endless, clips[0]]), Limits(), None)
        _, reason = next(results)
    assert reason == (
        f"{endless} gave no sound for 1 s and was given up: check the disk, or convert it to wav "
        "or flac"
    )
    assert isinstance(next(results)[1], Audio)
