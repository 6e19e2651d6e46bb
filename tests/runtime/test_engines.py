"""Both engines behind the one interface."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.audio import load
from asr.bundle import Bundle
from asr.runtime import Engine
from asr.runtime.onnx_engine import OnnxEngine
from asr.runtime.torch_engine import TorchEngine


@pytest.fixture(scope="module", params=["onnx", "torch"])
def engine(request: pytest.FixtureRequest, tiny_bundle: Path) -> Engine:
    bundle = Bundle.open(tiny_bundle)
    return OnnxEngine(bundle, threads=2) if request.param == "onnx" else TorchEngine(bundle, "cpu")


def test_log_probabilities_and_their_lengths(engine: Engine, clips: list[Path]) -> None:
    waves = [load(clip).samples for clip in clips[:3]]
    log_probs, lengths = engine(waves)
    assert lengths.tolist() == [(len(wave) - 400) // 640 + 1 for wave in waves]
    assert log_probs.shape[:2] == (3, max(lengths.tolist()))
    assert log_probs.dtype == np.float32
    assert lengths.dtype == np.int64
    assert engine.device == "cpu"
    for row, length in zip(log_probs, lengths.tolist(), strict=True):
        total = np.exp(row[:length]).sum(-1)
        assert np.allclose(total, 1.0, rtol=0, atol=1e-4)


def test_waves_shorter_than_a_window_have_no_frames(engine: Engine) -> None:
    short = [np.zeros(samples, dtype=np.float32) for samples in (0, 1, 399)]
    for wave in short:
        assert engine([wave])[1].tolist() == [0]
    _, lengths = engine([*short, np.zeros(400, dtype=np.float32)])
    assert lengths.tolist() == [0, 0, 0, 1]


def test_nothing_in_nothing_out(engine: Engine) -> None:
    log_probs, lengths = engine([])
    assert log_probs.shape[:2] == (0, 0)
    assert lengths.tolist() == []


def test_threads_may_share_an_engine(engine: Engine, clips: list[Path]) -> None:
    waves = [load(clip).samples[:32_000] for clip in clips[:4]]
    alone = [engine([wave])[0] for wave in waves]
    with ThreadPoolExecutor(4) as pool:
        among = list(pool.map(lambda wave: engine([wave])[0], waves * 5))
    for one, other in zip(alone * 5, among, strict=True):
        np.testing.assert_allclose(other, one, rtol=0, atol=1e-5)


def test_cudnn_is_used_without_tf32(tiny_bundle: Path, clips: list[Path]) -> None:
    before = torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32
    engine, seen = TorchEngine(Bundle.open(tiny_bundle), "cpu"), []
    engine._model.register_forward_hook(
        lambda *_: seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32))
    )
    waves = [load(clips[0]).samples] * 8
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda wave: engine([wave]), waves))
    assert seen == [(True, False)] * len(waves)
    assert (torch.backends.cudnn.enabled, torch.backends.cudnn.allow_tf32) == before
