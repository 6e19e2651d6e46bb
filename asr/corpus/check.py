"""What keeps a manifest line from being trained on."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from asr.corpus.manifest import Finding, Utterance
from asr.text import Tokenizer


def check_lines(utterances: Sequence[Utterance]) -> Iterator[Finding]:
    """Findings on lines that serve no purpose: an empty text, a recording that is not there."""
    for utterance in utterances:
        if not utterance.text:
            yield Finding(utterance.line, "the text is empty")
        if not utterance.audio.is_file():
            yield Finding(utterance.line, f"there is no file {utterance.audio}")


def check_spelling(utterances: Sequence[Utterance], tokenizer: Tokenizer) -> Iterator[Finding]:
    """Findings on texts with characters that no unit spells."""
    for utterance in utterances:
        if unknown := tokenizer.unknown(utterance.text):
            listed = ", ".join(repr(char) for char in sorted(unknown))
            yield Finding(utterance.line, f"the units cannot spell {listed}")


def frames_needed(units: Sequence[int]) -> int:
    """The fewest output frames in which CTC can spell `units`.

    One frame a unit, and a blank between equal neighbours (Graves et al., 2006, eq. 2: the map
    from paths to labellings merges repeats).
    """
    repeats = sum(left == right for left, right in pairwise(units))
    return len(units) + repeats
