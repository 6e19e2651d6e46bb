"""Recordings that are too long to be held: read, run and searched window by window."""

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import ASR, asr
from numpy.typing import NDArray

from asr.audio import SAMPLE_RATE, Limits, Recording, load
from asr.batch import (
    FolderJob,
    Result,
    Shard,
    Tally,
    list_inputs,
    made_by,
    run,
    transcribe_files,
    workplace,
)
from asr.batch.decoders import Decoder, Long
from asr.cli.transcribe import _print, _Printer
from asr.options import Selection
from asr.runtime import LogProbs, Recognizer
from asr.runtime.engine import Engine, Wave
from asr.transcript import Layout, Transcript

SECONDS = 400
"""Longer than a window."""


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, device="cpu")


@pytest.fixture(scope="module")
def long(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two channels, the second of them later and quieter."""
    speech = np.concatenate([load(clip).samples for clip in clips])
    left = np.resize(speech, SECONDS * SAMPLE_RATE)
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(path, np.stack([left, np.roll(left, 70_000) / 9], axis=1), SAMPLE_RATE)
    return path


class Silent:
    """An engine that must not be asked."""

    device, batch_seconds = "cpu", 720.0

    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        raise AssertionError(f"{len(waves)} windows are computed again")


@pytest.mark.slow
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_they_are_read_among_others_as_alone(
    recognizer: Recognizer, clips: list[Path], long: Path, channels: str
) -> None:
    inputs = list_inputs([clips[0], long, clips[1]])
    found = list(transcribe_files(recognizer, inputs, selection=Selection(channels=channels)))
    assert [result.input for result in found] == list(inputs)
    assert [result.transcript for result in found] == [
        recognizer.transcribe(item.path, channels=channels) for item in inputs
    ]


@pytest.mark.slow
def test_windows_are_not_computed_again(recognizer: Recognizer, long: Path, tmp_path: Path) -> None:
    options = recognizer.options()

    def said(by: Recognizer) -> object:
        with closing(Recording(str(long)).channel(0)) as waves:
            return by.read_waves(waves, options, lambda place: by.kept(tmp_path / "0", place))

    expected = said(recognizer)
    assert len(list(tmp_path.iterdir())) == 2
    assert said(replace(recognizer, engine=Silent())) == expected
    for path in tmp_path.iterdir():  # as a full disk may leave them
        path.write_bytes(path.read_bytes()[:100])
    assert said(recognizer) == expected


@pytest.mark.slow
def test_a_process_that_ends_in_between_is_asked_again(long: Path) -> None:
    (item,) = list_inputs([long])
    decoder = Decoder(Limits(), longest=360.0)
    assert decoder.read(item) == Long(channels=1)
    pids: list[int] = []

    def samples() -> int:
        with closing(decoder.pieces(item, 0)) as pieces:
            count = len(next(pieces).samples)
            assert decoder._process is not None
            pids.append(decoder._process.pid)
            if len(pids) == 1:
                decoder._process.kill()
                decoder._process.wait()
            return count + sum(len(piece.samples) for piece in pieces)

    assert decoder.trying(item, samples) == SECONDS * SAMPLE_RATE
    assert len(set(pids)) == 2
    for _ in range(2):  # what is left of an answer is no answer to the next question
        with closing(decoder.pieces(item, 0)) as pieces:
            next(pieces)
    assert decoder.trying(item, samples) == SECONDS * SAMPLE_RATE
    decoder.stop()


@pytest.mark.slow
def test_one_that_is_damaged_is_named(
    recognizer: Recognizer, clips: list[Path], long: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.flac"
    broken.write_bytes(long.read_bytes()[:-200_000])
    results = list(transcribe_files(recognizer, list_inputs([broken, clips[0]])))
    assert results[0].transcript is None and str(broken) in str(results[0].error)
    assert results[1].transcript is not None


@pytest.mark.slow
def test_a_limit_holds_for_them_too(recognizer: Recognizer, long: Path) -> None:
    limits = Limits(max_seconds=SECONDS - 1.0)
    (found,) = transcribe_files(recognizer, list_inputs([long]), limits)
    assert found.transcript is None and "is too long" in str(found.error)


@pytest.mark.slow
@pytest.mark.parametrize("channels", ["mix", "split"])
def test_what_is_known_so_far_is_told_and_stays(
    tiny_bundle: Path, long: Path, channels: str
) -> None:
    one_by_one = Recognizer.load(tiny_bundle, device="cpu", threads=1)
    told: list[Transcript] = []
    (result,) = transcribe_files(
        one_by_one,
        list_inputs([long]),
        selection=Selection(channels=channels, start=2.0),
        heard=lambda _, so_far: told.append(so_far),
    )
    assert result.transcript is not None and told
    assert result.transcript == one_by_one.transcribe(long, channels=channels, start=2.0)
    final = [word for word in result.transcript.words if word.channel in (None, 1)]
    for so_far in told:
        known = [word for word in so_far.words if word.channel in (None, 1)]
        assert known == final[: len(known)]
    assert 0 < len(told[0].words) < len(result.transcript.words)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["srt", "txt"])
def test_one_alone_is_printed_as_it_is_written(
    tiny_bundle: Path, long: Path, tmp_path: Path, format: str
) -> None:
    given = ("transcribe", long, "--bundle", tiny_bundle, "--format", format, "--jobs", 1)
    printed = asr(*given)
    done = asr(*given, "--output", tmp_path)
    assert done.returncode == 0, done.stderr  # SIGTERM, as of `timeout`, stops it and says so
    assert printed.stdout == (tmp_path / f"long.{format}").read_text()
    assert sorted(path.name for path in tmp_path.glob("long*")) == [f"long.{format}"]


class Held:
    """An engine that runs the second window when it is told to."""

    device, batch_seconds = "cpu", 360.0

    def __init__(self, engine: Engine) -> None:
        self._engine, self._calls = engine, 0
        self.go = threading.Event()

    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        self._calls += 1
        if self._calls == 2:
            self.go.wait()
        return self._engine(waves)


def test_a_reader_that_has_gone_is_not_worked_for(
    recognizer: Recognizer,
    long: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As in `asr transcribe HOUR | head`: it ends, though the second window is not read yet."""
    engine = Held(recognizer.engine)
    held = replace(recognizer, engine=engine)
    reading, writing = os.pipe()
    os.close(reading)
    with suppress(BrokenPipeError), open(writing, "w") as stdout:  # closing tries to write again
        monkeypatch.setattr("sys.stdout", stdout)
        printer = _Printer("txt", alone=True, layout=Layout())
        _print(list_inputs([long]), lambda: held, printer, False, Selection(), {})
        monkeypatch.undo()
    engine.go.set()
    assert "fails" not in capsys.readouterr().err


@pytest.mark.slow
def test_what_is_known_so_far_lies_beside_until_the_whole_is_written(
    recognizer: Recognizer, long: Path, tmp_path: Path
) -> None:
    engine = Held(recognizer.engine)
    held, options = replace(recognizer, engine=engine), recognizer.options()
    layout, inputs = Layout(), list_inputs([long])
    inputs.plan(["long"], lambda _: True)
    job = FolderJob(
        output=tmp_path,
        formats=["srt", "json"],
        layout=layout,
        options=options,
        made=made_by(held, options, layout, Selection()),
    )
    parts = {name: tmp_path / f"{name}.part" for name in ("long.srt", "long.json")}
    seen: dict[str, str] = {}

    def report(_tally: Tally, _result: Result | None) -> None:
        if not engine.go.is_set() and all(path.exists() for path in parts.values()):
            assert not any((tmp_path / name).exists() for name in parts)
            seen.update((name, path.read_text()) for name, path in parts.items())
            engine.go.set()

    with workplace(tmp_path, Shard()) as journal:
        run(job, held, inputs, journal, Tally(), report, threading.Event())
    assert not any(path.exists() for path in parts.values())
    whole = json.loads((tmp_path / "long.json").read_text())["words"]
    known = json.loads(seen["long.json"])["words"]
    assert 0 < len(known) < len(whole) and known == whole[: len(known)]
    first, _, _ = seen["long.srt"].partition("\n\n")
    assert (tmp_path / "long.srt").read_text().startswith(f"{first}\n")


@pytest.mark.slow
def test_a_job_that_is_killed_within_one_ends_as_one_that_was_not(
    tiny_bundle: Path, long: Path, tmp_path: Path
) -> None:
    def command(output: Path) -> list[str]:
        given = ["transcribe", str(long), "--bundle", str(tiny_bundle), "--format", "json,srt"]
        return [*given, "--output", str(output)]

    output, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    windows = output / ".earshot" / "windows"
    for _ in range(3):
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen([*ASR, *command(output)], stderr=log)
            while not list(windows.glob("*/*.npy")) and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
    for path in (output, undisturbed):
        assert asr(*command(path)).returncode == 0
        assert not (path / ".earshot" / "windows").exists()
    for name in ("long.json", "long.srt"):
        assert (output / name).read_bytes() == (undisturbed / name).read_bytes()
