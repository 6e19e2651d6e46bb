"""Segments of a recording that come while it is read: together they are those of the whole."""

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audio import SAMPLE_RATE, load
from asr.errors import BadAudio, BadOption
from asr.runtime import Recognizer
from asr.runtime.engine import Wave


@pytest.fixture(scope="module")
def recognizer(shipped_bundle: Path) -> Recognizer:
    return Recognizer.load(shipped_bundle, "cpu")


def joined(clips: list[Path], seconds: float) -> Wave:
    """Real clips with pauses of several lengths between them."""
    parts = [np.append(load(clip).samples, np.zeros(4_000 * at)) for at, clip in enumerate(clips)]
    return np.resize(np.concatenate(parts), int(seconds * SAMPLE_RATE)).astype(np.float32)


@pytest.fixture(scope="module")
def long(clips: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of three windows."""
    path = tmp_path_factory.mktemp("long") / "long.flac"
    soundfile.write(path, joined(clips, 640.0), SAMPLE_RATE)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("decoder", ["greedy", "beam"])
def test_the_whole_is_what_transcribe_says(
    recognizer: Recognizer, long: Path, decoder: str
) -> None:
    options = {"decoder": decoder} if decoder == "greedy" else {"decoder": decoder, "beam_size": 8}
    whole = recognizer.transcribe(long, **options)  # type: ignore[arg-type]
    assert tuple(recognizer.stream(long, **options)) == whole.segments  # type: ignore[arg-type]
    if decoder == "greedy":  # loaded sound is read in one go, a long file window by window
        assert recognizer.transcribe(load(long), **options) == whole  # type: ignore[arg-type]
    assert len(whole.segments) > 30 and whole.duration == 640.0


def test_segments_come_before_the_recording_is_read(long: Path, tiny_bundle: Path) -> None:
    class Watched(io.BytesIO):
        """A file that is cut short: only who reads it to its end is told."""

    content = long.read_bytes()
    recognizer = Recognizer.load(tiny_bundle, "cpu", threads=1)  # one window at a time
    segments = recognizer.stream(Watched(content[: len(content) // 8 * 7]))
    first = next(segments)
    assert first.words and first.start < 60
    with pytest.raises(BadAudio, match="truncated"):
        list(segments)


@pytest.mark.parametrize("gain", [1.0, 1e-3])
def test_short_and_quiet_recordings_are_streams_too(
    recognizer: Recognizer, clips: list[Path], gain: float
) -> None:
    samples = load(clips[0]).samples * np.float32(gain)
    whole = recognizer.transcribe((samples, SAMPLE_RATE))
    assert tuple(recognizer.stream((samples, SAMPLE_RATE))) == whole.segments != ()
    assert list(recognizer.stream((samples[:0], SAMPLE_RATE))) == []


def test_channels_and_parts_of_a_stream(recognizer: Recognizer, clips: list[Path]) -> None:
    one, other = (joined([clip], 8.0) for clip in clips[:2])
    both = np.stack([one, other], axis=1), SAMPLE_RATE
    whole = recognizer.transcribe(both, channels="split", start=1.0, duration=6.0)
    streamed = tuple(recognizer.stream(both, channels="split", start=1.0, duration=6.0))
    assert streamed == whole.segments
    assert {segment.channel for segment in streamed} == {1, 2}


def test_what_a_stream_cannot_do_is_refused(recognizer: Recognizer, clips: list[Path]) -> None:
    with pytest.raises(BadOption, match="nbest has no effect on a stream"):
        recognizer.stream(clips[0], decoder="beam", nbest=2)
    with pytest.raises(BadOption, match="have no effect on sound that is loaded"):
        recognizer.stream(load(clips[0]), channels=2)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_recording(
    long: Path, tiny_bundle: Path, tmp_path: Path
) -> None:
    thrice = tmp_path / "thrice.flac"
    samples = load(long).samples
    soundfile.write(thrice, np.tile(samples, 3), SAMPLE_RATE)
    peaks = [peak_mb(path, tiny_bundle) for path in (long, thrice)]
    # The samples alone would take 82 MB more.
    assert peaks[1] - peaks[0] < 40, peaks


def peak_mb(path: Path, bundle: Path) -> float:
    """The most memory that a process of one thread takes for a recording."""
    code = (
        "import resource, sys; from asr.runtime import Recognizer;"
        "recognizer = Recognizer.load(sys.argv[1], 'cpu', threads=1);"
        "recognizer.transcribe(sys.argv[2], decoder='greedy');"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"
    )
    command = [sys.executable, "-c", code, str(bundle), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)
