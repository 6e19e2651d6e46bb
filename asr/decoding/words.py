"""Hypotheses -> transcripts: words with their times and confidence."""

from statistics import fmean

from asr.decoding.hypothesis import Hypothesis
from asr.text import Tokenizer
from asr.transcript import Transcript, Word


def transcript(
    hypothesis: Hypothesis, tokenizer: Tokenizer, frame_seconds: float, duration: float
) -> Transcript:
    """The transcript that a hypothesis spells.

    A word lasts from the first frame of its first unit to the last frame of its last unit. CTC
    tends to fire late and briefly: starts are good to about two frames, ends less so. Times
    never overlap and lie within the recording.

    Confidence runs from 0 to 1: a word has that of its least certain unit, since one wrong unit
    makes a wrong word; the transcript has the mean over its words, and 0 where there are none.

    Args:
        hypothesis: of the whole recording.
        tokenizer: the one whose units the hypothesis is spelled in.
        frame_seconds: seconds from one frame to the next.
        duration: seconds of the recording; no frame starts behind it.
    """
    words = tuple(
        Word(
            text=text,
            start=_seconds(hypothesis.starts[first], frame_seconds),
            end=min(_seconds(hypothesis.ends[end - 1], frame_seconds), duration),
            confidence=min(hypothesis.confidences[first:end]),
        )
        for text, first, end in tokenizer.word_spans(hypothesis.units)
    )
    return Transcript(
        text=" ".join(word.text for word in words),
        words=words,
        confidence=fmean(word.confidence for word in words) if words else 0.0,
        duration=duration,
        no_speech=not words,
    )


def _seconds(frame: int, frame_seconds: float) -> float:
    return round(frame * frame_seconds, 6)  # 7 * 0.04 is 0.28, not 0.28000000000000003
