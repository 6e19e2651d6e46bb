"""What a client may ask for: every field, its type, and what it does."""

import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from asr.errors import BadOption
from asr.runtime import Recognizer
from asr.text import normalise
from service.errors import ApiError
from service.prompt import hot_words

# What servers of Whisper-like models take and what has no meaning for this kind of model, which
# samples nothing and cuts recordings its own way.
WITHOUT_EFFECT = (
    "best_of", "chunking_strategy", "compression_ratio_threshold", "condition_on_previous_text",
    "frequency_penalty", "length_penalty", "log_prob_threshold", "logprob_threshold",
    "max_initial_timestamp", "min_p", "no_repeat_ngram_size", "no_speech_threshold", "patience",
    "presence_penalty", "repetition_penalty", "seed", "suppress_blank", "suppress_tokens",
    "temperature_inc", "top_k", "top_p", "vad_filter", "without_timestamps",
)  # fmt: skip
SPEAKERS = ("known_speaker_names", "known_speaker_references")
_ENGLISH = "^(en([-_][A-Za-z]{2})?|[Ee]nglish|auto)?$"


def _in_english(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not re.search(_ENGLISH, value):
        message = "This service reads English ('en') and no other language"
        raise PydanticCustomError("foreign_language", message)
    return "en"


def _without_speakers(value: Any) -> Any:
    if value == "diarized_json":
        message = "diarized_json is not served, as this model tells no speakers apart"
        raise PydanticCustomError("not_served", message)
    return value


def _phrases(value: Any) -> Any:
    """A list whose items may hold several phrases, with commas between them."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return value
    return [phrase for item in value for part in item.split(",") if (phrase := part.strip())]


Language = Annotated[
    Literal["en"],
    BeforeValidator(_in_english),
    WithJsonSchema({"type": "string", "pattern": _ENGLISH}),
]
Phrases = Annotated[list[str], BeforeValidator(_phrases)]


class Reading(BaseModel):
    """How a recording is to be read, wherever it comes from."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    model: Annotated[str, Field(examples=["whisper-1"])] = "whisper-1"
    """The id of a served model, or one of OpenAI's names, which stand for the default one."""
    language: Language = "en"
    """The language spoken: English alone."""
    decoder: Literal["greedy", "beam"] | None = None
    """How words are found: `greedy` takes the likeliest unit of each frame, `beam` searches with
    the language model and hot words. By default as the bundle says."""
    beam_size: Annotated[int | None, Field(ge=1, le=256, examples=[16])] = None
    """How many readings `beam` follows at a time."""
    lm_weight: Annotated[float | None, Field(ge=0, le=10, examples=[0.5])] = None
    """How much the language model counts in `beam`; 0 leaves it out."""
    hotwords: Annotated[Phrases, Field(examples=[["Nyx", "Eyjafjallajökull"]])] = []
    """Words or phrases to favour: the field may come several times, and commas part phrases. With
    any, the decoder is `beam` unless it is given."""
    nbest: Annotated[int | None, Field(ge=1, le=50, examples=[1])] = None
    """How many readings `beam` returns as `alternatives`; 1 returns none but the text."""

    def options(self, recognizer: Recognizer) -> dict[str, Any]:
        """The options that were given, as `recognizer` takes them; those left out are its own.

        ApiError for values that cannot be, or not together.
        """
        given = self.model_dump(include={"decoder", "beam_size", "lm_weight", "nbest"})
        options = {name: value for name, value in given.items() if value is not None}
        if phrases := self.phrases():
            options["hotwords"] = tuple(dict.fromkeys(phrases))
        try:
            recognizer.options(**options)
        except BadOption as error:  # whose sentence begins with the option's name
            named = str(error).replace("hot word", "hotwords", 1).partition(" ")[0]
            param = named if named in options else None
            raise ApiError(422, str(error), param=param, code="invalid_option") from error
        return options

    def phrases(self) -> list[str]:
        """The hot words that were asked for."""
        return self.hotwords


class TranscriptionForm(Reading):
    """What a client sends to have a recording transcribed."""

    file: UploadFile
    """The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, told by its bytes."""
    languages: Annotated[list[Language], Field(examples=[["en"]])] = ["en"]
    """The languages that may be spoken: English alone."""
    prompt: Annotated[str, Field(examples=["Nyx, Eyjafjallajökull"])] = ""
    """Names in it are favoured by the decoder `beam`: see `docs/http.md` for which."""
    keywords: Annotated[Phrases, Field(examples=[["Nyx"]])] = []
    """OpenAI's name for `hotwords`; both together are one list."""
    response_format: Annotated[
        Literal["json", "text", "srt", "vtt", "verbose_json"],
        BeforeValidator(_without_speakers),
        Field(examples=["verbose_json"]),
    ] = "json"
    """`verbose_json` has times and confidence; `srt` and `vtt` are subtitles."""
    timestamp_granularities: Annotated[
        list[Literal["word", "segment"]], Field(examples=[["word"]])
    ] = ["segment"]
    """`word` adds the words' times to `verbose_json`."""
    include: list[Literal["logprobs"]] = []
    """`logprobs` adds the logarithm of each word's confidence to `json` and to streams."""
    stream: bool = False
    """`true` answers with server-sent events: the text in pieces, then all of it."""
    temperature: Annotated[float, Field(ge=0, le=1, examples=[0])] = 0.0
    """Accepted for OpenAI's clients; this kind of model samples nothing."""

    def phrases(self) -> list[str]:
        """The hot words that were asked for, by either name."""
        return [*self.hotwords, *self.keywords]

    def options(self, recognizer: Recognizer) -> dict[str, Any]:
        """As for any reading; where the decoder is `beam`, the prompt's names are hot words too.

        A name that this model cannot spell is passed over, as it was not asked for as a hot word.
        """
        options = super().options(recognizer)
        if recognizer.options(**options).decoder == "beam":
            names = [name for name in hot_words(self.prompt) if _spells(recognizer, name)]
            if phrases := dict.fromkeys([*self.phrases(), *names]):
                options["hotwords"] = tuple(phrases)
        return options


class TranscribeQuery(Reading):
    """How the recording in the body is to be read and answered."""

    format: Annotated[
        Literal["json", "txt", "text", "srt", "vtt", "tsv", "ctm"], Field(examples=["json"])
    ] = "json"
    """The answer's format; each is what `asr transcribe --format` writes."""
    subtitles: Literal["srt", "vtt"] | None = None
    """Adds subtitles in that format to `json`, as `subtitles`."""
    multichannel: bool = False
    """`true` reads each channel by itself and answers with `channels`, in `json` only."""


def _spells(recognizer: Recognizer, phrase: str) -> bool:
    text = normalise(phrase)
    return bool(text) and not recognizer.bundle.tokenizer.unknown(text)


def form_schema() -> dict[str, Any]:
    """The form as the API's schema tells it."""
    schema = _schema(TranscriptionForm)
    for name in WITHOUT_EFFECT:
        schema["properties"][name] = {
            "type": "string",
            "description": "Accepted for clients of other models; it has no effect here.",
        }
    return schema


def query_parameters() -> list[dict[str, Any]]:
    """The query as the API's schema tells it."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.pop("description"),
            "schema": field,
        }
        for name, field in _schema(TranscribeQuery)["properties"].items()
    ]


def _schema(kind: type[Reading]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    for field in schema["properties"].values():
        # What may be None is left out: neither a form nor a query can say null.
        if "anyOf" in field:
            field |= next(one for one in field.pop("anyOf") if one != {"type": "null"})
            del field["default"]
    return schema
