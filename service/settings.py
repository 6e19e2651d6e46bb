"""What the person who runs the service can set: arguments, else `EARSHOT_*` variables."""

import difflib
import os
import textwrap
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from asr.errors import BadOption
from service.errors import complaint

_PREFIX = "EARSHOT_"
_OTHERS = {"EARSHOT_DATA"}  # the training corpus's folder: no setting of the service


class Settings(BaseSettings):
    """The service's settings; `Settings.read` for errors meant for people."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 takes requests from other machines too."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    """Port to listen on; 0 takes a free one."""
    bundle: Path | None = None
    """Folder of the bundle to serve; the one that ships with earshot by default."""
    models_folder: Path | None = None
    """Folder of more bundles, served beside that one under their folders' names; only bundles in
    it and that one can be reloaded."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 26_214_400
    """Largest request body; 25 MiB is OpenAI's own limit."""
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 7200.0
    """Longest recording: 25 MiB can hold eight hours, which decode to 2 GB of samples."""
    max_decoded_bytes: Annotated[int, Field(gt=0)] = 4 * 2**30
    """Most bytes that a recording may decode to, as float32 in all its channels at its own rate:
    bounds what many channels or a high rate cost. Two hours of 48 kHz stereo take 2.8 GB."""
    decode_workers: Annotated[int | None, Field(ge=1, le=64)] = None
    """Processes that decode uploads, about 70 MB each; by default as many as there are cores, at
    most 16."""
    decode_timeout_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """Seconds after which decoding a recording is given up, and its process killed."""
    deadline_s: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 30.0
    """A request is to be answered within so many seconds and its recording's length. What could
    not be is refused with 503 at once; what is not, after all, is answered with 504."""
    max_queue_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 14_400.0
    """Seconds of sound that may wait or be at work; more is refused with 503. What is alone is
    never refused for this."""
    max_held_bytes: Annotated[int, Field(gt=0)] = 2**30
    """Memory for uploads that are being received or wait for their answer; more are refused with
    503 before they are read. At least max_upload_bytes."""
    drain_s: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 30.0
    """Seconds that requests under way have to end when the service is told to stop (SIGTERM); a
    second signal ends it now."""
    api_keys: SecretStr = SecretStr("")
    """API keys, as NAME:SHA256,NAME:SHA256 (`asr key NAME` makes them). With any key set, /v1/
    answers only who sends one; with none, every Authorization header is accepted and ignored."""
    api_keys_file: Path | None = None
    """File with more API keys, a line each; read when the service starts."""
    admin_keys: SecretStr = SecretStr("")
    """Keys that may reload models, written as EARSHOT_API_KEYS are; with none, nobody may."""
    key_requests_per_minute: Annotated[int, Field(ge=0)] = 0
    """Requests that each key may make in a minute, then 429; 0 sets no limit."""
    key_requests_at_once: Annotated[int, Field(ge=0)] = 0
    """Requests that each key may have under way, then 429; 0 sets no limit."""
    cors_origins: str = ""
    """Origins, separated by commas, whose web pages may call the service; * stands for all."""
    log_format: Literal["plain", "json"] = "plain"
    """How log lines look; json is an object a line. No line ever holds what was said."""
    trace_endpoint: str | None = None
    """Where an OpenTelemetry collector takes traces, as http://collector:4318/v1/traces; needs the
    extra `trace`."""

    @model_validator(mode="after")
    def _limits_need_keys(self) -> Self:
        limited = self.key_requests_per_minute or self.key_requests_at_once
        if limited and not (self.api_keys.get_secret_value() or self.api_keys_file):
            raise ValueError(
                "The limits of a key (EARSHOT_KEY_REQUESTS_PER_MINUTE, _AT_ONCE) need keys: set "
                "EARSHOT_API_KEYS or EARSHOT_API_KEYS_FILE."
            )
        return self

    @model_validator(mode="after")
    def _an_upload_fits(self) -> Self:
        if self.max_held_bytes < self.max_upload_bytes:
            raise ValueError(
                f"EARSHOT_MAX_HELD_BYTES ({self.max_held_bytes}) must hold one upload at least: "
                f"EARSHOT_MAX_UPLOAD_BYTES is {self.max_upload_bytes}."
            )
        return self

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_variables(cls, values: Any) -> Any:
        # pydantic-settings reads the variables it knows and passes over the rest in silence.
        known = {_PREFIX + name.upper() for name in cls.model_fields} | _OTHERS
        for variable in os.environ:
            if variable.upper().startswith(_PREFIX) and variable.upper() not in known:
                near = difflib.get_close_matches(variable.upper(), known, n=1, cutoff=0)[0]
                raise ValueError(
                    f"The environment variable {variable} is not known; did you mean {near}?"
                )
        return values

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Settings from what is `given`, then the environment, then defaults; or `BadOption`."""
        try:
            return cls(**given)
        except ValidationError as error:
            raise BadOption(_sentence(error)) from error

    def listed(self) -> str:
        """Every setting as lines of an environment file: its meaning, then its value.

        Values of secrets are hidden, those that are not set are commented out.
        """
        lines = []
        for name, field in type(self).model_fields.items():
            value = self.model_dump(mode="json")[name]
            unset = "# " if value is None else ""
            shown = "" if value is None else value
            lines += [
                *(f"# {line}" for line in textwrap.wrap(field.description or "", 98)),
                f"{unset}{_PREFIX}{name.upper()}={shown}",
            ]
        return "\n".join(lines)


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    return f"The setting {name} ({_PREFIX}{name.upper()}) does not fit: {complaint(first)}."
