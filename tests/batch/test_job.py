"""The folder job: every input ends as done or failed with a reason, in order."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import Limits
from asr.batch import Input, list_inputs, transcribe_files
from asr.errors import BadOption
from asr.runtime import Recognizer


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
    results = list(transcribe_files(recognizer, list_inputs([film, clips[0]]), track=2))
    assert results[0].transcript == recognizer.transcribe(film)
    assert "has one sound track" in str(results[1].error)


def test_an_unknown_option_is_refused(recognizer: Recognizer, clips: list[Path]) -> None:
    with pytest.raises(BadOption):
        list(transcribe_files(recognizer, list_inputs(clips), decoder="oracle"))


@pytest.mark.slow
def test_results_come_while_later_files_are_unread(
    recognizer: Recognizer, clips: list[Path], tmp_path: Path
) -> None:
    long = tmp_path / "long.wav"
    samples, rate = soundfile.read(clips[0], dtype="float32")
    soundfile.write(
        long, np.tile(samples, int(recognizer.engine.batch_seconds * rate / len(samples)) + 1), rate
    )
    asked: list[Path] = []

    def inputs() -> Iterator[Input]:
        for path in (clips[0], long, *clips[1:] * 3):
            asked.append(path)
            yield Input(path, Path(path.name))

    results = transcribe_files(recognizer, inputs())
    assert next(results).input.path == clips[0] and len(asked) <= 6 < len(clips) * 3
    assert [result.input.path for result in results] == [long, *clips[1:] * 3]


def test_no_inputs_are_no_results(recognizer: Recognizer) -> None:
    assert list(transcribe_files(recognizer, [])) == []
