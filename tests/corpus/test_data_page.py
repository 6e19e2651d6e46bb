"""The commands of docs/training.md on data, at smoke size, in the order of the page."""

import json
import re
import shlex
import shutil
from pathlib import Path

import layouts
import numpy as np
import pytest
import soundfile
from commands import asr
from lhotse import CutSet, MonoCut, Recording, SupervisionSegment

from asr.corpus import read_manifest
from asr.corpus.recordings.cache import RecordingCache

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
DATA = PAGE.partition("\n## Data\n")[2].partition("\n## Learning\n")[0]
COMMANDS = [
    line for block in re.findall(r"```sh\n(.*?)```", DATA, re.DOTALL) for line in block.splitlines()
]


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the checkout, with corpora beside it."""
    for name in ("configs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    layouts.librispeech(tmp_path / "corpora", "train-clean-5", layouts.CLIPS[:4])
    layouts.librispeech(tmp_path / "corpora", "dev-clean-2", layouts.CLIPS[4:6], first=90)
    layouts.common_voice(tmp_path / "corpora" / "en", "train", layouts.CLIPS[6:8])
    for folder in ("mine", "unheard"):
        (tmp_path / "corpora" / folder).mkdir()
        audio = tmp_path / "corpora" / folder / "one.opus"
        shutil.copy(layouts.TRAIN / layouts.CLIPS[8]["audio"], audio)
    others(tmp_path)
    audio = tmp_path / "corpora" / "mine" / "one.opus"
    audio.with_suffix(".txt").write_text(layouts.CLIPS[8]["text"], encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("EARSHOT_DATA", raising=False)
    return tmp_path


def others(folder: Path) -> None:
    """Corpora of other programs, a German table, and a cache."""
    corpora, clips = folder / "corpora", layouts.CLIPS[:2]
    layouts.kaldi(corpora / "kaldi", clips)
    sound = layouts.TRAIN / clips[0]["audio"]
    nemo = {"audio_filepath": str(sound), "text": "one"}
    (corpora / "nemo.json").write_text(json.dumps(nemo), encoding="utf-8")
    cut = spoken(layouts.long_recording(corpora / "long", clips)[0])
    CutSet.from_cuts([cut]).to_file(corpora / "cuts.jsonl.gz")
    for name in ("LJSpeech-1.1", "german"):
        layouts.long_recording(corpora / name / "wavs", clips)
    (corpora / "LJSpeech-1.1" / "metadata.csv").write_text("long|one", encoding="utf-8")
    table = "path;text\nwavs/long.wav;Grüße".encode("latin-1")
    (corpora / "german" / "table.csv").write_bytes(table)
    utterances, _ = read_manifest(layouts.TRAIN / "manifest.jsonl")
    RecordingCache.build(folder / "caches" / "sounds", utterances[:1], lambda *_: None)


def spoken(recording: Path) -> MonoCut:
    cut = Recording.from_file(recording).to_cut()
    cut.supervisions = [SupervisionSegment("one", cut.recording_id, 0, cut.duration, text="one")]
    return cut


def test_the_commands_do_what_the_page_says(checkout: Path) -> None:
    assert len(COMMANDS) == 15 and len(set(COMMANDS)) == 15
    for command in COMMANDS:
        program, *arguments = shlex.split(command)
        assert program == "asr"
        done = asr(*arguments)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    written = {path.name for path in (checkout / "manifests").iterdir()}
    assert written == {
        "train-clean-5.jsonl", "dev-clean-2.jsonl", "train.jsonl", "mine.jsonl", "copy.jsonl",
        "kaldi.jsonl", "nemo.jsonl", "cuts.jsonl", "ljspeech.jsonl", "german.jsonl",
        "clean.jsonl", "dev.jsonl", "test.jsonl", "guessed.jsonl",
        "guessed.jsonl.journal", "shards",
    }  # fmt: skip
    assert (checkout / "heard" / "heard.png").is_file()
    assert (checkout / "caches" / "earshot" / "sounds.sqlite").is_file()
    again = asr("check", "manifests/shards", "--dev", "manifests/dev-clean-2.jsonl")
    assert again.returncode == 0 and "kept                        4" in again.stdout


def test_the_config_names_the_development_set(checkout: Path) -> None:
    """A speaker of it in the training set is found without `--dev`."""
    asr("data", "librispeech", "corpora", "manifests")
    train = checkout / "manifests" / "train-clean-5.jsonl"
    with train.open("a", encoding="utf-8") as file:
        line = (checkout / "manifests" / "dev-clean-2.jsonl").read_text(encoding="utf-8")
        file.write(line.splitlines()[0].replace('"90-100-0000"', '"other"') + "\n")
    config = ("--config", "configs/mini_librispeech.yaml")
    done = asr("check", train, *config)
    assert done.returncode == 1
    assert f"{train}:5: error: the speaker '90' is also in dev-clean-2.jsonl" in done.stdout
    assert "shared speaker              1" in done.stdout
    (checkout / "manifests" / "dev-clean-2.jsonl").unlink()
    done = asr("check", train, *config)
    assert done.returncode == 0 and "is not there: no speakers compared" in done.stderr


def test_shards_have_no_clean_manifest(checkout: Path) -> None:
    (checkout / "manifests").mkdir()
    asr("data", "librispeech", "corpora", "manifests")
    asr("data", "shards", "manifests/train-clean-5.jsonl", "shards")
    done = asr("check", "shards", "--write-clean", "clean.jsonl")
    assert done.returncode == 2 and "leave it out" in done.stderr
    address = f"pipe:cat {checkout}/shards/{{000000..000000}}"
    done = asr("check", address)
    assert done.returncode == 0 and done.stdout.split()[2:5] == [
        "kept",
        "4",
        done.stdout.split()[4],
    ]


def test_noise_is_heard_too(checkout: Path) -> None:
    """As `model.augment` of a config may want it, from a manifest without texts."""
    asr("data", "librispeech", "corpora", "manifests")
    hiss = np.random.default_rng(0).standard_normal(16_000) * 0.1
    soundfile.write(checkout / "manifests" / "hiss.wav", hiss, 16_000)
    (checkout / "manifests" / "noise.jsonl").write_text('{"audio": "hiss.wav"}', encoding="utf-8")
    config = checkout / "noise.yaml"
    config.write_text(
        "model: {augment: {noise: {share: 1.0, snr: [0.0, 0.0]}}}\n"
        "data: {train: train-clean-5.jsonl, root: manifests}\n",
        encoding="utf-8",
    )
    done = asr("data", "hear", config, "heard", "--clips", 1)
    assert done.returncode == 0, done.stderr
    recorded, heard = (
        soundfile.read(checkout / "heard" / f"1-{name}.wav")[0] for name in ("recorded", "heard")
    )
    assert (heard**2).mean() == pytest.approx(2 * (recorded**2).mean(), rel=0.1)
    none = asr("data", "hear", "gone.yaml", "other")
    assert none.returncode == 2 and "no config gone.yaml" in none.stderr
    assert not (checkout / "other").exists()
