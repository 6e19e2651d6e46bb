"""The statistics of the features: measured on clips, and refused where they are not finite."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TINY, TRAIN, fitted

from asr.audio import load
from asr.corpus import read_manifest
from asr.corpus.dataset import SpeechDataset
from asr.errors import BadData
from asr.model import AcousticModel
from asr.training.initial_weights import measure_features
from asr.training.module import CtcTraining


def clips(loudness: dict[int, float]) -> SpeechDataset:
    """Four real clips, some of them with samples of such loudness."""
    utterances = read_manifest(TRAIN / "manifest.jsonl")[0][:4]

    def samples(index: int) -> np.ndarray:
        wave = load(utterances[index].audio).samples
        wave[1000] = loudness.get(index, wave[1000])
        return wave

    return SpeechDataset(utterances, samples, lambda _: [])


def test_statistics_are_those_of_the_clips() -> None:
    network = AcousticModel(TINY, 29)
    measure_features(network, clips({}), torch.device("cpu"))
    features = network.features
    waves = [clips({})[index].wave[None] for index in range(4)]
    energies = torch.cat([features.energies(wave)[0] for wave in waves])
    torch.testing.assert_close(features.mean, energies.mean(0))
    torch.testing.assert_close(features.deviation, energies.std(0))


@pytest.mark.parametrize("sample", [1e30, float("inf"), float("nan")])
def test_a_clip_that_would_spoil_them_is_named(sample: float) -> None:
    network = AcousticModel(TINY, 29)
    wild = clips({2: sample})
    with pytest.raises(BadData, match=f"{wild[2].utterance.audio} .line 3 .* no sound has"):
        measure_features(network, wild, torch.device("cpu"))
    assert not network.features.mean.any()  # nothing of them is kept


def test_statistics_from_elsewhere_are_looked_at_too(tmp_path: Path) -> None:
    each = replace(TINY, features=replace(TINY.features, normalize="utterance"))
    module = CtcTraining(network=each)  # measures none of its own
    module.network.features.deviation[3] = float("inf")
    with pytest.raises(BadData, match="statistics of the features are not finite"):
        fitted(module, steps=1, default_root_dir=tmp_path)
