import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchaudio.functional import melscale_fbanks

from asr.model import AcousticModel, FeatureConfig, ModelConfig
from asr.model.features import LogMel, mel_filters
from asr.model.lengths import flip_by_length

SMALL = ModelConfig(layers=1, hidden=8, channels=2)


def test_mel_filters_are_the_known_ones() -> None:
    known = melscale_fbanks(257, 20.0, 8000.0, 80, 16000, norm=None, mel_scale="htk")
    assert torch.allclose(mel_filters(80, 512), known, atol=1e-5)


@pytest.mark.parametrize("normalize", ["corpus", "utterance"])
def test_a_louder_band_is_a_larger_feature(normalize: str) -> None:
    features = LogMel(FeatureConfig(normalize=normalize))  # type: ignore[arg-type]
    time = torch.arange(16000) / 16000
    low, high = torch.sin(2 * torch.pi * 300 * time), torch.sin(2 * torch.pi * 3000 * time)
    wave = torch.cat([low, high])[None]
    x, lengths = features(wave, torch.tensor([32000]))
    assert lengths.tolist() == [198]
    assert x[0, :90].mean(0).argmax() < x[0, 110:].mean(0).argmax()


@given(st.integers(0, 3000))
@settings(deadline=None, max_examples=40)
def test_lengths_are_exactly_the_frames_that_come_out(samples: int) -> None:
    model = AcousticModel(SMALL, n_units=5)
    with torch.inference_mode():
        log_probs, lengths = model(torch.zeros(1, samples), torch.tensor([samples]))
    assert lengths.tolist() == [SMALL.frames(samples)]
    assert log_probs.shape[1] == max(1, int(lengths))  # a lone empty clip has one masked frame
    windows = max(0, (samples - 400) // 160 + 1)
    assert int(lengths) == math.ceil(math.ceil(windows / 2) / 2)


def test_log_probs_are_distributions() -> None:
    log_probs, _ = AcousticModel(SMALL, n_units=5)(torch.randn(2, 8000), torch.tensor([8000, 4000]))
    assert torch.allclose(log_probs.exp().sum(-1), torch.ones(2, log_probs.shape[1]), atol=1e-5)


def test_flipping_twice_gives_back_the_batch() -> None:
    x, lengths = torch.randn(3, 6, 2), torch.tensor([6, 3, 0])
    flipped = flip_by_length(x, lengths)
    assert torch.equal(flipped[1, :3], x[1, :3].flip(0))
    assert torch.equal(flipped[1, 3:], x[1, 3:])
    assert torch.equal(flip_by_length(flipped, lengths), x)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
def test_a_config_survives_its_dictionary(cell: str) -> None:
    config = ModelConfig(cell=cell, features=FeatureConfig(mels=40))  # type: ignore[arg-type]
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_dropout_is_off_when_the_model_is_set_to_infer() -> None:
    model = AcousticModel(ModelConfig(layers=2, hidden=8, channels=2, dropout=0.5), 5).eval()
    wave, lengths = torch.randn(1, 8000), torch.tensor([8000])
    assert torch.equal(model(wave, lengths)[0], model(wave, lengths)[0])
    model.train()
    assert not torch.equal(model(wave, lengths)[0], model(wave, lengths)[0])
