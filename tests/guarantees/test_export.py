"""Guarantee 3: torch and the ONNX graph agree, whatever the cell, the batch and the padding."""

from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from asr.audio import load
from asr.bundle import Bundle
from asr.bundle.session import session
from asr.export.checks import INT8_LIMIT, int8_loss
from asr.export.onnx.graph import build_graph
from asr.model import AcousticModel, FeatureConfig, ModelConfig

LIMIT = 1e-4
CELLS = ("lstm", "gru", "rnn")
NORMALIZATIONS = ("corpus", "utterance")
BATCHES = {
    "one": [24_000],
    "one, shorter than a window": [399],
    "one, of no samples": [0],
    "three": [400, 31_234, 7_040],
    "three, one of no samples": [16_000, 0, 641],
    "eight": [1, 399, 400, 559, 560, 16_001, 33_000, 47_999],
}

LAYERS: list[dict[str, Any]] = [
    {"subsampling": 2},
    {"subsampling": 3, "residual": True},
    {"projection": 16, "self_conditioning": 2},
    {"projection": 20, "residual": True, "norm": "behind", "directions": 1},
    {"residual": True, "norm": "behind", "cell": "gru", "self_conditioning": 1},
    {"phone_layer": 2},
    {"phone_layer": 1, "self_conditioning": 1, "residual": True},
]

Graphs = dict[tuple[str, str, int], tuple[AcousticModel, onnxruntime.InferenceSession]]


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    """The model and the ONNX session of every cell, normalisation and number of directions."""
    made: Graphs = {}
    for cell in CELLS:
        for normalize, directions in product(NORMALIZATIONS, (1, 2)):
            torch.manual_seed(3)
            features = FeatureConfig(normalize=normalize)
            conditioned = 1 if normalize == "corpus" else 0
            config = ModelConfig(
                features,
                channels=4,
                cell=cell,
                layers=2,
                hidden=24,
                directions=directions,
                self_conditioning=conditioned,
            )
            model = AcousticModel(config, 11).eval()
            with torch.no_grad():
                model.head.weight.mul_(10.0)  # as sure of its units as a trained model
                if model.recurrent.conditioning is not None:
                    model.recurrent.conditioning.feedback.weight.uniform_(-2.0, 2.0)
                model.features.mean.uniform_(-7.0, -2.0)
                model.features.deviation.uniform_(2.0, 4.0)
            session = onnxruntime.InferenceSession(build_graph(model).SerializeToString())
            made[cell, normalize, directions] = model, session
    return made


@pytest.mark.parametrize("lengths", BATCHES.values(), ids=BATCHES.keys())
@pytest.mark.parametrize("normalize", NORMALIZATIONS)
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_graph_is_the_model(
    graphs: Graphs, cell: str, directions: int, normalize: str, lengths: list[int]
) -> None:
    model, session = graphs[cell, normalize, directions]
    wave = noise(lengths, padding=np.nan)

    assert_equal(model, session, wave, np.array(lengths))


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 6_000), min_size=1, max_size=5),
    padding=st.sampled_from([0.0, 1e6, -np.inf, np.nan]),
    spare=st.integers(0, 2_000),
)
def test_graph_is_the_model_in_any_batch(
    graphs: Graphs, lengths: list[int], padding: float, spare: int
) -> None:
    model, session = graphs["lstm", "utterance", 2]
    wave = noise(lengths, padding, spare)

    assert_equal(model, session, wave, np.array(lengths))


@pytest.mark.parametrize("layers", LAYERS, ids=str)
def test_graph_is_the_model_whatever_its_layers(layers: dict[str, Any], clips: list[Path]) -> None:
    torch.manual_seed(5)
    phones = 7 if "phone_layer" in layers else 0
    model = AcousticModel(ModelConfig(channels=4, layers=3, hidden=24, **layers), 11, phones).eval()
    with torch.no_grad():
        for _, head in model.heads:
            head.weight.mul_(10.0)
    graph = build_graph(model)
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    speech = load(clips[0]).samples
    lengths = [len(speech), 0, 399, 7_041, 640, 880, 1_040, 1_041]
    wave = np.full((len(lengths), len(speech)), np.nan, np.float32)
    for row, length in zip(wave, lengths, strict=True):
        row[:length] = speech[:length]

    assert_equal(model, session, wave, np.array(lengths))
    assert run(session, wave, np.array(lengths))[1].tolist() == [
        model.config.frames(length) for length in lengths
    ]


