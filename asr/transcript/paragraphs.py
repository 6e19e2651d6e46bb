"""The plain text of a recording: one line, or paragraphs if it is long."""

from collections.abc import Iterable, Iterator

from asr.transcript.segments import PAUSE_S as SHORT_PAUSE_S
from asr.transcript.segments import Seconds, Segment

ONE_LINE_S = 60.0
"""The text of a recording up to this length is one line."""
PAUSE_S = 2.0
"""A pause of this length begins a new paragraph."""
MISSED_S = 4.0
"""After a pause of this length one begins even within a sentence: its end was not heard."""
FULL_S = 60.0
"""A paragraph that has lasted so long ends at the next pause between segments."""


def paragraphs(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """The segments in paragraphs: they end at long pauses, where the text says so and the speaker
    pauses, when they are full, and at the end of a speaker's turn; where marks are known, with a
    sentence.

    A paragraph is given as soon as the segment after it is known.
    """
    held: list[Segment] = []
    for segment in segments:
        if held and _ends(held, segment):
            yield held
            held = []
        held.append(segment)
    if held:
        yield held


def _ends(held: list[Segment], following: Segment) -> bool:
    last = held[-1]
    if following.channel != last.channel:
        return True
    pause, word = following.start - last.end, last.words[-1]
    if word.written is not None and not last.ends_sentence:
        return pause >= MISSED_S
    by_text = word.ends_paragraph and pause >= SHORT_PAUSE_S
    return by_text or pause >= PAUSE_S or last.end - held[0].start >= FULL_S


def clock(seconds: Seconds) -> str:
    """`seconds` as hours:minutes:seconds, rounded down."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}"
