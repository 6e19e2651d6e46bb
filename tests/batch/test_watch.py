"""A job that goes on with what arrives."""

import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest
from commands import ASR

from asr.batch import Input, Inputs
from asr.batch.watch import settled


def test_a_file_has_arrived_when_two_looks_have_seen_the_same(tmp_path: Path) -> None:
    growing, still = tmp_path / "growing.wav", tmp_path / "still.wav"
    still.write_bytes(b"1")
    looks: list[list[str]] = []
    stop = threading.Event()

    def look() -> Inputs:
        """The first file grows until the fifth look; the second changes at the seventh."""
        looks.append([])
        if len(looks) < 5:
            growing.write_bytes(b"1" * len(looks))
        if len(looks) == 7:
            still.write_bytes(b"12")
        if len(looks) == 10:
            stop.set()
        gone = Input(tmp_path / "gone.wav", Path("gone.wav"))
        problem = Input(tmp_path, Path("x"), "it cannot be listed")
        return Inputs([gone, problem, *(Input(path, Path(path.name)) for path in (growing, still))])

    for item in settled(look, stop, pause_s=0.0):
        looks[-1].append(item.path.name)
    assert looks == [[], ["still.wav"], [], [], ["growing.wav"], [], [], ["still.wav"], [], []]


def wait_for(path: Path, process: "subprocess.Popen[str]") -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)


@pytest.mark.slow
def test_what_arrives_or_changes_is_transcribed_until_the_job_is_told_to_stop(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    output.mkdir()
    (output / "mine.txt").write_text("by hand")
    shutil.copy(clips[0], folder / "mine.flac")
    arguments = [str(folder), "--bundle", str(tiny_bundle), "--output", str(output), "--watch"]
    process = subprocess.Popen([*ASR, "transcribe", *arguments], stderr=subprocess.PIPE, text=True)
    try:
        wait_for(output / ".earshot" / "journal.sqlite", process)
        shutil.copy(clips[0], folder / "first.flac")
        wait_for(output / "first.txt", process)
        shutil.copy(clips[1], folder / "second.opus")
        wait_for(output / "second.txt", process)
        before = (output / "second.txt").stat().st_ino
        shutil.copy(clips[2], folder / "second.opus")  # another recording of the same name
        while (output / "second.txt").stat().st_ino == before:
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate()
    assert process.returncode == 1, said
    assert f"asr: 3 of 4 written to {output}" in said
    assert f"{output / 'mine.txt'} is there already, and no job wrote it: move it" in said
    assert (output / "mine.txt").read_text() == "by hand"
    assert len((output / "results.jsonl").read_text().splitlines()) == 2
