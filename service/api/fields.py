"""The fields of requests: their types, limits and meaning."""

import contextlib
import re
from typing import Annotated, Any, Literal

from fastapi import UploadFile
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from asr.errors import BadOption
from asr.options import NAMES, Options, described
from asr.runtime import Recognizer
from asr.runtime.alignment import tokens
from asr.scripts import tokens as words_of
from asr.text.languages import language_code, language_name
from asr.transcript import LAYOUT, Layout
from asr.transcript.segments import PAUSE_S
from service.api.prompt import LONGEST_PHRASE, hot_words
from service.engine.tasks import KnownText
from service.errors import ApiError

# Fields that servers of Whisper-like models take and that have no meaning for this kind of model,
# which does not sample and cuts recordings in its own way.
WITHOUT_EFFECT = (
    "best_of", "chunking_strategy", "compression_ratio_threshold", "condition_on_previous_text",
    "frequency_penalty", "length_penalty", "log_prob_threshold", "logprob_threshold",
    "max_initial_timestamp", "min_p", "no_repeat_ngram_size", "no_speech_threshold", "patience",
    "presence_penalty", "repetition_penalty", "seed", "suppress_blank", "suppress_tokens",
    "temperature_inc", "top_k", "top_p", "vad_filter", "without_timestamps",
)  # fmt: skip
SPEAKERS = ("known_speaker_names", "known_speaker_references")
AUTO = "auto"
"""The value of `language` that stands for the model's own."""


def _language(value: Any) -> Any:
    """The code of a language that is given by its code or name."""
    if not isinstance(value, str) or value.lower() == AUTO:
        return AUTO if isinstance(value, str) else value
    try:
        return language_code(value)
    except BadOption as error:
        message = "A language is given by its code, such as 'en', or its English name"
        raise PydanticCustomError("no_language", message) from error


_BETWEEN = re.compile(r"[,\r\n]")


def _phrases(value: Any) -> Any:
    """Split items that hold several phrases, with commas or line ends between them."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return value
    phrases = [
        phrase for item in value for part in _BETWEEN.split(item) if (phrase := part.strip())
    ]
    if any(len(phrase) > LONGEST_PHRASE for phrase in phrases):
        message = (
            f"A hot word has at most {LONGEST_PHRASE} characters: separate phrases with commas or "
            "line ends"
        )
        raise PydanticCustomError("long_phrase", message)
    return phrases


Language = Annotated[
    str, BeforeValidator(_language), WithJsonSchema({"type": "string", "examples": ["en"]})
]
Phrases = Annotated[list[str], BeforeValidator(_phrases)]


def _channels(*words: str) -> tuple[AfterValidator, WithJsonSchema]:
    """What a field takes that names channels: one of these words, or the number of a channel."""
    pattern = f"^({'|'.join(words)}|[1-9][0-9]?)$"

    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"choose {', '.join(words)} or the number of a channel")
        return value

    schema = {"type": "string", "pattern": pattern, "examples": ["mix"]}
    return AfterValidator(check), WithJsonSchema(schema)


Channel = Annotated[str, *_channels("mix")]
Channels = Annotated[str, *_channels("mix", "split")]


def _option(name: str, most: int | None = None, example: Any = None, of: type = Options) -> Any:
    """The field of an option, with the limits and the help of its dataclass.

    Args:
        most: highest value that a request may ask for, where that is lower.
    """
    option = described(name, of)
    default = "the model's" if of is Options else str(option.default).lower()
    return Field(
        default=None,
        ge=option.low,
        le=option.high if most is None else most,
        description=f"{option.help} The default is {default}.",
        examples=None if example is None else [example],
    )


_SPEAKERS = _option("speakers", example="left=Ann,right=Bob", of=Layout)


class Fields(BaseModel):
    """The fields of a request; what is not among them is refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class LayoutFields(Fields):
    """How a transcript is to be laid out."""

    max_line_width: int | None = _option("max_line_width", example=42, of=Layout)
    max_line_count: int | None = _option("max_line_count", example=2, of=Layout)
    highlight_words: bool | None = _option("highlight_words", of=Layout)

    def layout(self) -> Layout:
        """How the transcript is laid out in the answer."""
        given = self.model_dump(include=set(LAYOUT))
        return Layout(**{name: value for name, value in given.items() if value is not None})


class AnswerFields(LayoutFields):
    """The shape of an answer of OpenAI's endpoint."""

    response_format: Annotated[
        Literal["json", "text", "srt", "vtt", "verbose_json", "diarized_json"],
        Field(examples=["verbose_json"]),
    ] = "json"
    """`verbose_json` has times and confidence; `srt` and `vtt` are subtitles; `diarized_json` says
    who speaks, with `channels=split`."""
    timestamp_granularities: Annotated[
        list[Literal["word", "segment"]], Field(examples=[["word"]])
    ] = ["segment"]
    """`word` adds the words' times to `verbose_json`."""
    include: list[Literal["logprobs"]] = []
    """`logprobs` adds the logarithm of each word's confidence to `json` and to streams."""


