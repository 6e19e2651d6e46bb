"""A known text and a recording -> a transcript with the times of the text's words."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from asr.decoding import Calibration, DecodedWord, TextAligner, transcript
from asr.errors import BadOption
from asr.runtime.engine import LogProbs
from asr.runtime.reader import Length
from asr.scripts import joined
from asr.scripts import tokens as parted
from asr.text import SPACE_SIGN, Normaliser, Tokenizer
from asr.transcript import Transcript, Word


@dataclass(frozen=True)
class Token:
    """A word of a text as it is written, and the units that spell it: none if none do."""

    text: str
    units: tuple[int, ...]


def tokens(text: str, tokenizer: Tokenizer, normal: Normaliser) -> list[Token]:
    """The words of a text; a mark that stands alone belongs to the word before it.

    Raises:
        BadOption: the text has no word that the model can spell, or is none.
    """
    if not isinstance(text, str):
        raise BadOption(f"the text is given as {type(text).__name__}: give a string.")
    found: list[Token] = []
    for written in parted(text):
        plain = normal(written)
        if plain:
            spelled = () if tokenizer.unknown(plain) else tuple(tokenizer.encode(plain))
            found.append(Token(written, spelled))
        elif found:
            found[-1] = replace(found[-1], text=joined((found[-1].text, written)))
    if not any(token.units for token in found):
        raise BadOption("the text has no word that the model can spell; give what is said.")
    return found


def align_text(
    parts: Iterable[Sequence[LogProbs]],
    length: Length,
    written: Sequence[Token],
    tokenizer: Tokenizer,
    frame_seconds: float,
    end_offset: float,
) -> Transcript:
    """The transcript of a recording from the parts of its lattice `(U, V)`, as they come.

    Args:
        length: of the recording, known when the parts end.
        written: the words of the text.
        end_offset: as of a `Calibration`.
    """
    spelled = [index for index, token in enumerate(written) if token.units]
    spellings = tokenizer.spellings
    space = spellings.index(SPACE_SIGN) if SPACE_SIGN in spellings else None
    aligner = TextAligner([written[index].units for index in spelled], space)
    for together in parts:
        for part in together:
            aligner.add(part[:, : tokenizer.n_units])
    found = list(aligner.end())
    words = [
        DecodedWord(
            text=written[spelled[word.index]].text,
            start=word.start,
            end=word.end,
            certainty=word.posterior,
            doubt=0.0,
            posterior=word.posterior,
            spelled=float(word.end - word.start),
        )
        for word in found
    ]
    # The text is known to be speech, and its words were not decoded: their posteriors say more.
    calibration = Calibration(end_offset=end_offset)
    said = transcript(words, frame_seconds, length.seconds, calibration)
    places = [spelled[word.index] for word in found]
    return replace(said, unsaid=_unsaid(written, places, said.words))


def _unsaid(
    written: Sequence[Token], places: Sequence[int], words: Sequence[Word]
) -> tuple[Word, ...]:
    """The words of a text that were not found, each at the end of the last one before it."""
    at = dict(zip(places, words, strict=True))
    now, unsaid = 0.0, []
    for index, token in enumerate(written):
        if index in at:
            now = at[index].end
        else:
            unsaid.append(Word(token.text, now, now, 0.0))
    return tuple(unsaid)
