"""Known faults of other toolkits in handling data: none of them is here."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus import survey
from asr.model import ModelConfig
from asr.text import CharacterTokenizer, normalise
from asr.training.objective import ctc

TOKENIZER = CharacterTokenizer()


def manifest(folder: Path, *clips: tuple[float, str]) -> Path:
    """A manifest of tones of so many seconds and their texts."""
    lines = []
    for number, (seconds, text) in enumerate(clips):
        time = np.arange(int(seconds * 16_000)) / 16_000
        soundfile.write(folder / f"{number}.wav", 0.3 * np.sin(2000 * time), 16_000)
        lines.append(json.dumps({"audio": f"{number}.wav", "text": text}))
    path = folder / "m.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_short_clips_are_kept_where_ctc_can_spell_them(tmp_path: Path) -> None:
    """A blunt limit on duration took 36,000 short answers out of a corpus (icefall#580)."""
    path = manifest(tmp_path, (0.2, "no"), (0.2, "no way"), (0.12, "o"), (0.02, "o"))
    found = survey(path, TOKENIZER, lambda *_: None, frames=ModelConfig().frames)
    assert [utterance.line for utterance in found.usable] == [1, 3]
    assert [finding.line for finding in found.errors] == [2, 4]


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 2000])
def test_the_loss_is_finite_wherever_a_text_fits(frames: int) -> None:
    """One frame, as many frames as units, and very many (pytorch#14401, espnet#2669)."""
    units = torch.randint(1, 29, (1, min(frames, 400)))
    units[0, 1:] = torch.where(units[0, 1:] == units[0, :-1], units[0, 1:] % 28 + 1, units[0, 1:])
    same = (units[0, 1:] == units[0, :-1]).sum()
    count = torch.tensor([units.shape[1] - int(same)])
    scores = (10.0 * torch.randn(1, frames, 29)).requires_grad_()
    loss = ctc(scores.log_softmax(-1), torch.tensor([frames]), units, count)
    loss.sum().backward()
    assert loss.isfinite().all() and scores.grad is not None and scores.grad.isfinite().all()


@settings(deadline=None)
@given(st.text(min_size=1, max_size=30))
def test_no_character_vanishes_on_its_way_to_units(text: str) -> None:
    """Each is spelled or named, also that of the first unit (deepspeech.pytorch dropped both)."""
    text = normalise(text)
    unknown = TOKENIZER.unknown(text)
    known = " ".join("".join(char for char in text if char not in unknown).split())
    assert TOKENIZER.decode(TOKENIZER.encode(known)) == known
    assert unknown == {char for char in text if char not in " 'abcdefghijklmnopqrstuvwxyz"}


def test_the_table_has_every_hour(tmp_path: Path) -> None:
    """Hours lost to a forgotten limit went unseen for weeks (NeMo#700)."""
    clips = [(2.0, "fine words here"), (1.0, "naïve"), (0.5, "far too many letters"), (1.5, "")]
    path = manifest(tmp_path, *clips)
    found = survey(path, TOKENIZER, lambda *_: None, frames=ModelConfig().frames)
    rows = [line.rsplit(maxsplit=2) for line in found.table().splitlines()[1:]]
    assert {name: int(lines) for name, lines, _ in rows} == {
        "kept": 1, "empty text": 1, "unknown characters": 1, "unreachable": 1,
    }  # fmt: skip
    hours = {name: float(hours) for name, _, hours in rows if hours != "-"}
    assert hours["kept"] == pytest.approx(2 / 3600, abs=1e-3)