class ResultQuery(AnswerFields):
    """The shape of a job's result."""

    response_format: Annotated[
        Literal[
            "json",
            "text",
            "srt",
            "vtt",
            "verbose_json",
            "diarized_json",
            "txt",
            "tsv",
            "ctm",
            "textgrid",
            "eaf",
        ],
        Field(examples=["srt"]),
    ] = "json"  # type: ignore[assignment]  # more than a request has
    """Those of a transcription, and what else `asr transcribe --format` writes."""
    speakers: str | None = _SPEAKERS
    timestamps: bool | None = _option("timestamps", of=Layout)


class HowFields(Fields):
    """How speech is to be read."""

    model: Annotated[str, Field(examples=["whisper-1"])] = "whisper-1"
    """The id of a served model, or one of OpenAI's names, which stand for the default one."""
    language: Language = AUTO
    """The language spoken, by its code or English name: that of the model, or `auto`."""
    decoder: Literal["greedy", "beam"] | None = _option("decoder")
    beam_size: int | None = _option("beam_size", most=512, example=16)
    lm_weight: float | None = _option("lm_weight", example=0.5)
    hotwords: Annotated[Phrases, Field(examples=[["Nyx", "Eyjafjallajökull"]])] = []
    """Words or phrases to favour: the field may be sent several times, and commas or line ends
    separate phrases. With any, the default decoder is `beam`."""
    written: bool | None = _option("written")
    digits: Literal["always", "never"] | None = _option("digits")

    def options(self, recognizer: Recognizer) -> dict[str, Any]:
        """The options that the request gives, as `recognizer` takes them.

        Raises:
            ApiError: a value is not possible, alone or together with another one.
        """
        self._check_languages(recognizer.bundle.info.language)
        given = self.model_dump(include=set(NAMES) - {"hotwords"})
        options = {name: value for name, value in given.items() if value is not None}
        if phrases := self.phrases():
            options["hotwords"] = tuple(dict.fromkeys(phrases))
        try:
            recognizer.options(**options)
        except BadOption as error:  # whose sentence starts with the option's name
            first = str(error).replace("hot word", "hotwords", 1).partition(" ")[0]
            param = self._given_as(first) if first in options else None
            raise ApiError(422, str(error), param=param, code="invalid_option") from error
        return options

    def spoken(self) -> list[tuple[str, str]]:
        """Each language that the request gives, after the field's name."""
        return [("language", self.language)]

    def _check_languages(self, own: str) -> None:
        """ApiError if the request gives another language than the model's own."""
        for field, code in self.spoken():
            if code not in (AUTO, own):
                message = (
                    f"This model reads {language_name(own)} ('{own}') and no other language, got "
                    f"'{code}'."
                )
                raise ApiError(422, message, param=field, code="invalid_value")

    def phrases(self) -> list[str]:
        """The hot words that the request gives."""
        return self.hotwords

    def _given_as(self, option: str) -> str:
        """The field that gave an option."""
        return option


class RequestFields(LayoutFields, HowFields):
    """How a recording is to be transcribed: the fields that both endpoints have."""

    track: Annotated[int | None, Field(ge=1, le=100, examples=[1])] = None
    """Which audio track of a film is used, counted from 1; by default the one marked as default."""
    channels: Channels = "mix"
    """`mix` reads the mean of all channels, `split` each by itself into one transcript in order of
    time, and a number that channel alone, counted from 1."""
    nbest: int | None = _option("nbest", most=50, example=1)
    speakers: str | None = _SPEAKERS


class OpenAIFields(HowFields):
    """How speech is to be read, with OpenAI's own names."""

    languages: Annotated[list[Language], Field(examples=[["en"]])] = []
    """The languages that may be spoken: only that of the model."""
    prompt: Annotated[str, Field(examples=["Nyx, Eyjafjallajökull"])] = ""
    """Names in it are favoured by the decoder `beam`; `docs/http-reference.md` says which."""
    keywords: Annotated[Phrases, Field(examples=[["Nyx"]])] = []
    """OpenAI's name for `hotwords`; the two lists are joined."""

    def spoken(self) -> list[tuple[str, str]]:
        """Each language that the request gives, after the field's name."""
        return [*super().spoken(), *(("languages", code) for code in self.languages)]

    def phrases(self) -> list[str]:
        """The hot words that the request gives, by either name."""
        return [*self.hotwords, *self.keywords]

    def _given_as(self, option: str) -> str:
        return "keywords" if option == "hotwords" and not self.hotwords else option

    def options(self, recognizer: Recognizer) -> dict[str, Any]:
        """As in any request; with the decoder `beam`, the names in the prompt are hot words too.

        Names that this model cannot spell are left out, since they were not given as hot words. If
        names and hot words are too many together, all names are left out.
        """
        options = super().options(recognizer)
        if recognizer.options(**options).decoder == "beam":
            names = [name for name in hot_words(self.prompt) if _spells(recognizer, name)]
            if names:
                both = {**options, "hotwords": tuple(dict.fromkeys([*self.phrases(), *names]))}
                with contextlib.suppress(BadOption):
                    recognizer.options(**both)
                    return both
        return options


