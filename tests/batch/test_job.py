"""The folder job: every input ends as done or failed with a reason, in order."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from asr.audio import Limits, load
from asr.batch import Input, OutputLost, Result, list_inputs, transcribe_files
from asr.batch.pipeline import Pipeline
from asr.errors import BadOption
from asr.options import Selection
from asr.runtime import LogProbs, Recognizer
from asr.runtime.engine import Wave


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, device="cpu")


def _alone(recognizer: Recognizer, clips: list[Path]) -> list[str]:
    return [recognizer.transcribe(clip).text for clip in clips]


def test_files_read_as_they_do_alone_in_order(recognizer: Recognizer, clips: list[Path]) -> None:
    results = list(transcribe_files(recognizer, list_inputs(clips), decoder="greedy"))
    assert [result.input.path for result in results] == clips
    assert [result.error for result in results] == [None] * len(clips)
    texts = [result.transcript.text for result in results if result.transcript]
    assert texts == _alone(recognizer, clips) and any(texts)


def test_paths_are_inputs_too(recognizer: Recognizer, clips: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    for clip in clips[:2]:
        (folder / clip.name).symlink_to(clip)
    inside = sorted(folder / clip.name for clip in clips[:2])
    (one,) = list_inputs([clips[2]])
    for given, paths in (
        (folder, inside),
        (str(folder), inside),
        ([str(clips[0]), folder, one], [clips[0], *inside, clips[2]]),
        (iter(clips[:2]), clips[:2]),
        (one, [clips[2]]),
    ):
        results = list(transcribe_files(recognizer, given, decoder="greedy"))
        assert [result.input.path for result in results] == paths
        assert all(result.transcript is not None for result in results)
    wrong: Any
    for wrong in ([clips[0], 3], 3, None):
        with pytest.raises(BadOption, match=r"is given as \w+: give a path"):
            list(transcribe_files(recognizer, wrong))


def test_a_bad_file_is_reported_and_stops_nothing(
    recognizer: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "folder").mkdir()
    paths = [clips[0], tmp_path / "empty.wav", tmp_path / "gone.wav", tmp_path / "folder", clips[1]]
    results = list(transcribe_files(recognizer, list_inputs(paths)))
    assert [result.input.path for result in results] == paths
    reasons = ["", "is empty", "does not exist", "holds no recordings", ""]
    for result, reason in zip(results, reasons, strict=True):
        assert (result.transcript is None) == bool(reason)
        assert (result.error is None) != bool(reason)
        assert reason in (result.error or "")


def test_limits_hold_per_file(recognizer: Recognizer, clips: list[Path]) -> None:
    limits = Limits(max_seconds=4.0)
    results = list(transcribe_files(recognizer, list_inputs(clips), limits))
    assert {result.error is None for result in results} == {True, False}
    assert all("where 4 s are allowed" in result.error for result in results if result.error)


def test_a_wav_without_samples_is_an_empty_transcript(
    recognizer: Recognizer, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "none.wav", np.empty(0, np.float32), 16_000)
    (result,) = transcribe_files(recognizer, list_inputs([tmp_path]))
    assert result.error is None and result.transcript is not None
    assert (result.transcript.text, result.transcript.no_speech) == ("", True)


def test_another_track_may_be_read(recognizer: Recognizer, clips: list[Path]) -> None:
    film = Path(__file__).parents[1] / "data" / "files" / "second_track_default.mp4"
    results = list(
        transcribe_files(recognizer, list_inputs([film, clips[0]]), selection=Selection(track=2))
    )
    assert results[0].transcript == recognizer.transcribe(film)
    assert "has one sound track" in str(results[1].error)


def test_an_unknown_option_is_refused(recognizer: Recognizer, clips: list[Path]) -> None:
    with pytest.raises(BadOption):
        list(transcribe_files(recognizer, list_inputs(clips), decoder="oracle"))


@pytest.mark.slow
def test_files_are_read_as_they_are_needed(recognizer: Recognizer, clips: list[Path]) -> None:
    """However many there are: what waits between the stages is bounded."""
    asked = 0

    def inputs() -> Iterator[Input]:
        nonlocal asked
        for path in itertools.cycle(clips):
            asked += 1
            yield Input(path, Path(path.name))

    results = transcribe_files(recognizer, inputs(), decoder="greedy")
    found = [next(results).input.path for _ in range(len(clips) + 1)]
    assert found == [*clips, clips[0]]
    held, short = asked, 0
    while asked > short:  # until nothing more is read, as nobody takes
        short = asked
        time.sleep(0.5)
    assert held <= asked < 2_000
    results.close()


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the children in /proc")
def test_processes_end_with_whoever_stops_listening(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    before = _children()
    results = transcribe_files(recognizer, itertools.cycle(list_inputs(clips)))  # never all read
    next(results)
    assert _children() > before
    results.close()
    assert _children() == before


ABANDONED = """
import atexit, itertools, sys
from pathlib import Path
from asr.batch import list_inputs, transcribe_files
from asr.runtime import Recognizer

