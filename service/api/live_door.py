"""A WebSocket and its live session: events in, events out."""

import asyncio
import binascii
import contextlib
import json
import logging
import secrets
from collections.abc import Coroutine
from typing import Any

from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel
from starlette.websockets import WebSocket, WebSocketDisconnect

from asr.audio import PcmStream
from asr.transcript import Transcript
from service.access.sockets import POLICY
from service.access.usage import Usage
from service.api.live_events import Cleared, SessionCreated, SessionUpdated, server_events
from service.api.live_fields import (
    MOST_ID,
    Append,
    Clear,
    Commit,
    LiveConfiguration,
    LiveTranscription,
    SessionUpdate,
    read_event,
)
from service.engine.registry import ModelRegistry
from service.errors import ApiError, error_event
from service.live.held import Samples
from service.live.session import Completed, Event, Session
from service.monitoring.metrics import Metrics
from service.settings import Settings

log = logging.getLogger(__name__)

_NORMAL, _FAULT, _RESTART = 1000, 1011, 1012
_MOST_EVENTS = 64  # that wait for the client to read them
_WITHIN_S = {True: 0.4, False: 2.0}  # a whole turn is read before those that go on


class _End(Exception):
    """The session ends, with that code of a close."""

    def __init__(self, code: int, reason: str, error: ApiError | None = None) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.error = error