class TranscriptionForm(OpenAIFields, RequestFields, AnswerFields):
    """The form of OpenAI's endpoint."""

    file: UploadFile
    """The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, recognised by its bytes."""
    stream: bool = False
    """`true` answers with server-sent events: the text in parts, then all of it."""
    temperature: Annotated[float, Field(ge=0, le=1, examples=[0])] = 0.0
    """Accepted for OpenAI's clients; it has no effect, as this kind of model does not sample."""


class TranscribeQuery(RequestFields):
    """The query of the native endpoint."""

    format: Annotated[
        Literal["json", "txt", "text", "srt", "vtt", "tsv", "ctm", "textgrid", "eaf"],
        Field(examples=["json"]),
    ] = "json"
    """The format of the answer, as `asr transcribe --format` writes it."""
    timestamps: bool | None = _option("timestamps", of=Layout)
    subtitles: Literal["srt", "vtt"] | None = None
    """Adds subtitles in that format to `json`, as `subtitles`."""
    multichannel: bool = False
    """`true` transcribes each channel separately and answers with `channels`, in `json` only."""


class AlignForm(LayoutFields):
    """The form of an alignment."""

    file: UploadFile
    """The recording: wav, flac, mp3, ogg, opus, m4a, mp4 or webm, recognised by its bytes."""
    text: Annotated[str, Field(examples=["the man said to the universe sir i exist"])]
    """What is said in it, in order: it may have more or less than the recording."""
    model: Annotated[str, Field(examples=["whisper-1"])] = "whisper-1"
    """The id of a served model, or one of OpenAI's names, which stand for the default one."""
    track: Annotated[int | None, Field(ge=1, le=100, examples=[1])] = None
    """Which audio track of a film is used, counted from 1; by default the one marked as default."""
    channels: Channel = "mix"
    """`mix` reads the mean of all channels, and a number that channel alone, counted from 1."""
    response_format: Annotated[
        Literal["json", "txt", "srt", "vtt", "tsv", "ctm", "textgrid", "eaf"],
        Field(examples=["json"]),
    ] = "json"
    """The format of the answer, as `asr align --format` writes it."""
    timestamps: bool | None = _option("timestamps", of=Layout)

    @field_validator("text")
    @classmethod
    def _words_are_short(cls, value: str) -> str:
        if any(len(word) > LONGEST_PHRASE for word in words_of(value)):
            raise ValueError(f"a word of the text has over {LONGEST_PHRASE} characters")
        return value

    def known_text(self, recognizer: Recognizer) -> KnownText:
        """The text to align; ApiError (422) if `recognizer` can spell no word of it."""
        bundle = recognizer.bundle
        try:
            tokens(self.text, bundle.tokenizer, bundle.spelling)
        except BadOption as error:
            raise ApiError(422, str(error), param="text", code="invalid_option") from error
        return KnownText(self.text)


class SpeechQuery(Fields):
    """The query of a search for speech."""

    model: Annotated[str, Field(examples=["whisper-1"])] = "whisper-1"
    """The id of a served model, or one of OpenAI's names, which stand for the default one."""
    track: Annotated[int | None, Field(ge=1, le=100, examples=[1])] = None
    """Which audio track of a film is used, counted from 1; by default the one marked as default."""
    channels: Channel = "mix"
    """`mix` reads the mean of all channels, and a number that channel alone, counted from 1."""
    pause: Annotated[float, Field(ge=0.1, le=60, examples=[0.8])] = PAUSE_S
    """Seconds without a word that end a stretch of speech."""


class JobForm(TranscriptionForm):
    """The form of a job: that of a transcription, whose shape may be chosen anew for the result."""

    callback_url: Annotated[str | None, Field(max_length=2000)] = None
    """Address that is called, signed, when the job has ended; on a host that the operator lists."""


def _spells(recognizer: Recognizer, phrase: str) -> bool:
    text = recognizer.bundle.spelling(phrase)
    return bool(text) and not recognizer.bundle.tokenizer.unknown(text)


def form_schema(kind: type[LayoutFields] = TranscriptionForm) -> dict[str, Any]:
    """The form in the API's schema."""
    schema = _schema(kind)
    for name in WITHOUT_EFFECT if issubclass(kind, TranscriptionForm) else ():
        schema["properties"][name] = {
            "type": "string",
            "description": "Accepted for clients of other models; it has no effect here.",
        }
    return schema


def query_parameters(kind: type[Fields] = TranscribeQuery) -> list[dict[str, Any]]:
    """The query in the API's schema."""
    return [
        {
            "name": name,
            "in": "query",
            "required": False,
            "description": field.pop("description"),
            "schema": field,
        }
        for name, field in _schema(kind)["properties"].items()
    ]


def _schema(kind: type[Fields]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    for field in schema["properties"].values():
        # Fields that may be None are optional: neither a form nor a query can express null.
        if "anyOf" in field:
            field |= next(kind for kind in field.pop("anyOf") if kind != {"type": "null"})
            del field["default"]
    return schema
