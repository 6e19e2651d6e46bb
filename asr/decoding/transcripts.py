"""Words in frames -> transcripts in seconds."""

from collections.abc import Sequence

from asr.decoding.calibration import Calibration, times
from asr.decoding.words import DecodedWord
from asr.transcript import Transcript, Word


def transcript(
    words: Sequence[DecodedWord],
    frame_seconds: float,
    duration: float,
    calibration: Calibration | None = None,
) -> Transcript:
    """The transcript of a recording in which these words were decoded.

    Stretches of words that are not speech by the calibration are left out. Times never overlap and
    lie within the recording. Confidence is the probability that a word is right.

    Args:
        frame_seconds: seconds from one frame to the next.
        duration: seconds of the recording; no frame starts after it.
    """
    known = calibration or Calibration()
    kept = known.spoken(words, frame_seconds)
    runs = [(spoken_word.start, spoken_word.end) for spoken_word in kept]
    bounds = times(runs, frame_seconds, duration, known.end_offset)
    spoken = [
        Word(text=word.text, start=start, end=end, confidence=known.of_word(word))
        for word, (start, end) in zip(kept, bounds, strict=True)
    ]
    return Transcript.of(spoken, duration)
