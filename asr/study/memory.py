"""The study of memory: its runs one after the other, each kept as soon as it is finished.

A folder holds `study.json`, the config, and `runs.jsonl`, a line for each finished run; a study
that was stopped goes on with the runs that are missing.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from asr.errors import BadOption
from asr.files import write_atomically
from asr.study.config import MemoryStudy, Variant
from asr.study.copying import copied
from asr.study.encoders import encoder, size, train
from asr.study.probes import FloatArray, Probe, probe
from asr.study.speech import StudySpeech, read_speech

Record: TypeAlias = dict[str, Any]
"""A finished run: `task` (`speech` or `copy`), `variant`, `seed`, `seconds`, and its results."""
_CONFIG, _RUNS = "study.json", "runs.jsonl"


def run(study: MemoryStudy, folder: Path, say: Callable[[str], None]) -> list[Record]:
    """Does what is missing of a study in its folder; returns all runs in order.

    Raises:
        BadOption: the folder holds another study, or cannot be written.
        BadData: there is no such speech.
    """
    records = _begun(study, folder)
    done = {_key(record) for record in records}
    wanted = list(_wanted(study))
    order = {key: at for at, key in enumerate((t, v.name, s) for t, v, s in wanted)}
    tasks = _Tasks(study)
    if any(task == "speech" and (task, v.name, seed) not in done for task, v, seed in wanted):
        say("reading the speech")
        tasks.speech = read_speech(study, say)
    write_atomically(folder / _CONFIG, f"{_dumped(study)}\n", shared=False)
    for number, (task, variant, seed) in enumerate(wanted, start=1):
        if (task, variant.name, seed) in done:
            continue
        began, worked = time.perf_counter(), time.process_time()
        found = tasks.copied(variant, seed) if task == "copy" else tasks.trained(variant, seed)
        seconds = round(time.perf_counter() - began, 1)
        about = {"task": task, "variant": variant.name, "seed": seed, "seconds": seconds}
        about["processor_seconds"] = round(time.process_time() - worked, 1)
        records.append({**about, **found})
        lines = [json.dumps(record) for record in records]
        write_atomically(folder / _RUNS, "\n".join(lines) + "\n", shared=False)
        say(f"{number} of {len(wanted)}: {task}, {variant.name}, seed {seed}: {seconds:.0f} s")
    return sorted(records, key=lambda record: order[_key(record)])


def _wanted(study: MemoryStudy) -> Iterator[tuple[str, Variant, int]]:
    """Every run, seed by seed, so that a study that is stopped has seen all kinds alike."""
    for seed in study.seeds:
        for variant in study.variants():
            yield "speech", variant, seed
        for variant in study.copiers():
            yield "copy", variant, seed


def _key(record: Record) -> tuple[str, str, int]:
    return record["task"], record["variant"], record["seed"]


def _begun(study: MemoryStudy, folder: Path) -> list[Record]:
    """The finished runs of a folder."""
    config, runs = folder / _CONFIG, folder / _RUNS
    if not runs.exists():
        return []
    try:
        kept = json.loads(config.read_text(encoding="utf-8"))
        records = [json.loads(line) for line in runs.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise BadOption(f"{folder} holds a damaged study ({error}): name another one.") from error
    if kept != json.loads(_dumped(study)):
        raise BadOption(
            f"{folder} holds a study with another config ({config.name}): give that one to go on "
            "with it, or name another folder."
        )
    return records


def _dumped(study: MemoryStudy) -> str:
    return json.dumps(study.to_dict(), indent=1)


class _Tasks:
    """The two tasks."""

    speech: StudySpeech

    def __init__(self, study: MemoryStudy) -> None:
        self._study = study

    def copied(self, variant: Variant, seed: int) -> Record:
        return {"lags": copied(self._study.copying, variant, seed)}

    def trained(self, variant: Variant, seed: int) -> Record:
        study, speech = self._study, self.speech
        model = encoder(variant, study.network, seed)
        before = probe(model, speech.probes, study.distance)
        points = list(train(model, speech.train, speech.dev, study.training, seed))
        after = probe(model, speech.probes, study.distance)
        return {
            "hidden": model.config.hidden,
            "parameters": size(model),
            "points": [asdict(point) for point in points],
            "before": _plain(before),
            "after": _plain(after),
        }


def _plain(found: Probe) -> Record:
    return {
        "gradients": {name: _rounded(curve) for name, curve in found.gradients.items()},
        "moved": _rounded(found.moved),
        "half_lives": _rounded(np.sort(found.half_lives)),
    }


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.4g}") for value in values]
