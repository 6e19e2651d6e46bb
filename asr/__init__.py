"""earshot: a bidirectional-LSTM CTC speech recogniser to train, ship and run.

    from asr import Recognizer

    recognizer = Recognizer.load()  # the bundle that ships; or Recognizer.load("my_bundle")
    transcript = recognizer.transcribe("talk.flac")
    print(transcript.text)
    for word in transcript.words:
        print(word.start, word.end, word.text, word.confidence)

A recogniser may be used from several threads at once; options travel with each call.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr.errors import AsrError
    from asr.runtime import Recognizer
    from asr.transcript import Transcript, Word

__all__ = ["AsrError", "Recognizer", "Transcript", "Word"]


def __getattr__(name: str) -> Any:
    # Looked up on first use: torch takes seconds to import, and `asr --help` does without.
    if name == "Recognizer":
        from asr.runtime import Recognizer

        return Recognizer
    if name in ("Transcript", "Word"):
        from asr import transcript

        return getattr(transcript, name)
    if name == "AsrError":
        from asr.errors import AsrError

        return AsrError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
