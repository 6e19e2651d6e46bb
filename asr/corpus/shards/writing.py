"""Manifests -> shards in Lhotse's Shar format, which `asr.corpus.shards.reading` reads."""

import gzip
import io
import json
import os
import random
import shutil
import tarfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from asr.audio import SAMPLE_RATE
from asr.corpus.check import check_decoding
from asr.corpus.findings import Finding
from asr.corpus.manifest import Utterance
from asr.corpus.recordings.cache import Progress, decoded
from asr.corpus.recordings.measurements import Measurement, Samples16
from asr.errors import BadData, BadOption

_SEED = 1


@dataclass(frozen=True)
class Sharded:
    """The result: clips written, and a finding for each that cannot be decoded."""

    shards: int
    clips: int
    findings: list[Finding]


def write_shards(
    utterances: Sequence[Utterance], out: Path, size: int, first: int, progress: Progress
) -> Sharded:
    """Decodes the utterances and writes them as shards, in random order, so that a few shards are a
    fair sample. The folder appears when it is complete.

    Args:
        size: clips in a shard.
        first: the number of the first shard.

    Raises:
        BadData: no utterance can be decoded.
        BadOption: the folder exists already, or cannot be written.
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
            reasons = [finding.reason for finding in findings[:20]] or ["no line is left"]
            raise BadData(f"no clip of {out} would be good, so it is not written.", reasons)
        os.replace(partial, out)
    except OSError as error:
        raise BadOption(f"{out} cannot be written ({error.strerror}).") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return Sharded(-(-clips // size), clips, findings)


def _write(
    utterances: Sequence[Utterance], folder: Path, size: int, first: int, progress: Progress
) -> tuple[int, list[Finding]]:
    clips = 0
    findings: list[Finding] = []
    with ExitStack() as shard:
        for done, (utterance, (measurement, samples)) in enumerate(
            zip(utterances, decoded(utterances), strict=True), start=1
        ):
            findings += check_decoding([utterance], [measurement])
            if measurement.problem is None:
                if clips % size == 0:
                    shard.close()
                    number = f"{first + clips // size:06d}"
                    cuts = shard.enter_context(gzip.open(folder / f"cuts.{number}.jsonl.gz", "wb"))
                    recordings = shard.enter_context(
                        tarfile.open(folder / f"recording.{number}.tar", "w")
                    )
                cut = _cut(utterance, measurement)
                _add(recordings, f"{cut['id']}.flac", _flac(samples))
                _add(recordings, f"{cut['id']}.json", json.dumps(cut["recording"]).encode())
                cuts.write(f"{json.dumps(cut)}\n".encode())
                clips += 1
            progress(done, len(utterances))
    return clips, findings


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _cut(utterance: Utterance, measurement: Measurement) -> dict[str, Any]:
    """The utterance as a cut of lhotse, with the recording's measurements."""
    duration = measurement.samples / SAMPLE_RATE
    span = {"id": utterance.id, "start": 0.0, "duration": duration, "channel": 0}
    spoken = {"text": utterance.text, "speaker": utterance.speaker}
    measured = {
        "samples": measurement.samples,
        "peak": measurement.peak,
        "clipped": measurement.clipped,
    }
    recording = {
        "id": utterance.id,
        "sources": [{"type": "shar", "channels": [0], "source": ""}],
        "sampling_rate": SAMPLE_RATE,
        "num_samples": measurement.samples,
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