def children():
    lists = Path("/proc/self/task").glob("*/children")
    return [child for path in lists for child in path.read_text().split()]

atexit.register(lambda: print(len(children())))  # called after what is registered later
endless = itertools.cycle(list_inputs(sys.argv[2:]))
results = transcribe_files(Recognizer.load(Path(sys.argv[1]), "cpu"), endless)
next(results)
assert children()
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="reads the children in /proc")
def test_what_nobody_closes_ends_before_python_does(tiny_bundle: Path, clips: list[Path]) -> None:
    # Later, its threads would stand still with their locks, and closing would wait for ever.
    command = [sys.executable, "-c", ABANDONED, str(tiny_bundle), *map(str, clips)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def _children() -> set[str]:
    """Of this process, without those that have ended."""
    lists = Path("/proc/self/task").glob("*/children")
    return {child for path in lists for child in path.read_text().split()}


def test_what_the_model_fails_on_is_named_and_stops_nothing(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    class Fails:
        """The engine of a recogniser that stumbles over one recording."""

        device, batch_seconds = "cpu", recognizer.engine.batch_seconds

        def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
            if any(len(wave) == len(stumbling) for wave in waves):
                raise RuntimeError("out of memory")
            return recognizer.engine(waves)

    stumbling = load(clips[1]).samples
    other = replace(recognizer, engine=Fails())
    results = list(transcribe_files(other, list_inputs(clips[:4]), decoder="greedy"))
    assert [result.transcript is None for result in results] == [False, True, False, False]
    assert results[1].error == f"{clips[1]} fails in the model (out of memory): please report it"


def test_what_a_stage_raises_is_raised_however_late_one_asks(
    recognizer: Recognizer, clips: list[Path]
) -> None:
    ended = threading.Event()

    def finish(_result: Result) -> Result:
        ended.set()
        raise OutputLost("the disk is full")

    inputs, options = list_inputs(clips), recognizer.options(decoder="greedy")
    with Pipeline(recognizer, inputs, options, Limits(), Selection(), finish) as pipeline:
        ended.wait()
        pipeline.end()
        while pipeline.is_at_work:
            pass
        assert not pipeline.is_over
        with pytest.raises(OutputLost, match="the disk is full"):
            pipeline.take()


def test_a_job_that_is_over_leaves_nothing_at_work(
    recognizer: Recognizer, clips: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the system lets its threads end late."""
    monkeypatch.setattr("asr.batch.pipeline._PATIENCE_S", 0.0)
    inputs, options = list_inputs(clips), recognizer.options(decoder="greedy")
    with Pipeline(recognizer, inputs, options, Limits(), Selection()) as pipeline:
        assert sum(1 for _ in iter(pipeline.take, [])) == len(clips)
    assert not pipeline.is_at_work
    assert pipeline.clocks["fetching"].threads == 1  # none of them is in a store


def test_as_many_processes_decode_as_there_are_cores_to_use(tiny_bundle: Path) -> None:
    for threads, jobs, expected in ((1, None, 1), (3, None, 3), (3, 2, 2), (40, None, 10)):
        recognizer = Recognizer.load(tiny_bundle, "cpu", threads=threads)
        options = recognizer.options()
        made = Pipeline(recognizer, [], options, Limits(), Selection(), jobs=jobs)
        assert made.clocks["decoding"].threads == expected


@pytest.mark.slow
def test_a_file_that_changes_while_it_is_read_is_named(
    recognizer: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    growing = tmp_path / "growing.wav"
    speech, rate = soundfile.read(clips[0], dtype="float32")
    soundfile.write(growing, np.tile(speech, 300), rate)
    ended = threading.Event()

    def touch() -> None:
        while not ended.is_set():
            os.utime(growing)

    thread = threading.Thread(target=touch)
    thread.start()
    (result,) = transcribe_files(recognizer, list_inputs([growing]), decoder="greedy")
    ended.set()
    thread.join()
    assert "growing.wav changed while it was read: run the command again" in str(result.error)


def test_no_inputs_are_no_results(recognizer: Recognizer) -> None:
    assert list(transcribe_files(recognizer, [])) == []