class Door:
    """One client and its session.

    Args:
        key: whose usage it counts towards.
        stopping: set when the service stops.
    """

    def __init__(
        self,
        websocket: WebSocket,
        settings: Settings,
        registry: ModelRegistry,
        metrics: Metrics,
        usage: Usage,
        key: str,
        stopping: asyncio.Event,
    ) -> None:
        self._websocket = websocket
        self._registry = registry
        self._usage = usage
        self._key = key
        self._stopping = stopping
        self._idle_s = settings.live_idle_s
        self._id = f"sess_{secrets.token_hex(12)}"
        self._configuration = LiveConfiguration()
        self._options: dict[str, Any] = {}
        self._stream = self._new_stream()
        self._has_sound = False
        self._outgoing: asyncio.Queue[BaseModel | None] = asyncio.Queue(_MOST_EVENTS)
        vad = self._configuration.input.turn_detection
        detection = None if vad is None else vad.detection()
        self._session = Session(
            detection, settings.live_utterance_s, self._read, self._emit, metrics
        )

    async def begin(self, model: str | None) -> None:
        """Read by that model, unless the client says another later; ApiError if there is none."""
        if model is not None:
            change = {"audio": {"input": {"transcription": {"model": model}}}}
            self._configuration = LiveConfiguration.model_validate(change)
        await self._configure(self._configuration.input.transcription)

    async def serve(self) -> None:
        """Follow the client until it goes, or the session ends."""
        await self._put(SessionCreated(session=self._configuration.shown(self._id)))
        sending = asyncio.create_task(self._send_all())
        reading = asyncio.create_task(self._session.run())
        receiving = asyncio.create_task(self._receive_all())
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            end = await _ended(sending, reading, receiving, stopping)
            receiving.cancel()
            if end is None and stopping.done():
                finishing = asyncio.create_task(self._session.finish())
                end = await _ended(sending, reading, finishing) or _End(_RESTART, "stopping")
                finishing.cancel()
            reading.cancel()
            if end is not None:
                await self._say_goodbye(end, sending)
        except WebSocketDisconnect:
            pass  # it has gone before it could be told
        finally:
            tasks: list[asyncio.Task[Any]] = [sending, reading, receiving, stopping]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _say_goodbye(self, end: _End, sending: "asyncio.Task[None]") -> None:
        if not sending.done():  # else it has failed
            last = asyncio.create_task(self._put_last(end))
            try:
                await sending  # until all is sent, or the connection is lost
            finally:
                last.cancel()
        await self._websocket.close(end.code, end.reason)

    async def _put_last(self, end: _End) -> None:
        if end.error is not None:
            await self._put(error_event(end.error))
        await self._outgoing.put(None)

    async def _configure(self, transcription: LiveTranscription) -> None:
        """Read with these options from now on; ApiError if they cannot be."""
        recognizer = self._registry.find(transcription.model).recognizer
        self._options = await run_in_threadpool(transcription.options, recognizer)

    async def _send_all(self) -> None:
        while (event := await self._outgoing.get()) is not None:
            await self._websocket.send_text(event.model_dump_json())

    async def _put(self, event: BaseModel) -> None:
        await self._outgoing.put(event)

    async def _emit(self, event: Event) -> None:
        """Pass on what the session says."""
        by_detection = self._session.detection is not None
        for one in server_events(event, by_detection, bool(self._configuration.include)):
            await self._put(one)
        if isinstance(event, Completed):
            self._usage.add(self._key, event.turn.seconds)
            try:
                self._usage.check(self._key)
            except ApiError as error:
                raise _End(POLICY, "audio_used_up", error) from error

    async def _read(self, samples: Samples, is_whole: bool) -> Transcript:
        model, within_s = self._configuration.input.transcription.model, _WITHIN_S[is_whole]
        return await self._registry.read(model, self._options, samples, within_s)

    async def _receive_all(self) -> None:
        """Take the client's events until it goes; _End if it sends no sound for too long."""
        loop = asyncio.get_running_loop()
        due = loop.time() + self._idle_s
        while True:
            try:
                async with asyncio.timeout_at(due):
                    message = await self._websocket.receive()
            except TimeoutError as error:
                raise _End(_NORMAL, "idle", _idle(self._idle_s)) from error
            if message["type"] == "websocket.disconnect":
                return
            if await self._take(message.get("text")):
                due = loop.time() + self._idle_s
            await asyncio.sleep(0)  # whoever sends much, leaves others a turn

    async def _take(self, text: str | None) -> bool:
        """Take a client's message; whether it had sound."""
        try:
            event = read_event("" if text is None else text)
            await self._do(event)
            return isinstance(event, Append) and bool(event.audio)
        except ApiError as error:
            await self._put(error_event(error, _event_id(text or "")))
            return False

    def _do(self, event: SessionUpdate | Append | Commit | Clear) -> Coroutine[Any, Any, None]:
        match event:
            case Append():
                return self._append(event)
            case SessionUpdate():
                return self._update(event)
            case Commit():
                return self._commit()
            case Clear():
                return self._clear()

    async def _append(self, event: Append) -> None:
        try:
            piece = binascii.a2b_base64(event.audio, strict_mode=True)
        except (binascii.Error, ValueError) as error:
            message = "The sound is not in base64: send 16-bit samples, little-endian, in base64."
            raise ApiError(400, message, param="audio", code="invalid_audio") from error
        self._has_sound = self._has_sound or bool(piece)
        await self._session.add(self._stream.add(piece))

    async def _update(self, event: SessionUpdate) -> None:
        new = self._configuration.updated(event.session)
        is_other = new.input.format != self._configuration.input.format
        if is_other and self._has_sound:
            message = "The format cannot change once sound has come: open another session."
            raise ApiError(400, message, param="session.audio.input.format", code="invalid_value")
        await self._configure(new.input.transcription)
        self._configuration = new
        if is_other:
            self._stream = self._new_stream()
        vad = new.input.turn_detection
        self._session.detection = None if vad is None else vad.detection()
        await self._put(SessionUpdated(session=new.shown(self._id)))

    def _new_stream(self) -> PcmStream:
        format = self._configuration.input.format
        return PcmStream(format.rate, format.encoding)

    async def _commit(self) -> None:
        await self._session.add(self._stream.end())
        if not self._session.commit():
            message = "There is nothing to commit: no turn is open."
            raise ApiError(400, message, code="input_audio_buffer_commit_empty")

    async def _clear(self) -> None:
        self._stream.clear()
        self._session.clear()
        await self._put(Cleared())


async def _ended(*tasks: "asyncio.Task[Any]") -> _End | None:
    """How the first of these tasks has ended the session; None if that is no error."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    try:
        for task in done:
            task.result()
    except _End as end:
        return end
    except WebSocketDisconnect:
        return None
    except Exception:
        log.exception("a live session failed")
        return _End(_FAULT, "the service failed")
    return None


def _event_id(text: str) -> str | None:
    """The id of a client's event that is wrong, if it can be sent back."""
    with contextlib.suppress(ValueError, AttributeError, RecursionError):
        id = json.loads(text).get("event_id")
        if isinstance(id, str) and len(id.encode()) <= MOST_ID:  # half a surrogate is no text
            return id
    return None


def _idle(seconds: float) -> ApiError:
    message = f"No sound came for {seconds:g} s: open another session when there is some."
    return ApiError(408, message, code="idle")
