"""Corpora in the layouts in which they are downloaded, made of the real clips in tests/data."""

import io
import json
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import soundfile

from asr.audio import SAMPLE_RATE, load
from asr.cli import main

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


@dataclass(frozen=True)
class Done:
    """What a command said, and how it ended."""

    returncode: int
    stdout: str
    stderr: str


def asr(*arguments: object) -> Done:
    """Run a command as the command line does, in this process: torch need not be loaded anew."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with (
        patch.object(sys, "argv", ["asr", *map(str, arguments)]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return Done(code, out.getvalue(), err.getvalue())
