"""How far a job is, and how that is said."""

import io
import os
import pty
import subprocess
from pathlib import Path

import pytest
from commands import ASR

from asr.batch import Input, Result, Tally
from asr.cli import progress
from asr.counting import counted
from asr.durations import spoken
from asr.transcript import Transcript


def result(name: str, size: int, seconds: float | None, error: str = "") -> Result:
    transcript = None if seconds is None else Transcript("", (), 0.0, seconds, True)
    item = Input(Path(name), Path(name))
    return Result(item, transcript, error or None, (size, 0))


def test_one_is_no_plural() -> None:
    assert [counted(n, "clip") for n in (0, 1, 2)] == ["0 clips", "1 clip", "2 clips"]
    assert counted(1200, "pass", "passes") == "1,200 passes" and counted(1, "pass") == "1 pass"
    assert progress._how_far(Tally(total=1)) == "0 of 1 file"


def test_hours_are_guessed_by_bytes_of_like_files() -> None:
    tally = Tally(total=6)
    for name, size in (("a.wav", 100), ("b.wav", 300), ("c.mp3", 10), ("d.mp3", 30)):
        tally.expect(Path(name), (size, 0))
    assert tally.left is None and tally.expected == 0.0
    tally.add(result("a.wav", 100, 10.0))
    assert tally.expected == 44.0  # the bytes of mp3 count as those of wav as long as none is read
    tally.add(result("c.mp3", 10, 50.0))
    assert tally.expected == 10 + 30 + 50 + 150
    assert tally.left is not None and tally.left > 0.0
    tally.add(result("b.wav", 300, None, "b.wav is empty (0 bytes): record it again"))
    assert tally.expected == 10 + 50 + 150
    tally.add(result("d.mp3", 30, 160.0))
    assert tally.expected == tally.seconds == 220.0 and tally.left == 0.0
    assert (tally.done, tally.silent, tally.failed) == (3, 3, 1)


def test_the_time_in_which_nothing_is_there_to_do_does_not_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tally = Tally(total=3)
    now[0] = 100.0
    for name in ("a.wav", "b.wav"):
        tally.expect(Path(name), (1, 0))
    now[0] = 104.0
    tally.add(result("a.wav", 1, 60.0))
    assert tally.elapsed == 4.0 and tally.speed == 15.0
    now[0] = 106.0
    tally.add(result("b.wav", 1, None, "b.wav is empty"))
    now[0] = 1000.0
    assert tally.elapsed == 6.0
    tally.expect(Path("c.wav"), (1, 0))
    now[0] = 1004.0
    assert tally.elapsed == 10.0 and tally.speed == 6.0


def test_like_failures_have_one_reason() -> None:
    tally = Tally(total=3)
    for name, count in (("in/1 a.wav", 17), ("in/b.wav", 3)):
        tally.add(result(name, 1, None, f"{name} promises {count} bytes, has 1.5; record it again"))
    tally.add(result("c", 1, None, "c does not exist: check the path"))
    assert tally.reasons == {"promises N bytes, has N": 2, "does not exist": 1}


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 s"), (99, "99 s"), (150, "2 min"), (6000, "1 h 40 min"), (200_000, "56 h")],
)
def test_times_are_said_shortly(seconds: float, said: str) -> None:
    assert spoken(seconds) == said


def test_lines_say_how_far_it_is_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(progress, "_LINE_S", 0.0)
    monkeypatch.setattr("sys.stderr", said := io.StringIO())
    tally = Tally(total=3_000, before=1_000)
    tally.expect(Path("a.wav"), (100, 0))
    tally.expect(Path("b.wav"), (100, 0))
    with progress.hours_of_audio() as show:
        show(tally)
        show(tally)  # nothing has changed
        tally.add(result("a.wav", 100, 3600.0))
        show(tally)
    first, second = said.getvalue().splitlines()
    assert first == "asr: 1,000 of 3,000 files"
    assert second.startswith("asr: 1,001 of 3,000 files, 60 min of about 2 h 0 min of audio, ")
    assert second.endswith(" left") and " times real time, " in second


@pytest.mark.slow
def test_a_terminal_has_a_bar(clips: list[Path], tiny_bundle: Path, tmp_path: Path) -> None:
    terminal, ours = pty.openpty()
    command = [*ASR, "transcribe", *map(str, clips), "--bundle", str(tiny_bundle)]
    process = subprocess.Popen([*command, "--output", str(tmp_path)], stderr=ours)
    os.close(ours)
    shown = b""
    while True:
        try:
            shown += (part := os.read(terminal, 1 << 16))
        except OSError:  # its last writer has ended
            break
        if not part:
            break
    os.close(terminal)
    assert process.wait() == 0
    text = shown.decode()
    assert f"of {len(clips)} files" in text and "\u2501" in text
    assert f"asr: {len(clips)} of {len(clips)} written to" in text
