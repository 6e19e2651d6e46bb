"""Guarantee 9: no speech, no words; and speech is kept."""

import json
import os
from pathlib import Path

import jiwer
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.audio import load
from asr.bundle import Bundle
from asr.runtime import Recognizer

RATE = 16_000
TIME = np.arange(3 * RATE) / RATE
NOISE = Path(__file__).parents[1] / "data" / "noise"
CORPUS = os.environ.get("EARSHOT_DATA") or None
UNSEEN = "-045"
"""How the ids of noise end that nothing is trained or tuned on."""


@pytest.fixture(scope="module")
def recognizer(shipped_bundle: Path) -> Recognizer:
    return Recognizer.load(shipped_bundle, "cpu")


@pytest.fixture(params=["greedy", "beam"])
def decoder(request: pytest.FixtureRequest, shipped_bundle: Path) -> str:
    if request.param not in Bundle.open(shipped_bundle).info.calibration:
        pytest.skip(f"the bundle is not calibrated for {request.param}: see `asr calibrate`")
    return str(request.param)


def text(recognizer: Recognizer, samples: NDArray[np.float64], decoder: str) -> str:
    found = recognizer.transcribe((samples.astype(np.float32), RATE), decoder=decoder)
    assert found.no_speech == (found.text == "") == (not found.words)
    return found.text


def hum(mains: float) -> NDArray[np.float64]:
    return sum(np.sin(2 * np.pi * mains * harmonic * TIME) / harmonic for harmonic in range(1, 20))


RANDOM = np.random.default_rng(9).standard_normal(len(TIME))
SOUNDS = {
    "digital silence": 0 * TIME,
    "one click": np.where(TIME == 1.0, 0.9, 0.0),
    "an offset": 0 * TIME + 0.3,
    "hum of 50 Hz": 0.1 * hum(50),
    "hum of 60 Hz": 0.3 * hum(60),
    "faint white noise": 1e-4 * RANDOM,
    "white noise": 0.02 * RANDOM,
    "loud white noise": 0.3 * RANDOM,
    "rumble": 0.002 * np.cumsum(RANDOM),
    "a sweep": 0.3 * np.sin(2 * np.pi * (100 * TIME + 600 * TIME**2)),
    "a dial tone": 0.2 * np.sin(2 * np.pi * 350 * TIME) + 0.2 * np.sin(2 * np.pi * 440 * TIME),
}


@pytest.mark.slow
@pytest.mark.parametrize("sound", SOUNDS)
def test_sounds_say_nothing(sound: str, recognizer: Recognizer, decoder: str) -> None:
    assert text(recognizer, SOUNDS[sound], decoder) == ""


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(hertz=st.floats(20, 7_900), level=st.floats(-60, 0), phase=st.floats(0, 6.28))
def test_tones_say_nothing(
    recognizer: Recognizer, decoder: str, hertz: float, level: float, phase: float
) -> None:
    tone = 10 ** (level / 20) * np.sin(2 * np.pi * hertz * TIME + phase)
    assert text(recognizer, tone, decoder) == ""


def test_recorded_noise_says_nothing(recognizer: Recognizer, decoder: str) -> None:
    clips = list(NOISE.glob("*.opus"))
    assert clips
    assert [one.text for one in recognizer.transcribe(clips, decoder=decoder)] == [""] * len(clips)


@pytest.mark.skipif(CORPUS is None, reason="needs the corpora of EARSHOT_DATA")
def test_noise_that_nothing_was_tuned_on_says_nothing(recognizer: Recognizer, decoder: str) -> None:
    lines = (Path(str(CORPUS)) / "noise.jsonl").read_text().splitlines()
    clips = {one["id"]: Path(str(CORPUS)) / one["audio"] for one in map(json.loads, lines)}
    unseen = {name: path for name, path in clips.items() if name.endswith(UNSEEN)}
    assert len(unseen) == 8
    found = recognizer.transcribe(list(unseen.values()), decoder=decoder)
    said = {name: one.text for name, one in zip(unseen, found, strict=True) if one.text}
    assert said == {}


def test_speech_is_kept(recognizer: Recognizer, decoder: str, clips: list[Path]) -> None:
    for one in recognizer.transcribe(clips, decoder=decoder):
        assert not one.no_speech


@pytest.mark.parametrize("start", [0.4, 2.7])
def test_a_few_words_alone_are_speech(
    recognizer: Recognizer, decoder: str, clips: list[Path], start: float
) -> None:
    """Two parts of a clip, with the pause between them: five words, and the last three."""
    whole = load(next(clip for clip in clips if clip.stem == "1272-141231-0000")).samples
    part = whole[round(start * RATE) : round((start + 1.7) * RATE)]
    assert recognizer.transcribe((part, RATE), decoder=decoder).words


@pytest.mark.parametrize("decibels", [40, 50, 60])
def test_quiet_speech_is_speech(
    recognizer: Recognizer, decoder: str, clips: list[Path], decibels: float
) -> None:
    """As an ordinary level reads it, but for what the features' floor takes from that."""
    level = np.float32(10 ** (-decibels / 20))
    audios = [load(clip).samples for clip in clips]
    quiet = recognizer.transcribe([(audio * level, RATE) for audio in audios], decoder=decoder)
    usual = recognizer.transcribe([(audio, RATE) for audio in audios], decoder=decoder)
    assert not any(one.no_speech for one in quiet)
    said, heard = " ".join(one.text for one in usual), " ".join(one.text for one in quiet)
    # Of letters: greedy words change as soon as one of their letters does.
    assert jiwer.cer(said, heard) < 0.05


@pytest.mark.parametrize("sound", [name for name in SOUNDS if "silence" not in name])
@pytest.mark.parametrize("decibels", [50, 80])
def test_faint_sounds_say_nothing(
    sound: str, recognizer: Recognizer, decoder: str, decibels: float
) -> None:
    assert text(recognizer, SOUNDS[sound] * 10 ** (-decibels / 20), decoder) == ""


def test_faint_recorded_noise_says_nothing(recognizer: Recognizer, decoder: str) -> None:
    clips = [load(clip).samples * np.float32(0.003) for clip in NOISE.glob("*.opus")]
    rounded = [np.round(clip * 32_768) / np.float32(32_768) for clip in clips]  # as 16 bits are
    found = recognizer.transcribe([(clip, RATE) for clip in [*clips, *rounded]], decoder=decoder)
    assert [one.text for one in found] == [""] * len(found)


def test_rounding_says_nothing(recognizer: Recognizer, decoder: str) -> None:
    for least in (0.3, 0.5, 1.0):
        assert text(recognizer, np.round(least * RANDOM) / 32_768, decoder) == ""


def test_speech_amid_noise_is_heard_where_it_is(
    recognizer: Recognizer, decoder: str, clips: list[Path]
) -> None:
    speech = load(clips[0]).samples.astype(np.float64)
    quiet = 3e-4 * np.random.default_rng(4).standard_normal(60 * RATE)
    quiet[20 * RATE : 20 * RATE + len(speech)] += speech
    found = recognizer.transcribe((quiet.astype(np.float32), RATE), decoder=decoder)
    assert found.words
    for word in found.words:
        assert 19.8 <= word.start < word.end <= 20.3 + len(speech) / RATE
