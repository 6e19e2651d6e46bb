"""`asr calibrate`: fits confidence and the decision on speech, and writes them to a bundle."""

import json
import shutil
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.bundle import Bundle
from asr.cli import main
from asr.cli.app import app
from asr.errors import BadData, BadOption
from asr.fitting import calibrate, speech_bounds
from asr.runtime import Recognizer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "data" / "clips" / "check-clips.jsonl"
RATE = 16_000


@pytest.fixture
def bundle(shipped_bundle: Path, tmp_path: Path) -> Path:
    """The shipped bundle without its calibration, its language model not heard.

    Of so few clips it would else get too few words wrong.
    """
    folder = Path(shutil.copytree(shipped_bundle, tmp_path / "bundle"))
    info = json.loads((folder / "bundle.json").read_text())
    info.pop("calibration", None)
    info["decoding"] |= {"lm_weight": 0.0, "unknown_price": 0.0}
    (folder / "bundle.json").write_text(json.dumps(info))
    return folder


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """A manifest of sounds that are not speech but make this model spell something."""
    generator = np.random.default_rng(2)
    manifest = tmp_path / "noise.jsonl"
    lines = []
    for index in range(24):
        time = np.arange(2 * RATE) / RATE
        hertz = generator.uniform(100, 1_000, size=(4, 1))
        sound = np.sin(2 * np.pi * hertz * time) * np.sin(2 * np.pi * 3 * time) ** 8
        sound = np.tanh(6 * sound.sum(axis=0)) * 0.9
        path = tmp_path / f"noise-{index:03}.wav"
        with wave.open(str(path), "wb") as writer:
            writer.setparams((1, 2, RATE, 0, "NONE", ""))
            writer.writeframes((32_000 * sound).astype("<i2").tobytes())
        lines.append(json.dumps({"audio": path.name, "id": path.stem}))
    manifest.write_text("\n".join(lines))
    return manifest


