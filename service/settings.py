"""What the person who runs the service can set: arguments, else `EARSHOT_*` variables."""

import difflib
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator
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
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; auto takes a GPU where there is one."""
    max_upload_bytes: Annotated[int, Field(gt=0)] = 26_214_400
    """Largest request body; 25 MiB is OpenAI's own limit."""
    max_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 7200.0
    """Longest recording: 25 MiB can hold eight hours, which decode to 2 GB of samples."""

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


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    name = str(first["loc"][0])
    return f"The setting {name} ({_PREFIX}{name.upper()}) does not fit: {complaint(first)}."