@pytest.mark.parametrize("normalize", NORMALIZATIONS)
def test_graph_is_the_model_on_real_speech(
    graphs: Graphs, normalize: str, clips: list[Path]
) -> None:
    model, session = graphs["lstm", normalize, 2]
    waves = [load(clip).samples for clip in clips[:4]]
    lengths = np.array([len(wave) for wave in waves])
    batch = np.full((len(waves), lengths.max()), np.nan, dtype=np.float32)
    for row, wave in zip(batch, waves, strict=True):
        row[: len(wave)] = wave

    assert_equal(model, session, batch, lengths)


@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_graph_keeps_utterances_apart(graphs: Graphs, cell: str, directions: int) -> None:
    _, session = graphs[cell, "utterance", directions]
    lengths = [9_000, 0, 400, 20_000]
    wave = noise(lengths, padding=np.nan)

    together, frames = run(session, wave, np.array(lengths))

    for row, length in enumerate(lengths):
        alone, _ = run(session, wave[row : row + 1, :length], np.array([length]))
        valid = slice(frames[row])
        assert np.abs(together[row, valid] - alone[0, valid]).max(initial=0.0) <= LIMIT


@pytest.mark.slow
def test_shipped_weights_in_fp32_on_real_speech(shipped_bundle: Path, clips: list[Path]) -> None:
    model = Bundle.open(shipped_bundle).acoustic_model()
    session = onnxruntime.InferenceSession(build_graph(model).SerializeToString())

    for clip in clips[:4]:
        wave = load(clip).samples[None]
        assert_equal(model, session, wave, np.array([wave.shape[1]]))


def test_int8_loses_what_it_says(int8_bundle: Path) -> None:
    bundle = Bundle.open(int8_bundle)

    measured = int8_loss(bundle.acoustic_model(), bundle.graph)

    assert bundle.info.export.int8 is not None
    assert asdict(measured) == pytest.approx(asdict(bundle.info.export.int8), rel=0.02)


def test_shipped_int8_loses_little_on_real_speech(shipped_bundle: Path, clips: list[Path]) -> None:
    bundle = Bundle.open(shipped_bundle)
    model = bundle.acoustic_model()
    graph = session(bundle.graph)

    for clip in clips[:4]:
        wave = load(clip).samples[None]
        length = np.array([wave.shape[1]])
        with torch.inference_mode():
            expected, frames = model(torch.from_numpy(wave), torch.from_numpy(length))
        found, found_frames = run(graph, wave, length)
        exact = expected.numpy().astype(np.float64)
        divergence = (np.exp(exact) * (exact - found)).sum(axis=-1).mean()
        assert found_frames.tolist() == frames.tolist()
        assert divergence <= INT8_LIMIT


def noise(lengths: list[int], padding: float, spare: int = 0) -> NDArray[np.float32]:
    """A batch of noise whose loudness changes, with garbage behind each length."""
    generator = np.random.default_rng(len(lengths))
    wave = np.full((len(lengths), max(lengths) + spare), padding, dtype=np.float32)
    for row, length in zip(wave, lengths, strict=True):
        loudness = 10.0 ** generator.uniform(-3.0, -0.5, size=length // 1_000 + 1)
        row[:length] = generator.standard_normal(length) * np.repeat(loudness, 1_000)[:length]
    return wave


def run(
    session: onnxruntime.InferenceSession, wave: NDArray[np.float32], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    log_probs, frames = session.run(None, {"wave": wave, "wave_lengths": lengths})
    return log_probs, frames


def assert_equal(
    model: AcousticModel,
    session: onnxruntime.InferenceSession,
    wave: NDArray[np.float32],
    lengths: NDArray[np.int64],
) -> None:
    with torch.inference_mode():
        expected, expected_frames = model(torch.from_numpy(wave), torch.from_numpy(lengths))

    found, frames = run(session, wave, lengths)

    assert frames.tolist() == expected_frames.tolist()
    assert found.shape == expected.shape
    for ours, theirs, valid in zip(found, expected.numpy(), frames, strict=True):
        assert np.abs(ours[:valid] - theirs[:valid]).max(initial=0.0) <= LIMIT
