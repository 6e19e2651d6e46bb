"""Guarantee 2: a long recording cut into windows reads as in one pass."""

from dataclasses import replace
from pathlib import Path

import jiwer
import numpy as np
import pytest
import torch

from asr.audio import load
from asr.bundle import Bundle
from asr.runtime import Engine, LogProbs, Recognizer
from asr.runtime.engine import Wave
from asr.runtime.lattices import lattices
from asr.runtime.onnx_engine import OnnxEngine
from asr.runtime.torch_engine import TorchEngine
from asr.runtime.windows import Grid, cut

MOST_WORDS = 0.001
"""Share of words that may differ."""


def joined(clips: list[Path], seconds: float) -> Wave:
    """One recording of `seconds` made of real clips."""
    speech = np.concatenate([load(clip).samples for clip in clips])
    return np.resize(speech, int(seconds * 16_000))


def one_pass(engine: Engine, wave: Wave) -> LogProbs:
    log_probs, lengths = engine([wave])
    return log_probs[0, : int(lengths[0])]


@pytest.mark.parametrize("more", [0, 1, 239, 240, 399, 400, 639])
def test_joined_windows_have_the_frames_of_one_pass(
    more: int, tiny_bundle: Path, clips: list[Path]
) -> None:
    bundle = Bundle.open(tiny_bundle)
    engine = OnnxEngine(bundle)
    grid = replace(Grid.of(bundle), longest=75, context=25)
    wave = joined(clips, 10)[: 9 * 16_000 + more]
    assert len(cut(len(wave), grid)) > 2
    (log_probs,) = lattices(engine, [wave], grid)
    assert log_probs.shape == one_pass(engine, wave).shape


def test_log_probabilities_are_those_of_one_pass(tiny_bundle: Path, clips: list[Path]) -> None:
    bundle = Bundle.open(tiny_bundle)
    engine = TorchEngine(bundle, "cpu")
    with torch.no_grad():
        for weight in engine._model.recurrent.layers.parameters():
            weight.div_(3.0)  # a memory that fades within the context
    wave = joined(clips, 80)
    whole = one_pass(engine, wave)
    grid = replace(Grid.of(bundle), longest=750, context=100)  # 30 s, 4 s of context
    (log_probs,) = lattices(engine, [wave], grid)
    # The log-probabilities run to -25; what the layers remember over the context is far less.
    np.testing.assert_allclose(log_probs, whole, rtol=0, atol=1e-3)


@pytest.mark.slow
def test_words_are_those_of_one_pass(shipped_bundle: Path, clips: list[Path]) -> None:
    seconds = 600.0  # to both sides of the seam as much as a window keeps
    recognizer = Recognizer.load(shipped_bundle, "cpu")
    bundle = recognizer.bundle
    # In float32: int8 takes one scale for all frames that it sees, so it would blur what is asked.
    engine = TorchEngine(bundle, "cpu")
    wave = joined(clips, seconds)
    (log_probs,) = lattices(engine, [wave], Grid.of(bundle))
    both = [one_pass(engine, wave), log_probs]
    whole, windows = recognizer.read(both, [seconds, seconds], recognizer.options())
    assert len(whole.words) > seconds
    assert jiwer.wer(whole.text, windows.text) <= MOST_WORDS
