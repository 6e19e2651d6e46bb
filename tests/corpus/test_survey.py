"""Guarantee 6, for data: every line is usable or named with a reason."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus import Survey, explain, read_manifest, survey
from asr.corpus.check import check_speakers
from asr.corpus.recordings.measurement_file import MeasurementFile, state
from asr.corpus.recordings.measurements import Measurement
from asr.model import ModelConfig
from asr.text import CharacterTokenizer, frames_needed

TOKENIZER = CharacterTokenizer()


def read(path: Path, **more: Any) -> Survey:
    return survey(path, TOKENIZER, lambda *_: None, frames=ModelConfig().frames, **more)


def tone(path: Path, seconds: float, loudness: float = 0.3) -> str:
    time = np.arange(int(seconds * 16000)) / 16000
    soundfile.write(path, np.clip(loudness * np.sin(2000 * time), -1.0, 1.0), 16000)
    return path.name


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A manifest with one line for each kind of fault among twenty good ones."""
    good = [
        {"audio": tone(tmp_path / f"{index}.wav", 2.0), "text": "twenty letters of it"}
        for index in range(20)
    ]
    (tmp_path / "broken.wav").write_bytes(b"RIFF....WAVE")
    tone(tmp_path / "short.wav", 0.5)
    tone(tmp_path / "silent.wav", 2.0, loudness=1e-4)
    tone(tmp_path / "loud.wav", 2.0, loudness=5.0)
    tone(tmp_path / "full.wav", 1.0)
    bad: list[Any] = [
        {"audio": "0.wav", "text": "", "id": "a"},
        {"audio": "0.wav", "text": "naïve", "id": "b"},
        {"audio": "none.wav", "text": "fine"},
        {"audio": "broken.wav", "text": "fine"},
        {"audio": "short.wav", "text": "thirteen char"},
        {"audio": "0.wav", "text": "twenty letters of it"},
        {"audio": "1.wav", "text": "twenty letters of it", "id": "c", "speaker": "heard"},
        {"audio": "1.wav", "text": "twenty letters of it", "id": "d", "duration": 3.0},
        {"audio": "silent.wav", "text": "twenty letters of it"},
        {"audio": "loud.wav", "text": "twenty letters of it"},
        {"audio": "full.wav", "text": "nineteen letters it"},
        {"audio": "1.wav", "text": "i", "id": "e"},
        "nonsense",
    ]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, [*good, *bad])), encoding="utf-8")
    dev = {"audio": "0.wav", "text": "x", "speaker": "heard"}
    (tmp_path / "dev.jsonl").write_text(json.dumps(dev), encoding="utf-8")
    return path


@pytest.mark.parametrize("cached", [False, True])
def test_each_fault_is_found_on_its_line(corpus: Path, tmp_path: Path, cached: bool) -> None:
    cache = tmp_path / "cache" if cached else None
    found = read(corpus, unheard=tmp_path / "dev.jsonl", cache=cache)
    kinds = {(finding.line, finding.kind) for finding in found.findings}
    assert kinds == {
        (21, "empty text"),
        (22, "unknown characters"),
        (23, "missing audio"),
        (24, "undecodable audio"),
        (25, "unreachable"),
        (26, "duplicate id"),
        (27, "shared speaker"),
        (28, "wrong duration"),
        (29, "silent"),
        (30, "clipped"),
        (31, "crowded"),
        (32, "odd rate"),
        (33, "malformed"),
    }
    assert [utterance.line for utterance in found.usable] == [*range(1, 21), *range(28, 33)]
    assert len(found.samples(20)) == found.lengths[20] == 32000
    printed = explain(corpus, found.findings).splitlines()
    assert sum(": error: " in line for line in printed) == 8
    assert sum(": warning: " in line for line in printed) == 5


def test_only_lines_that_are_kept_hold_their_ids(tmp_path: Path) -> None:
    said = {"audio": tone(tmp_path / "a.wav", 2.0), "text": "twenty letters of it"}
    broken = [{"text": "naïve"}, {"text": ""}, {"text": "word after word " * 30}]
    lines = [{**said, **change} for change in (*broken, {}, {})]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    found = read(path)
    assert [utterance.line for utterance in found.usable] == [4]
    (repeated,) = (one.reason for one in found.errors if one.line == 5)
    assert repeated == "the id 'a.wav' is that of line 4"


def test_a_stretch_may_end_a_little_after_its_recording(tmp_path: Path) -> None:
    said = {"audio": tone(tmp_path / "a.wav", 2.5), "text": "twenty letters of it"}
    stretches = [{"start": 0, "end": 200}, {"start": 0.5, "end": 2.8}, {"end": 2.55}]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(json.dumps({**said, **one}) for one in stretches), encoding="utf-8")
    found = read(path)
    assert [utterance.line for utterance in found.usable] == [2, 3]
    assert [(one.line, one.kind) for one in found.findings] == [
        (1, "outside audio"),
        (2, "wrong duration"),
    ]
    assert found.errors[0].reason == (
        "its stretch from 0 s has 200.00 s, and the audio 2.50 s from there on"
    )


@pytest.mark.parametrize("way", ["decoded", "remembered", "cached"])
def test_samples_that_no_sound_has_are_an_error(tmp_path: Path, way: str) -> None:
    """In a development set too; also where they were measured before any rule knew of them."""
    line = {"audio": "wild.wav", "text": "fine"}
    samples = np.zeros(32_000, np.float32)
    samples[5000] = 1e30
    soundfile.write(tmp_path / "wild.wav", samples, 16_000, subtype="FLOAT")
    path, measures = tmp_path / "m.jsonl", tmp_path / "sounds.sqlite"
    path.write_text(json.dumps(line), encoding="utf-8")
    if way == "remembered":
        (utterance,) = read_manifest(path)[0]
        MeasurementFile(measures).write({state(utterance): Measurement(32_000, 1e30, 0.0)})
    cache = tmp_path / "cache" if way == "cached" else None
    found = survey(path, TOKENIZER, lambda *_: None, cache=cache, measures=measures)
    (finding,) = found.findings
    assert finding.kind == "undecodable audio" and finding.is_error and not found.usable
    assert "wild.wav" in finding.reason and "1e+30" in finding.reason


def test_a_development_set_is_held_only_to_what_its_use_needs(corpus: Path) -> None:
    found = survey(corpus, TOKENIZER, lambda *_: None)
    kinds = {finding.kind for finding in found.findings}
    assert kinds == {
        "empty text",
        "unknown characters",
        "missing audio",
        "undecodable audio",
        "duplicate id",
        "malformed",
    }


def test_lines_without_a_speaker_share_none(corpus: Path) -> None:
    usable = read(corpus).usable
    nobody = [utterance for utterance in usable if utterance.speaker is None]
    assert list(check_speakers(nobody, nobody, "dev")) == []


@given(st.text("ab ", min_size=1, max_size=12), st.integers(0, 40))
@settings(deadline=None, max_examples=60)
def test_the_bound_is_exactly_where_ctc_begins_to_have_a_path(text: str, available: int) -> None:
    units = TOKENIZER.encode(text)
    log_probs = torch.zeros(max(available, 1), 1, 29).log_softmax(-1)
    loss = torch.nn.functional.ctc_loss(
        log_probs, torch.tensor([units]), torch.tensor([available]), torch.tensor([len(units)])
    )
    assert bool(loss.isfinite()) == (frames_needed(units) <= available)
