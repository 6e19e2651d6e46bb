"""The speech of a study: features of short clips to train on, of long ones to look back in.

Shapes: B batch, T feature frames, F mels, N units.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.corpus import Survey, Utterance, explain, locate, measurement_file, survey
from asr.corpus.buckets import Buckets
from asr.errors import BadData
from asr.model import FeatureConfig, ModelConfig
from asr.model.features import LogMel
from asr.sampling import SAMPLE_RATE
from asr.study.config import MemoryStudy
from asr.text import CharacterTokenizer
from asr.training.data.folder import corpus_folder

TOKENIZER = CharacterTokenizer()
FRAME_SECONDS = ModelConfig().frame_seconds
_SHORTEST_SECONDS = 1.0
_PLACES = 50  # frames of a probe from which `distance` can be looked back


@dataclass(frozen=True)
class Batch:
    """Clips padded with zeros to the longest."""

    features: Tensor
    """`(B, T, F)`, normalised."""
    lengths: Tensor
    """`(B,)` int64, in feature frames."""
    units: Tensor
    """`(B, N)` int64."""
    unit_lengths: Tensor
    """`(B,)` int64."""
    utterances: tuple[Utterance, ...]


@dataclass(frozen=True)
class Clips:
    """Clips as features."""

    features: Sequence[Tensor]
    """`(T, F)` of each."""
    utterances: Sequence[Utterance]

    def batch(self, indices: Sequence[int]) -> Batch:
        """The clips with these indices."""
        features = [self.features[index] for index in indices]
        utterances = tuple(self.utterances[index] for index in indices)
        units = [torch.tensor(TOKENIZER.encode(utterance.text)) for utterance in utterances]
        return Batch(
            pad_sequence(features, batch_first=True),
            torch.tensor([len(one) for one in features]),
            pad_sequence(units, batch_first=True),
            torch.tensor([len(one) for one in units]),
            utterances,
        )

    def batches(self, frames: int, seed: int, shuffle: bool = True) -> Iterator[Batch]:
        """An epoch's batches of so many padded feature frames; the seed also stands for it."""
        lengths = [len(one) for one in self.features]
        yield from map(self.batch, Buckets(lengths, most=frames, seed=seed, shuffle=shuffle))


@dataclass(frozen=True)
class StudySpeech:
    """All speech of a study, read by the same features."""

    train: Clips
    dev: Clips
    probes: Clips


def read_speech(study: MemoryStudy, say: Callable[[str], None]) -> StudySpeech:
    """The clips of a study, with features normalised by the training clips.

    Args:
        say: is told of lines that cannot be used.

    Raises:
        BadData: a manifest cannot be read, or has too few clips of the lengths that are needed.
    """
    config, root = study.speech, corpus_folder(study.speech.root, "speech.root")
    least = (study.distance + _PLACES) * FRAME_SECONDS
    heard = _survey(root, config.train, config.longest_seconds, say, config.dev)
    other = _survey(root, config.dev, 1.5 * least, say)
    samples = [_SHORTEST_SECONDS * SAMPLE_RATE, config.longest_seconds * SAMPLE_RATE]
    train = np.flatnonzero((heard.lengths >= samples[0]) & (heard.lengths <= samples[1]))
    dev = np.flatnonzero((other.lengths >= samples[0]) & (other.lengths <= samples[1]))
    long = np.flatnonzero(other.lengths >= least * SAMPLE_RATE)
    if not len(train) or not len(dev):
        raise BadData(
            f"a study needs clips of {_SHORTEST_SECONDS:g} to {config.longest_seconds:g} s: {root} "
            f"has {len(train)} in {config.train} and {len(dev)} in {config.dev}; name other "
            "manifests, or raise speech.longest_seconds."
        )
    if len(long) < config.probes:
        longest = other.lengths.max(initial=0) / SAMPLE_RATE
        raise BadData(
            f"{root} has {len(long)} clips of {least:g} to {1.5 * least:g} s in {config.dev}, and "
            f"{config.probes} are needed to look back over {study.distance} frames; the longest up "
            f"to there has {longest:.2f} s: {_way_out(other, study)}name another manifest."
        )
    front_end = LogMel(FeatureConfig(mels=study.network.mels))
    shortest_first = long[np.argsort(other.lengths[long], kind="stable")]
    parts = (
        _clips(front_end, heard, _evenly(train, config.clips)),
        _clips(front_end, other, _evenly(dev, config.dev_clips)),
        _clips(front_end, other, shortest_first[: config.probes]),
    )
    together = torch.cat(list(parts[0].features))  # (T of all, F)
    mean, deviation = together.mean(0), together.std(0).clamp_min(1e-3)
    return StudySpeech(
        *(
            Clips([(one - mean) / deviation for one in part.features], part.utterances)
            for part in parts
        )
    )


def _way_out(surveyed: Survey, study: MemoryStudy) -> str:
    """What to do where clips are too few, or not long enough, to look back in."""
    seconds = surveyed.lengths / SAMPLE_RATE
    for distance in range(study.distance - 1, 0, -1):
        least = (distance + _PLACES) * FRAME_SECONDS
        if ((seconds >= least) & (seconds <= 1.5 * least)).sum() >= study.speech.probes:
            return f"lower distance to {distance}, or "
    return "lower speech.probes, or " if study.speech.probes > 1 else ""


def _survey(
    root: Path,
    manifest: str,
    longest: float,
    say: Callable[[str], None],
    unheard: str | None = None,
) -> Survey:
    """The usable clips of a manifest that say they are no longer, or do not say how long."""
    path = locate(root, manifest)
    surveyed = survey(
        path,
        TOKENIZER,
        lambda _done, _total: None,
        frames=ModelConfig().frames,
        unheard=None if unheard in (None, manifest) else locate(root, str(unheard)),
        keep=lambda utterance: (utterance.duration or 0.0) <= longest,
        measures=measurement_file(),
    )
    if surveyed.errors:
        say(explain(str(path), surveyed.errors, most=20))
    return surveyed


def _evenly(chosen: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most so many of them, evenly over their order."""
    return chosen[np.linspace(0, len(chosen) - 1, min(most, len(chosen))).astype(np.int64)]


@torch.no_grad()
def _clips(front_end: LogMel, surveyed: Survey, chosen: NDArray[np.int64]) -> Clips:
    """The log-mel energies of the clips with these indices."""
    indices = chosen.tolist()
    waves = (torch.from_numpy(surveyed.samples(index))[None] for index in indices)
    energies = [front_end.energies(wave)[0] for wave in waves]
    return Clips(energies, [surveyed.usable[index] for index in indices])
