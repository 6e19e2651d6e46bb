"""Lines that are a stretch of a long recording: read alone, as if they were cut out."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import asr
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.audio import SAMPLE_RATE, Audio, load, load_selected, load_stretch
from asr.audio.seeking import around
from asr.corpus import Finding, read_manifest, survey
from asr.corpus.manifest import read_line
from asr.errors import BadOption
from asr.options import Selection
from asr.text import CharacterTokenizer

TRAIN = Path(__file__).parents[1] / "data" / "train"
TEXTS = ["one of them", "and another", "the last"]


@pytest.fixture(scope="module")
def speech() -> Audio:
    return load(next(TRAIN.glob("*.opus")))


def write(path: Path, audio: Audio, rate: int) -> Path:
    """A file of two channels at some rate."""
    import soxr

    samples = soxr.resample(audio.samples, SAMPLE_RATE, rate)
    soundfile.write(path, np.stack([samples, samples * 0.5], 1), rate)
    return path


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
def test_a_stretch_is_that_of_the_whole(
    speech: Audio, tmp_path: Path, suffix: str, rate: int
) -> None:
    path = write(tmp_path / f"long.{suffix}", speech, rate)
    for start, end in ((0.0, 0.5), (0.7, 1.2), (1.0, 60.0), (0.3333, 0.9999)):
        whole = load_selected(path, Selection(start=start, duration=end - start))[0].samples
        part = load_stretch(path, start, end).samples
        assert len(part) == pytest.approx(len(whole), abs=1)
        n = min(len(part), len(whole))
        np.testing.assert_allclose(part[:n], whole[:n], atol=1e-4)
    with pytest.raises(BadOption, match="start 99 is not within"):
        load_stretch(path, 99.0, 100.0)
    assert load_stretch(path).duration == load(path).duration


def test_nothing_before_a_stretch_is_decoded_where_a_seek_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "hours.wav"
    with soundfile.SoundFile(path, "w", 16_000, 1) as file:
        for second in range(600):
            file.write(np.full(16_000, second / 1000))
    found = around(path, 500.0, 501.0)
    assert found is not None and len(found[0][1]) < 2 * 16_000
    assert load_stretch(path, 500.0, 501.0).samples.mean() == pytest.approx(0.5, abs=1e-4)
    shutil.copy(next(TRAIN.glob("*.opus")), tmp_path / "clip.opus")
    assert around(tmp_path / "clip.opus", 0.5, 1.0) is None


def line(**values: Any) -> Any:
    return read_line(json.dumps({"audio": "a.wav", "text": "x", **values}), 1, Path())[0]


@given(st.floats(0, 1e4), st.floats(1e-3, 1e4))
@settings(max_examples=50)
def test_a_stretch_is_named_in_two_ways(start: float, length: float) -> None:
    by_end, by_length = line(start=start, end=start + length), line(offset=start, duration=length)
    if start + length > start:
        assert (by_end.start, by_end.end) == (by_length.start, by_length.end) == (
            start, start + length,
        )  # fmt: skip
        assert by_end.id == by_length.id != line().id


def test_a_duration_alone_names_no_stretch() -> None:
    assert not line(duration=2.0).is_part and line(duration=2.0).duration == 2.0
    assert line(end=2.0).is_part and line(end=2.0).duration == 2.0
    assert line(start=1).end is None


@pytest.mark.parametrize(
    "values, reason",
    [
        ({"start": "soon"}, "`start` 'soon' is not a number"),
        ({"start": -1}, "`start` -1 is not"),
        ({"end": True}, "`end` True is not"),
        ({"start": 2, "end": 2}, "end 2 s is not after its start 2 s"),
        ({"start": 2, "offset": 1, "end": 3}, "both `start` and `offset`"),
    ],
)
def test_a_stretch_that_cannot_be_is_named(values: dict[str, Any], reason: str) -> None:
    found = line(**values)
    assert isinstance(found, Finding) and reason in found.reason


@pytest.mark.parametrize("cached", [False, True])
def test_stretches_are_checked_and_trained_on_as_clips_of_their_own(
    speech: Audio, tmp_path: Path, cached: bool
) -> None:
    path = write(tmp_path / "long.wav", speech, 16_000)
    parts = [(0.0, 1.0), (1.0, 1.75), (50.0, 51.0)]
    lines = [
        json.dumps({"audio": path.name, "text": text, "start": start, "end": end})
        for text, (start, end) in zip(TEXTS, parts, strict=True)
    ]
    (tmp_path / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = survey(
        tmp_path / "m.jsonl",
        CharacterTokenizer(),
        lambda *_: None,
        cache=tmp_path / "cache" if cached else None,
    )
    assert [finding.line for finding in found.errors] == [3]
    assert "start 50 is not within" in found.errors[0].reason
    assert found.lengths.tolist() == [16_000, 12_000]
    expected = load(path).samples[16_000:28_000]
    np.testing.assert_allclose(found.samples(1), expected, atol=1.1 / 32768)


def test_a_copied_manifest_and_shards_keep_stretches(speech: Audio, tmp_path: Path) -> None:
    path = write(tmp_path / "long.wav", speech, 16_000)
    values = {"audio": path.name, "text": "hello", "offset": 0.5, "duration": 1.0}
    (tmp_path / "m.jsonl").write_text(json.dumps(values), encoding="utf-8")
    assert asr("data", "jsonl", tmp_path / "m.jsonl", tmp_path / "b" / "copy.jsonl").returncode == 0
    (copied,), findings = read_manifest(tmp_path / "b" / "copy.jsonl")
    assert (copied.start, copied.end) == (0.5, 1.5) and not findings
    done = asr("data", "shards", tmp_path / "b" / "copy.jsonl", tmp_path / "shards")
    assert done.returncode == 0, done.stderr
    found = survey(tmp_path / "shards", CharacterTokenizer(), lambda *_: None)
    assert found.lengths.tolist() == [16_000]
    done = asr("data", "pseudo-label", tmp_path / "m.jsonl", tmp_path / "guessed.jsonl")
    assert done.returncode == 2 and "is a stretch of" in done.stderr
