"""earshot: a bidirectional-LSTM CTC speech recogniser to train, ship and run.

    import asr

    recognizer = asr.load()  # the bundle that ships; or asr.load("my_bundle")
    transcript = recognizer.transcribe("talk.flac")
    print(transcript.text)
    for word in transcript.words:
        print(word.start, word.end, word.text, word.confidence)
    transcript.save("talk.srt")

A recogniser may be used from several threads at once; options travel with each call. What a caller
can mend is raised as an `AsrError`.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.batch import transcribe_files
    from asr.errors import AsrError, BadAudio, BadBundle, BadData, BadMachine, BadOption, TooLong
    from asr.options import Options
    from asr.runtime import Recognizer
    from asr.transcript import Alternative, Layout, Segment, Transcript, Word

    __version__: str
    load = Recognizer.load

__all__ = [
    "Alternative",
    "AsrError",
    "BadAudio",
    "BadBundle",
    "BadData",
    "BadMachine",
    "BadOption",
    "Layout",
    "Options",
    "Recognizer",
    "Segment",
    "TooLong",
    "Transcript",
    "Word",
    "__version__",
    "load",
    "transcribe_files",
]
_HOMES = {
    "asr.batch": ("transcribe_files",),
    "asr.errors": (
        "AsrError", "BadAudio", "BadBundle", "BadData", "BadMachine", "BadOption", "TooLong",
    ),
    "asr.options": ("Options",),
    "asr.runtime": ("Recognizer",),
    "asr.transcript": ("Alternative", "Layout", "Segment", "Transcript", "Word"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    # Looked up on first use: torch takes seconds to import, and `asr --help` does without.
    if name == "__version__":
        return import_module("importlib.metadata").version("earshot")
    if name == "load":
        return __getattr__("Recognizer").load
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
