"""A live session whose client goes."""

import asyncio
import gc
from pathlib import Path
from typing import Any

from asr.audio import SAMPLE_RATE, load
from asr.transcript import Transcript
from service.live.session import Event, Session
from service.live.turns import Detection
from service.monitoring.metrics import Metrics

CLIP = load(Path(__file__).parents[3] / "samples" / "1272-141231-0000.flac").samples


def test_a_session_that_ends_in_the_middle_of_a_reading_leaves_no_task_behind() -> None:
    complaints: list[dict[str, Any]] = []
    reading = asyncio.Event()

    async def read(*_: Any) -> Transcript:
        reading.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def emit(_: Event) -> None:
        pass

    async def cut_off() -> None:
        session = Session(Detection(), 30.0, read, emit, Metrics())
        running = asyncio.create_task(session.run())
        await session.add(CLIP[: 2 * SAMPLE_RATE])
        await reading.wait()
        await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait({running})

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, said: complaints.append(said))
        await cut_off()
        await asyncio.sleep(0.01)
        gc.collect()

    asyncio.run(main())
    assert not complaints
