"""A deadline that passes in the very turn of the event loop in which something else happens."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from asr.runtime import Recognizer
from service.engine.decode_pool import ChannelAudio, DecodePool
from service.engine.transcriber import Transcriber
from service.engine.worker import Memory
from service.errors import ApiError
from service.monitoring.metrics import Metrics
from service.settings import Settings


class Late(DecodePool):
    """Is done when the deadline passes, as far as the event loop can tell."""

    def __init__(self) -> None:
        pass

    async def decode(self, *_: Any, **__: Any) -> tuple[list[ChannelAudio], float]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        loop.call_later(0.02, done.set_result, None)
        loop.call_later(0.01, time.sleep, 0.3)  # the loop stands still until both are due
        await done
        return [ChannelAudio(Memory(), 0)], 0.0


@pytest.mark.parametrize("stops", [False, True])
def test_a_recording_that_is_decoded_as_its_deadline_passes_is_late(
    recognizer: Recognizer, tiny_bundle: Path, stops: bool
) -> None:
    complaints: list[dict[str, Any]] = []

    async def ask() -> None:
        settings = Settings(bundle=tiny_bundle, device="cpu", deadline_s=0.1)
        transcriber = Transcriber(settings, Late(), Metrics())
        transcriber._warm = recognizer
        transcriber._scheduler._set_up()
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, said: complaints.append(said))
        if stops:  # in the same turn, too
            loop.call_later(0.11, transcriber.give_up)
        await transcriber.transcribe(b"", "talk", {})

    with pytest.raises(ApiError) as caught:
        asyncio.run(ask())
    assert caught.value.status == (503 if stops else 504)
    assert not complaints
