"""What clients send to a live session: its configuration, and their events."""

from typing import Annotated, Any, Literal, cast

from pydantic import (
    Discriminator,
    Field,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from asr.audio.pcm import Encoding
from service.api.fields import AUTO, Fields, Language, OpenAIFields
from service.errors import ApiError, complaint
from service.live.turns import Detection

_MOST_MS = 10_000
_RATES = {"audio/pcm": (24_000, 16_000), "audio/pcmu": (8_000,), "audio/pcma": (8_000,)}
"""Samples per second of each format, the first unless told."""
MOST_ID = 512
"""Characters of the id of an event."""


class SoundFormat(Fields):
    """Samples of one channel, of 16 bits (pcm) or as telephones send them (pcmu, pcma)."""

    type: Literal["audio/pcm", "audio/pcmu", "audio/pcma"] = "audio/pcm"
    """16 bits, little-endian; or 8 bits, by the mu-law or the A-law."""
    rate: Annotated[Literal[8_000, 16_000, 24_000], Field(validate_default=True)] = None  # type: ignore[assignment]  # by the type
    """Samples per second."""

    @field_validator("rate", mode="before")
    @classmethod
    def _fits(cls, value: Any, info: ValidationInfo) -> Any:
        rates = _RATES.get(info.data.get("type", ""), (8_000, 16_000, 24_000))
        if value is not None and value not in rates:
            raise PydanticCustomError("rate", f"Input should be {' or '.join(map(str, rates))}")
        return rates[0] if value is None else value

    @property
    def encoding(self) -> Encoding:
        """What stands for a sample."""
        return cast(Encoding, self.type.removeprefix("audio/"))


class ServerVad(Fields):
    """Turns are found by the service."""

    type: Literal["server_vad"] = "server_vad"
    threshold: Annotated[float, Field(ge=0, le=1)] = Detection.threshold
    """How far speech must rise above the noise: from 3 dB at 0 to 15 dB at 1."""
    prefix_padding_ms: Annotated[int, Field(ge=0, le=_MOST_MS)] = Detection.padding_ms
    """How much of what is not loud belongs to a turn, before it and (up to the pause) after it."""
    silence_duration_ms: Annotated[int, Field(ge=100, le=_MOST_MS)] = Detection.silence_ms
    """A pause so long ends a turn."""
    create_response: bool | None = None
    """Accepted for OpenAI's clients; there are no responses here."""
    interrupt_response: bool | None = None
    """As before."""

    def detection(self) -> Detection:
        """How turns are found."""
        return Detection(self.threshold, self.prefix_padding_ms, self.silence_duration_ms)


class NoiseReduction(Fields):
    """Accepted for OpenAI's clients; it has no effect, as the model was trained with noise."""

    type: Literal["near_field", "far_field"] | None = None
    strength: float | None = None


class LiveTranscription(OpenAIFields):
    """How turns are read."""

    model: str = "gpt-live-transcribe"
    """The id of a served model, or one of OpenAI's names, which stand for the default one."""
    language: Language | list[Language] = AUTO  # type: ignore[assignment]  # a list too
    """The language spoken, or several: that of the model, or `auto`."""

    def spoken(self) -> list[tuple[str, str]]:
        """Each language that the session gives, after the field's name."""
        codes = [self.language] if isinstance(self.language, str) else self.language
        return [
            *(("language", code) for code in codes),
            *(("languages", code) for code in self.languages),
        ]


class AudioInput(Fields):
    """The sound that comes in, and what is done with it."""

    format: SoundFormat = SoundFormat()
    noise_reduction: NoiseReduction | None = None
    transcription: LiveTranscription = LiveTranscription()
    turn_detection: ServerVad | None = ServerVad()
    """null: turns end where the client commits them."""


class SessionAudio(Fields):
    """OpenAI's sessions have output too."""

    input: AudioInput = AudioInput()


class LiveConfiguration(Fields):
    """The configuration of a session."""

    type: Literal["transcription"] = "transcription"
    audio: SessionAudio = SessionAudio()
    include: tuple[Literal["item.input_audio_transcription.logprobs"], ...] = ()
    """Adds the logarithm of each word's confidence to `completed`."""

    @property
    def input(self) -> AudioInput:
        """The sound that comes in, and what is done with it."""
        return self.audio.input

    def updated(self, change: "LiveConfiguration") -> "LiveConfiguration":
        """This one with what a change says: of the input's parts, and of `include`, each that it
        has is replaced."""
        given = change.input
        parts = {name: getattr(given, name) for name in given.model_fields_set}
        audio = SessionAudio(input=self.input.model_copy(update=parts))
        include = change.include if "include" in change.model_fields_set else self.include
        return LiveConfiguration(audio=audio, include=include)

    def shown(self, id: str) -> dict[str, Any]:
        """The session of that id, as OpenAI's clients know it."""
        shown = self.model_dump()
        said = self.input.transcription
        left_out = {name for name in type(said).model_fields if not getattr(said, name)}
        shown["audio"]["input"]["transcription"] = said.model_dump(exclude=left_out)
        return {"id": id, "object": "realtime.transcription_session", **shown}


class ClientEvent(Fields):
    """What a client sends."""

    event_id: Annotated[str | None, Field(max_length=MOST_ID)] = None
    """Comes back in the error about it."""


class SessionUpdate(ClientEvent):
    """Changes the configuration."""

    type: Literal["session.update"]
    session: LiveConfiguration


class Append(ClientEvent):
    """The next samples."""

    type: Literal["input_audio_buffer.append"]
    audio: str
    """In base64."""


class Commit(ClientEvent):
    """The open turn ends here."""

    type: Literal["input_audio_buffer.commit"]


class Clear(ClientEvent):
    """The open turn is forgotten."""

    type: Literal["input_audio_buffer.clear"]


CLIENT_EVENTS = (SessionUpdate, Append, Commit, Clear)
ClientEvents = Annotated[SessionUpdate | Append | Commit | Clear, Discriminator("type")]
_EVENT: TypeAdapter[ClientEvents] = TypeAdapter(ClientEvents)


def read_event(text: str) -> SessionUpdate | Append | Commit | Clear:
    """A client's event; ApiError if it is none."""
    try:
        return _EVENT.validate_json(text)
    except ValidationError as error:
        raise _refused(error) from error


def _refused(error: ValidationError) -> ApiError:
    first = error.errors()[0]
    kind, place = first["type"], ".".join(map(str, first["loc"][1:]))
    if kind.startswith("json") or not (first["loc"] or isinstance(first["input"], dict)):
        message = "The message cannot be read: send one JSON object in each text message."
        return ApiError(400, message, code="invalid_json")
    if kind.startswith("union_tag"):
        known = "session.update, input_audio_buffer.append, .commit and .clear"
        message = f"The event's type is not known here: this service takes {known}."
        return ApiError(400, message, param="type", code="unknown_event")
    if kind == "missing":
        message = f"The event has no {place!r}: add it."
        return ApiError(400, message, param=place, code="missing_field")
    if kind == "extra_forbidden":
        message = f"The field {place[:100]!r} is not known: leave it out."
        return ApiError(400, message, param=place[:100], code="unknown_field")
    message = f"The field {place[:100]!r} does not fit: {complaint(first)}."
    return ApiError(400, message, param=place[:100], code="invalid_value")
