"""Guarantee 1: an utterance does not depend on its batch, or its order, size and padding."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr.audio import load
from asr.bundle import Bundle
from asr.decoding import greedy
from asr.model import AcousticModel, ModelConfig
from asr.model.config import Cell
from asr.model.recurrent import CELLS
from asr.runtime import Engine, LogProbs
from asr.runtime.engine import Wave
from asr.runtime.onnx_engine import OnnxEngine
from asr.runtime.torch_engine import TorchEngine
from asr.text import CharacterTokenizer

LENGTHS = [0, 1, 399, 400, 1_039, 1_040, 5_000, 16_001, 23_456, 40_000]
"""In samples: around the first frames, and up to 2.5 s."""
COMPANY = st.lists(st.integers(0, len(LENGTHS) - 1), min_size=1, max_size=9)
LIMIT = 1e-4
TOKENIZER = CharacterTokenizer()
# Every example checks the same law: a run that differs from the last would only be harder to mend.
FEW = settings(
    max_examples=15,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def waves(clips: list[Path]) -> list[Wave]:
    """Pieces of real speech of each length."""
    speech = np.concatenate([load(clip).samples for clip in clips[:3]])
    starts = range(8_000, len(speech), (len(speech) - 60_000) // len(LENGTHS))
    return [speech[start : start + n] for start, n in zip(starts, LENGTHS, strict=False)]


@pytest.fixture(scope="module")
def engines(tiny_bundle: Path, int8_bundle: Path) -> dict[str, Engine]:
    fp32, int8 = Bundle.open(tiny_bundle), Bundle.open(int8_bundle)
    return {
        "torch": TorchEngine(fp32, "cpu"),
        "onnx fp32, batched": OnnxEngine(fp32, threads=1),
        "onnx fp32, in threads": OnnxEngine(fp32, threads=3),
        "onnx int8": OnnxEngine(int8, threads=2),
    }


def assert_same(alone: LogProbs, among: LogProbs) -> None:
    """`(U, V)` log-probabilities agree, and so do the words and times that they spell."""
    assert alone.shape == among.shape
    np.testing.assert_allclose(among, alone, rtol=0, atol=LIMIT)
    one, other = (
        greedy(log_probs[None], np.array([len(log_probs)]))[0] for log_probs in (alone, among)
    )
    assert (one.units, one.starts, one.ends) == (other.units, other.starts, other.ends)


@pytest.mark.parametrize(
    "name", ["torch", "onnx fp32, batched", "onnx fp32, in threads", "onnx int8"]
)
@FEW
@given(company=COMPANY)
def test_engines(
    name: str, company: list[int], engines: dict[str, Engine], waves: list[Wave]
) -> None:
    engine = engines[name]
    log_probs, lengths = engine([waves[index] for index in company])
    for index, row, length in zip(company, log_probs, lengths.tolist(), strict=True):
        (alone,), (frames,) = engine([waves[index]])
        assert length == frames
        assert_same(alone[:frames], row[:length])


def test_int8_is_the_same_to_the_last_bit(engines: dict[str, Engine], waves: list[Wave]) -> None:
    log_probs, lengths = engines["onnx int8"](waves)
    for wave, row, length in zip(waves, log_probs, lengths.tolist(), strict=True):
        assert np.array_equal(row[:length], engines["onnx int8"]([wave])[0][0])


@pytest.mark.parametrize("normalize", ["corpus", "utterance"])
@pytest.mark.parametrize("cell", list(CELLS))
@FEW
@given(
    company=COMPANY,
    padding=st.sampled_from([0.0, 1.0, -1e9, math.inf, math.nan]),
    more=st.sampled_from([0, 1, 639, 30_000]),
    directions=st.sampled_from([1, 2]),
)
def test_model(
    cell: Cell,
    normalize: str,
    company: list[int],
    padding: float,
    more: int,
    directions: int,
    waves: list[Wave],
) -> None:
    model = tiny_model(cell, normalize, directions)
    chosen = [torch.from_numpy(waves[index]) for index in company]
    wave_lengths = torch.tensor([len(wave) for wave in chosen])
    batch = torch.full((len(chosen), int(wave_lengths.max()) + more), padding)
    for row, wave in zip(batch, chosen, strict=True):
        row[: len(wave)] = wave
    with torch.inference_mode():
        log_probs, lengths = model(batch, wave_lengths)
        for wave, row, length in zip(chosen, log_probs, lengths.tolist(), strict=True):
            alone, (frames,) = model(wave[None], torch.tensor([len(wave)]))
            assert length == frames
            assert_same(alone[0, :frames].numpy(), row[:length].numpy())


def tiny_model(cell: Cell, normalize: str, directions: int = 2) -> AcousticModel:
    """A model whose frames spell a good many different units."""
    config = ModelConfig.from_dict(
        {
            **ModelConfig(cell=cell, layers=2, hidden=16, channels=4).to_dict(),
            "features": {"normalize": normalize},
            "directions": directions,
            "self_conditioning": 1 if normalize == "corpus" else 0,
        }
    )
    torch.manual_seed(11)
    model = AcousticModel(config, TOKENIZER.n_units)
    torch.nn.init.normal_(model.head.weight, std=2.0)
    if model.recurrent.conditioning is not None:
        torch.nn.init.normal_(model.recurrent.conditioning.feedback.weight)
    return model.eval()
