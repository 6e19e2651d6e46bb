"""`asr data hear`: the augmented audio and features of training, as files."""

import json
from pathlib import Path

import pytest
import torch
from full_disk import full_disk
from runs import TRAIN

from asr.audio import load
from asr.errors import BadData, BadOption
from asr.training.command import plan
from asr.training.preview import PICTURE, preview, write_previews

AUGMENT = """
model:
  network: {layers: 1, hidden: 8, channels: 2}
  augment:
    speed: {factors: [0.9]}
    gain: {decibels: [-12.0, -12.0]}
    masks: {frequency_masks: 1, frequency_width: 30, time_share: 0}
data: {train: manifest.jsonl, dev: manifest.jsonl}
"""


def config(folder: Path, text: str = AUGMENT) -> list[str]:
    path = folder / "config.yaml"
    path.write_text(text, encoding="utf-8")
    return ["--config", str(path), "--data.root", str(TRAIN)]


@pytest.mark.slow
def test_examples_are_what_the_config_says(tmp_path: Path) -> None:
    module, data = plan.built(config(tmp_path))
    examples = preview(module, data, clips=3, seed=1)
    write_previews(examples, tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {PICTURE} | {
        f"{n}-{what}.wav" for n in (1, 2, 3) for what in ("recorded", "heard")
    }
    assert (tmp_path / "out" / PICTURE).read_bytes().startswith(b"\x89PNG")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    with full_disk(), pytest.raises(BadOption, match="cannot be written"):
        write_previews(examples, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == kept
    for number, example in enumerate(examples, start=1):
        recorded = load(example.utterance.audio).samples
        before = load(tmp_path / "out" / f"{number}-recorded.wav").samples
        after = load(tmp_path / "out" / f"{number}-heard.wav").samples
        assert abs(recorded - before).max() < 1e-4
        assert len(after) == -(-len(before) * 10 // 9)
        assert float((after**2).mean() / (before**2).mean()) == pytest.approx(10**-1.2, rel=0.05)
        assert not (example.features[0] == 0).all(0).any()
        masked = (example.features[1] == 0).all(0)
        assert 0 < int(masked.sum()) <= 30 or torch.equal(masked, torch.zeros(80, dtype=torch.bool))
    again = preview(module, data, clips=3, seed=1)
    assert all(torch.equal(a.waves[1], b.waves[1]) for a, b in zip(examples, again, strict=True))


def test_what_cannot_be_heard_is_said(tmp_path: Path) -> None:
    plain = "model: {network: {layers: 1, hidden: 8}}\ndata: {train: manifest.jsonl}\n"
    with pytest.raises(BadOption, match=r"no model\.augment"):
        preview(*plan.built(config(tmp_path, plain)), clips=1, seed=1)
    module, data = plan.built([*config(tmp_path), "--data.corpora", "[none]"])
    with pytest.raises(BadData, match="no line is left"):
        preview(module, data, clips=2, seed=1)
    line = {"audio": "gone.wav", "text": "x"}
    (tmp_path / "manifest.jsonl").write_text(json.dumps(line), encoding="utf-8")
    module, data = plan.built([*config(tmp_path)[:2], "--data.root", str(tmp_path)])
    with pytest.raises(BadData, match=r"gone\.wav.*asr check"):
        preview(module, data, clips=2, seed=1)
