"""Manifests -> shards in Lhotse's Shar format, which `asr.corpus.shards` reads."""

import io
import json
import os
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from asr.audio import SAMPLE_RATE
from asr.corpus.check import check_decoding
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.sound import Samples16, Sound
from asr.corpus.store import Progress, decoded
from asr.errors import BadData, BadOption

_SEED = 1


@dataclass(frozen=True)
class Sharded:
    """What became of a corpus: clips written, and a finding for each that cannot be decoded."""

    shards: int
    clips: int
    findings: list[Finding]


def write_shards(
    utterances: Sequence[Utterance], out: Path, size: int, first: int, progress: Progress
) -> Sharded:
    """Decode the utterances and write them as shards, in mixed order, so that any few shards are a
    fair sample. The folder appears once it is whole.

    Args:
        size: clips in a shard.
        first: the number of the first shard.

    Raises:
        BadData: none can.
        BadOption: the folder is there already, or cannot be written.
    """
    if out.exists():
        raise BadOption(f"{out} is there already: delete it, or write the shards elsewhere.")
    mixed = list(utterances)
    random.Random(_SEED).shuffle(mixed)
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        clips, findings = _write(mixed, partial, size, first, progress)
        if not clips:
            reasons = "\n".join(finding.reason for finding in findings[:20]) or "no line is left"
            raise BadData(f"no clip of {out} would be good, so it is not written.\n{reasons}")
        os.replace(partial, out)
    except OSError as error:
        raise BadOption(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Sharded(-(-clips // size), clips, findings)


def _write(
    utterances: Sequence[Utterance], folder: Path, size: int, first: int, progress: Progress
) -> tuple[int, list[Finding]]:
    from lhotse.shar.writers.cut import JsonlShardWriter
    from lhotse.shar.writers.tar import TarWriter

    clips = 0
    findings: list[Finding] = []
    with (
        JsonlShardWriter(f"{folder}/cuts.%06d.jsonl.gz", size, first) as cuts,
        TarWriter(f"{folder}/recording.%06d.tar", size, first) as recordings,
    ):
        for done, (utterance, (sound, samples)) in enumerate(
            zip(utterances, decoded(utterances), strict=True), start=1
        ):
            findings += check_decoding([utterance], [sound])
            if sound.problem is None:
                cut = _cut(utterance, sound)
                name = cut["id"]
                recordings.write(f"{name}.flac", io.BytesIO(_flac(samples)))
                described = json.dumps(cut["recording"]).encode()
                recordings.write(f"{name}.json", io.BytesIO(described), count=False)
                cuts.write(cut)
                clips += 1
            progress(done, len(utterances))
    return clips, findings


def _cut(utterance: Utterance, sound: Sound) -> dict[str, Any]:
    """The utterance as lhotse writes a cut, with what the recording measures beside it."""
    duration = sound.samples / SAMPLE_RATE
    span = {"id": utterance.id, "start": 0.0, "duration": duration, "channel": 0}
    spoken = {"text": utterance.text, "speaker": utterance.speaker}
    measured = {"samples": sound.samples, "peak": sound.peak, "clipped": sound.clipped}
    recording = {
        "id": utterance.id,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": sound.samples,
        "duration": duration,
        "channel_ids": [0],
    }
    return {
        **span,
        "supervisions": [{**span, "recording_id": utterance.id, **_given(spoken)}],
        "recording": recording,
        "custom": {**measured, **_given({"corpus": utterance.corpus})},
        "type": "MonoCut",
    }


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _flac(samples: Samples16) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return file.getvalue()
