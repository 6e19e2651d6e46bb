"""The plain text of a recording: one line, or paragraphs if it is long."""

from collections.abc import Iterable, Iterator

from asr.transcript.segments import Seconds, Segment

ONE_LINE_S = 60.0
"""The text of a recording up to this length is one line."""
PAUSE_S = 2.0
"""A pause of this length begins a new paragraph."""
FULL_S = 60.0
"""A paragraph that has lasted so long ends at the next pause between segments."""


def paragraphs(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """The segments in paragraphs: they end at long pauses, when they are full, and at the end of
    a speaker's turn.

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
    return (
        following.channel != last.channel
        or following.start - last.end >= PAUSE_S
        or last.end - held[0].start >= FULL_S
    )


def clock(seconds: Seconds) -> str:
    """`seconds` as hours:minutes:seconds, rounded down."""
    minutes, whole = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{whole:02}"
