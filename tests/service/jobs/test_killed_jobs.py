"""Jobs of a service that is killed, stopped and started again: each ends, and once."""

import random
import signal
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from serving import ended, service, speech, wav

from asr.audio import load
from asr.runtime import Recognizer
from asr.runtime.engine import Wave
from service.engine.device import Load, Piece, RunModel, SearchOn, device
from service.engine.worker import Memory

URL = "/v1/jobs"
_STARTS = 4


@pytest.mark.slow
def test_a_service_killed_at_any_moment_ends_every_job_once(
    clips: list[Path], tiny_bundle: Path, recognizer: Recognizer, tmp_path: Path
) -> None:
    chance = random.Random(31)
    bodies = [path.read_bytes() for path in clips[:2]]
    bodies += [b"no sound", wav(speech(clips[0], 400 * 16_000))]
    ids: dict[str, int] = {}
    seen: dict[str, dict[str, Any]] = {}
    for start in range(_STARTS):
        with service(tiny_bundle, tmp_path) as (process, http):
            for number in range(len(bodies)):
                # One that was accepted as the service was killed is not accepted again.
                for name in {f"{start}-{number}", f"{start - 1}-{number}"} - {f"-1-{number}"}:
                    files = {"file": ("talk", bodies[number])}
                    headers = {"idempotency-key": name}
                    job = http.post(URL, files=files, headers=headers).json()
                    assert ids.setdefault(job["id"], number) == number
            goal = len(seen) + chance.randrange(len(bodies))
            goal = len(ids) if start + 1 == _STARTS else min(goal, len(ids))
            for job in ended(http, list(seen)):  # what has ended stays as it was
                assert seen[job["id"]] == job
            while len(seen) < goal:
                time.sleep(0.1)
                seen |= {job["id"]: job for job in ended(http, sorted(ids.keys() - seen.keys()))}
            if start + 1 < _STARTS:
                process.send_signal(signal.SIGTERM if start == 1 else signal.SIGKILL)
                process.wait(120)
                continue
            assert len(ids) == _STARTS * len(bodies) == len(seen)
            for id, number in ids.items():
                result = http.get(f"{URL}/{id}/result")
                if number == 2:
                    assert seen[id]["state"] == "failed" and result.status_code == 415
                else:
                    assert result.json()["text"] == recognizer.transcribe(bodies[number]).text
            while list((tmp_path / "spool").iterdir()):
                time.sleep(0.05)


def test_windows_that_were_done_are_not_run_again(
    tiny_bundle: Path, clips: list[Path], tmp_path: Path
) -> None:
    """A device process finds what the one before it has kept, unless that is damaged."""
    wave = np.concatenate([load(path).samples for path in clips])[: 10 * 16_000].astype(np.float32)
    memory = Memory()
    memory.append(memoryview(wave.tobytes()))
    pieces = [Piece(0, 0, 0, 5 * 16_000, tmp_path / "0"), Piece(0, 1, 0, len(wave), tmp_path / "0")]

    def segments(first: int) -> tuple[Any, list[int]]:
        handler: Any = device(None)
        handler(Load(tiny_bundle, "cpu"), ())
        ran: list[int] = []
        run = handler._recognizer.engine

        class Watched:
            device, batch_seconds = run.device, run.batch_seconds

            def __call__(self, waves: list[Wave]) -> Any:
                ran.extend(len(one) for one in waves)
                return run(waves)

        handler._recognizer = replace(handler._recognizer, engine=Watched())
        handler(RunModel(tuple(pieces[first:]), ()), [memory] * len(pieces[first:]))
        rows = {index: row.copy() for index, row in handler._rows[0].items()}
        search = SearchOn(0, 0, 1, len(wave), True, {})
        found = handler(search, ())[0] if first == 0 else None
        return (rows, found), ran

    (rows, found), ran = segments(0)
    assert ran == [5 * 16_000, 10 * 16_000] and found
    (again, found_again), ran = segments(0)
    assert ran == [] and found_again == found
    assert all(np.array_equal(again[index], row) for index, row in rows.items())
    for path in tmp_path.glob("0.1.*"):
        path.write_bytes(path.read_bytes()[:50])
    (_, _), ran = segments(1)
    assert ran == [10 * 16_000]
    assert len(list(tmp_path.iterdir())) == 2
