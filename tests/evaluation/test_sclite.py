"""Our word error rates are those of NIST's sclite (Debian's package sctk)."""

import json
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from asr.evaluation import score
from asr.runtime import Recognizer
from asr.text import normalise

ROOT = Path(__file__).parents[2]
CLIPS = ROOT / "tests" / "data" / "clips" / "check-clips.jsonl"

pytestmark = pytest.mark.skipif(
    shutil.which("sctk") is None, reason="NIST's sclite is not installed (Debian: sctk)"
)


def sclite(references: Sequence[str], hypotheses: Sequence[str], folder: Path) -> list[int]:
    """Words, and words right, substituted, deleted and inserted, by sclite."""
    for name, texts in (("ref", references), ("hyp", hypotheses)):
        lines = [f"{text} (speaker-{number:04})\n" for number, text in enumerate(texts)]
        (folder / name).write_text("".join(lines), encoding="utf-8")
    command = ["sctk", "sclite", "-r", "ref", "trn", "-h", "hyp", "trn", "-i", "spu_id",
               "-o", "rsum", "stdout"]  # fmt: skip
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    (total,) = re.findall(r"\| Sum +\|([^|]+)\|([^|]+)\|", done.stdout)
    _, words, right, substituted, deleted, inserted, _, _ = map(int, " ".join(total).split())
    return [words, right, substituted, deleted, inserted]


def test_on_real_clips_the_errors_are_the_same(shipped_bundle: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in CLIPS.read_text("utf-8").splitlines()]
    said = [normalise(line["text"]) for line in lines]
    sources = [CLIPS.parent / line["audio"] for line in lines]
    transcripts = Recognizer.load(shipped_bundle, "cpu").transcribe(sources, decoder="greedy")
    heard = [normalise(transcript.text) for transcript in transcripts]
    ours = score([line["id"] for line in lines], said, heard)
    words, _, *errors = sclite(said, heard, tmp_path)
    assert words == ours.words
    assert sum(errors) == ours.substitutions + ours.deletions + ours.insertions


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_on_made_errors_the_rates_are_the_same(rate: float, tmp_path: Path) -> None:
    """sclite weighs a substitution 4 and the others 3, so it may count an error or two more."""
    random = np.random.default_rng(7)
    said, heard = [], []
    lines = [json.loads(line)["text"] for line in CLIPS.read_text("utf-8").splitlines()]
    everything = " ".join(map(normalise, lines)).split()
    for text in lines * 10:
        words = normalise(text).split()
        said.append(" ".join(words))
        kept: list[str] = []
        for word in words:
            kind = random.choice(["right", "substituted", "deleted", "inserted"],
                                 p=[1 - rate, rate / 2, rate / 4, rate / 4])  # fmt: skip
            kept += {"right": [word], "substituted": [random.choice(everything)], "deleted": [],
                     "inserted": [word, random.choice(everything)]}[str(kind)]  # fmt: skip
        heard.append(" ".join(kept))
    ours = score([str(number) for number in range(len(said))], said, heard)
    words, _, *errors = sclite(said, heard, tmp_path)
    assert words == ours.words
    assert ours.wer <= sum(errors) / words <= ours.wer + 0.001