def test_the_command_writes_what_the_recogniser_reads(
    bundle: Path,
    noise: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = Recognizer.load(bundle, "cpu").transcribe(CLIPS.parent / "84-121123-0004.opus")
    arguments = ["calibrate", CLIPS, "--noise", noise, "--without", "-007", "--bundle", bundle]
    monkeypatch.setattr(sys, "argv", ["asr", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    printed = capsys.readouterr().out
    assert stopped.value.code in (0, None)
    assert "AUC" in printed and "taken for noise" in printed
    calibrations = Bundle.open(bundle).info.calibration
    assert set(calibrations) == {"greedy", "beam"}
    assert abs(calibrations["beam"]["end_offset"]) <= 0.1
    found = Recognizer.load(bundle, "cpu").transcribe(CLIPS.parent / "84-121123-0004.opus")
    assert found.text == before.text
    assert found.confidence != before.confidence
    assert "was fitted to development speech" in (bundle / "README.md").read_text()


def test_recordings_are_left_out_of_noise_alone(bundle: Path) -> None:
    done = CliRunner().invoke(
        app, ["calibrate", str(CLIPS), "--without", "-007", "--bundle", str(bundle)]
    )
    assert isinstance(done.exception, BadOption)
    assert "--without has no effect without --noise" in str(done.exception)


def test_confidence_is_about_as_high_as_words_are_right(bundle: Path) -> None:
    found = calibrate(Recognizer.load(bundle, "cpu"), [CLIPS])
    for fitted in found.values():
        assert fitted.after.auc > 0.6
        assert fitted.after.ece < 0.25  # of some eighty words
        assert fitted.calibration.speech is None  # no noise was given to tell speech from
        assert (fitted.lost, fitted.noisy) == (0.0, (0, 0, 0))


def test_recordings_that_cannot_be_read_are_named_and_left_out(
    bundle: Path, noise: Path, tmp_path: Path
) -> None:
    rows = [json.loads(line) for line in CLIPS.read_text().splitlines()]
    for row in rows:
        row["audio"] = str((CLIPS.parent / row["audio"]).resolve())
    rows.insert(1, {"audio": "gone.wav", "text": "gone"})
    speech = tmp_path / "speech.jsonl"
    speech.write_text("\n".join(map(json.dumps, rows)))
    broken = json.loads(noise.read_text().splitlines()[2])["audio"]
    (noise.parent / broken).write_text("no sound")
    given = ["calibrate", str(speech), "--noise", str(noise), "--bundle", str(bundle)]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 1, done.output
    first, second, last = done.stderr.splitlines()
    assert f"{speech}:2: " in first and "does not exist" in first
    assert f"{noise}:3: " in second and "not a recording" in second
    assert last == f"written into {bundle}" and Bundle.open(bundle).info.calibration
    with pytest.raises(BadData, match=r"speech\.jsonl:2: .*gone\.wav does not exist"):
        calibrate(Recognizer.load(bundle, "cpu"), [speech])


@pytest.mark.parametrize("unread", ["speech", "noise"])
def test_where_no_recording_can_be_read_nothing_is_written(
    bundle: Path, noise: Path, tmp_path: Path, unread: str
) -> None:
    before, gone = bundle.joinpath("bundle.json").read_bytes(), tmp_path / "gone.jsonl"
    gone.write_text('{"audio": "gone.wav", "text": "gone"}\n')
    speech, noise = (gone, noise) if unread == "speech" else (CLIPS, gone)
    given = ["calibrate", str(speech), "--noise", str(noise), "--bundle", str(bundle)]
    done = CliRunner().invoke(app, given, standalone_mode=False)
    assert isinstance(done.exception, BadData)
    assert str(done.exception).endswith(
        "gone.jsonl cannot be calibrated on: none of the recordings can be read."
    )
    assert bundle.joinpath("bundle.json").read_bytes() == before


def test_a_clip_counts_once(bundle: Path, tmp_path: Path) -> None:
    recognizer = Recognizer.load(bundle, "cpu")
    with pytest.raises(BadData, match=r"names 18 clips that .* has named before.*: name each once"):
        calibrate(recognizer, [CLIPS, CLIPS])
    one = spoken_by(tmp_path / "one.jsonl", ["a"])
    with pytest.raises(BadData, match="names 1 clip that"):
        calibrate(recognizer, [CLIPS, one])


def spoken_by(manifest: Path, speakers: Sequence[str]) -> Path:
    """A manifest of the first clips, with these speakers."""
    rows = [json.loads(line) for line in CLIPS.read_text().splitlines()[: len(speakers)]]
    for row, speaker in zip(rows, speakers, strict=True):
        row["audio"], row["speaker"] = str((CLIPS.parent / row["audio"]).resolve()), speaker
    manifest.write_text("\n".join(map(json.dumps, rows)))
    return manifest


@pytest.mark.parametrize("speakers", [["a", "b"], [*"a" * 17, "b"]])
def test_too_little_speech_of_one_half_is_named(
    speakers: list[str], bundle: Path, tmp_path: Path
) -> None:
    few = spoken_by(tmp_path / "few.jsonl", speakers)
    with pytest.raises(BadData, match="give more speech"):
        calibrate(Recognizer.load(bundle, "cpu"), [few])


def test_the_clips_of_one_speaker_are_halved(bundle: Path, tmp_path: Path) -> None:
    one = spoken_by(tmp_path / "one.jsonl", ["a"] * 18)
    fitted = calibrate(Recognizer.load(bundle, "cpu"), [one])["greedy"]
    assert 0 < fitted.silent[2] < 18


def test_speech_bounds_are_where_the_sound_is() -> None:
    generator = np.random.default_rng(0)
    samples = 1e-4 * generator.standard_normal(3 * RATE)
    samples[RATE : 2 * RATE] += 0.1 * generator.standard_normal(RATE)
    samples[int(2.7 * RATE)] = 0.9  # a click is no speech
    begin, end = speech_bounds(samples.astype(np.float32))
    assert (begin, end) == (pytest.approx(1.0, abs=0.02), pytest.approx(2.0, abs=0.02))


@pytest.mark.parametrize("samples", [1, 159, 16_000])
def test_speech_bounds_of_silence_lie_inside(samples: int) -> None:
    begin, end = speech_bounds(np.zeros(samples, np.float32))
    assert 0.0 <= begin < end <= samples / RATE
