"""A transcript as the answer to a request, in the format that it asks for."""

from collections.abc import Mapping

from fastapi.responses import PlainTextResponse, Response
from pydantic import BaseModel

from asr.runtime import Recognizer
from asr.transcript import Transcript, write
from service.api.fields import AnswerFields
from service.api.responses import brief, diarized, server_timing, verbose

MEDIA_TYPES = {"vtt": "text/vtt", "tsv": "text/tab-separated-values", "eaf": "text/xml"}
"""Of formats that are not plain text."""


def shaped(
    fields: AnswerFields,
    transcript: Transcript,
    timings: Mapping[str, float],
    recognizer: Recognizer,
) -> Response:
    """The answer in the shapes of OpenAI's endpoint, or another format of `asr transcribe`.

    Args:
        timings: seconds of each stage.
        recognizer: that of the model.
    """
    headers = server_timing(timings)
    chosen = fields.response_format
    if chosen == "json":
        return _json(brief(transcript, with_logprobs=bool(fields.include)), headers)
    if chosen == "verbose_json":
        with_words = "word" in fields.timestamp_granularities
        bundle = recognizer.bundle
        encode, language = bundle.tokenizer.encode, bundle.info.language
        return _json(verbose(transcript, with_words, encode, timings, language), headers)
    if chosen == "diarized_json":
        return _json(diarized(transcript, fields.layout()), headers)
    # As OpenAI's models answer, the text is one line, however long the recording is.
    text = (
        transcript.text if chosen == "text" else write(transcript, chosen, layout=fields.layout())
    )
    return PlainTextResponse(
        text, headers=headers, media_type=MEDIA_TYPES.get(chosen, "text/plain")
    )


def _json(answer: BaseModel, headers: dict[str, str]) -> Response:
    body = answer.model_dump_json(exclude_none=True)
    return Response(body, headers=headers, media_type="application/json")
