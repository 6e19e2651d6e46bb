"""Corpora in the layouts in which they are downloaded, made of the real clips in tests/data."""

import json
from pathlib import Path

import numpy as np
import soundfile

from asr.audio import SAMPLE_RATE, load

TRAIN = Path(__file__).parents[1] / "data" / "train"
CLIPS = [
    json.loads(line) for line in (TRAIN / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
]


def librispeech(root: Path, subset: str, clips: list[dict[str, str]], first: int = 1) -> Path:
    """The folder LibriSpeech, with SUBSET/SPEAKER/CHAPTER/*.flac; speakers count from `first`."""
    for number, clip in enumerate(clips, start=first):
        chapter = root / "LibriSpeech" / subset / str(number) / "100"
        chapter.mkdir(parents=True)
        name = f"{number}-100-0000"
        samples = load(TRAIN / clip["audio"]).samples
        soundfile.write(chapter / f"{name}.flac", samples, SAMPLE_RATE)
        text = f"{name} {clip['text']}\n"
        (chapter / f"{number}-100.trans.txt").write_text(text, encoding="utf-8")
    return root / "LibriSpeech"


def common_voice(root: Path, split: str, clips: list[dict[str, str]]) -> Path:
    """A language's folder: SPLIT.tsv beside clips/*.mp3."""
    (root / "clips").mkdir(parents=True)
    rows = ["client_id\tpath\tsentence_id\tsentence\tup_votes\tage\tgender\taccents"]
    for number, clip in enumerate(clips):
        name = f"common_voice_en_{number}.mp3"
        samples = load(TRAIN / clip["audio"]).samples
        soundfile.write(root / "clips" / name, samples, SAMPLE_RATE, format="MP3")
        rows.append(f'c{number}\t{name}\ts\t"{clip["text"]}"\t2\ttwenties\t\tUS English')
    (root / f"{split}.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return root


def long_recording(folder: Path, clips: list[dict[str, str]]) -> tuple[Path, list[float]]:
    """One file with all clips, and the seconds at which they meet, from 0 to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    sounds = [load(TRAIN / clip["audio"]).samples for clip in clips]
    soundfile.write(folder / "long.wav", np.concatenate(sounds), SAMPLE_RATE)
    ends = np.cumsum([len(samples) for samples in sounds]) / SAMPLE_RATE
    return folder / "long.wav", [0.0, *ends.tolist()]


def kaldi(root: Path, clips: list[dict[str, str]]) -> Path:
    """A data folder with segments of one recording."""
    recording, times = long_recording(root / "audio", clips)
    tables: dict[str, list[str]] = {"wav.scp": [f"rec1 audio/{recording.name}"]}
    for number, clip in enumerate(clips):
        tables.setdefault("text", []).append(f"utt{number} {clip['text']}")
        tables.setdefault("utt2spk", []).append(f"utt{number} spk{number}")
        segment = f"utt{number} rec1 {times[number]:.4f} {times[number + 1]:.4f}"
        tables.setdefault("segments", []).append(segment)
    for name, lines in tables.items():
        (root / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return root
