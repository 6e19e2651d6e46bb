"""How well marks and capitals are put: precision, recall and F1, from right or recognised words.

As Tilk and Alumäe, "Bidirectional recurrent neural network with attention mechanism for punctuation
restoration" (2016), count them: a mark is right if it stands behind the right word.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jiwer

from asr.audio import Audio
from asr.corpus import Finding, Utterance, read_recordings
from asr.errors import BadData, BadOption, ended
from asr.punctuation import Punctuator, written_words
from asr.punctuation.marks import (
    COLON,
    COMMA,
    DASH,
    ENDS,
    EXCLAMATION,
    LOWER,
    MARKS,
    NONE,
    QUESTION,
    SEMICOLON,
    STOP,
    Written,
    case_of,
    parse,
    read_back,
)
from asr.punctuation.model import Timed
from asr.runtime import Recognizer

_MARKS = {
    "full stop": {STOP},
    "comma": {COMMA},
    "question mark": {QUESTION},
    "exclamation mark": {EXCLAMATION},
    "colon, semicolon": {COLON, SEMICOLON},
    "dash": {DASH},
    "all marks": set(range(len(MARKS))) - {NONE},
}
_STARTS, _INSIDE, _NAMES = "sentence starts", "inside sentences", "  without I"
_FIRST_PERSON = ("i", "i'm", "i'll", "i've", "i'd")


@dataclass
class Count:
    """Of one mark, or of capitals in one place."""

    hits: int = 0
    put: int = 0
    """Also where they should not be."""
    true: int = 0

    @property
    def precision(self) -> float:
        """Share of those put that are right."""
        return self.hits / max(1, self.put)

    @property
    def recall(self) -> float:
        """Share of the true ones that were put."""
        return self.hits / max(1, self.true)

    @property
    def f1(self) -> float:
        """The harmonic mean of both."""
        return 2 * self.hits / max(1, self.put + self.true)


@dataclass(frozen=True)
class Put:
    """What is put at a word."""

    capital: bool = False
    mark: int = NONE


@dataclass
class WrittenScore:
    """Counts by name, in the order of `names`."""

    words: int = 0
    counts: dict[str, Count] = field(
        default_factory=lambda: {name: Count() for name in (*_MARKS, _STARTS, _INSIDE, _NAMES)}
    )

    def add(self, reference: Sequence[Written], put: Sequence[Put]) -> None:
        """Counts a stretch of words, with what was put at each."""
        starts = True
        for word, found in zip(reference, put, strict=True):
            self.words += 1
            for name, marks in _MARKS.items():
                right = found.mark == word.mark or (name != "all marks" and found.mark in marks)
                self._count(name, word.mark in marks, found.mark in marks, right)
            capital = word.case != LOWER
            place = _STARTS if starts or (word.quoted and capital) else _INSIDE
            self._count(place, capital, found.capital)
            if place == _INSIDE and word.plain not in _FIRST_PERSON:
                self._count(_NAMES, capital, found.capital)
            starts = word.mark in ENDS

    def insert(self, put: Put) -> None:
        """Counts a mark behind a word that nobody said."""
        for name, marks in _MARKS.items():
            self._count(name, False, put.mark in marks)

    def _count(self, name: str, true: bool, put: bool, right: bool = True) -> None:
        count = self.counts[name]
        count.true += true
        count.put += put
        count.hits += true and put and right

    def lines(self) -> Iterator[str]:
        """The lines of a table."""
        yield f"{'':18} {'true':>7} {'precision':>10} {'recall':>7} {'F1':>6}"
        for name, count in self.counts.items():
            if count.true:
                figures = (count.precision, count.recall, count.f1)
                p, r, f = (f"{100 * figure:.1f}" for figure in figures)
                yield f"{name:18} {count.true:7,} {p:>10} {r:>7} {f:>6}"


@dataclass(frozen=True)
class _Spoken:
    """A plain word with its times, NaN where they are not known."""

    text: str
    start: float = math.nan
    end: float = math.nan


def stretches(lines: Iterable[str], apart: bool) -> Iterator[list[Written]]:
    """The words of a text between numbers in digits, whose reading is not known.

    Args:
        apart: whether each line is for itself, as a single sentence.
    """
    held: list[Written] = []
    for line in lines:
        for word in parse(line):
            if word is not None:
                held.append(word)
            elif held:
                yield held
                held = []
        if apart and held:
            yield held
            held = []
    if held:
        yield held


def score_text(punctuator: Punctuator, lines: Iterable[str], apart: bool) -> WrittenScore:
    """The score of a model on the words of a written text, without any sound."""
    return _score_words(punctuator, stretches(lines, apart))


def _score_words(punctuator: Punctuator, texts: Iterable[list[Written]]) -> WrittenScore:
    score = WrittenScore()
    for words in texts:
        score.add(words, list(_put(punctuator, [_Spoken(word.plain) for word in words])))
    return score


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it, as people write it."""

    id: str
    recording: Utterance | None
    words: list[Written]


def read_clips(written: Path, recordings: Path | None) -> tuple[list[Clip], int]:
    """The clips of a file of JSON lines with `id` and `written`, with their recordings.

    The number is that of texts left out: without a recording or words, or with numbers in digits,
    whose reading is not known.

    Raises:
        BadData: a file cannot be read, or no clip can be scored.
    """
    texts = read_written(written)
    found = {} if recordings is None else {one.id: one for one in read_recordings(recordings)}
    clips = [
        Clip(name, found.get(name), words)
        for name, text in texts.items()
        if (recordings is None or name in found) and (words := _words(text))
    ]
    if not clips and not any(name in found for name in texts) and recordings is not None:
        raise BadData(f"no recording of {recordings} has its text in {written}; check their ids.")
    if not clips:
        raise BadData(f"{written} has no text to score: all are empty or have numbers in digits.")
    return clips, len(texts) - len(clips)


def read_written(path: Path) -> dict[str, str]:
    """The written texts of a file of JSON lines with `id` and `written`, by their ids.

    Raises:
        BadData: it cannot be read.
    """
    try:
        rows = path.read_text(encoding="utf-8-sig").split("\n")
        lines = [json.loads(row) for row in rows if row.strip()]
        texts = [(str(line["id"]), str(line["written"])) for line in lines]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadData(
            f"{path} cannot be read ({error}): give JSON lines with `id` and `written`."
        ) from error
    found: dict[str, str] = {}
    for name, text in texts:
        if name in found:
            raise BadData(f"{path} has two texts of {name!r}: give one of each clip.")
        found[name] = text
    return found


def _words(text: str) -> list[Written]:
    """The words of a clip; none where some of it has no one reading."""
    words = list(parse(text))
    return [] if None in words else [word for word in words if word is not None]


def score_clips_alone(punctuator: Punctuator, clips: Sequence[Clip]) -> WrittenScore:
    """The score on the words of clips, without their sound."""
    return _score_words(punctuator, (clip.words for clip in clips))


def refuse(why: Finding) -> None:
    """Lets no recording be left out: raises BadData, which names it."""
    raise BadData(ended(why.reason))


def score_clips_heard(
    recognizer: Recognizer,
    clips: Sequence[Clip],
    progress: Callable[[int, int], None] | None = None,
    failed: Callable[[Finding], None] = refuse,
) -> tuple[WrittenScore, WrittenScore, int]:
    """The scores on the right words with their times, and on recognised words.

    The third number is that of clips which the first score lacks: those that cannot be read, and
    those whose words were not all found, which only the second score has.

    Args:
        failed: told of each recording that cannot be read; by default the first is an error.

    Raises:
        BadOption: the bundle has no model of marks.
        BadData: a recording cannot be read, where `failed` allows none to be left out.
    """
    punctuator = recognizer.punctuator
    if punctuator is None:
        raise BadOption(
            f"{recognizer.bundle.path} has no model of marks; add one with `asr punctuation add`."
        )
    right, recognised, missed = WrittenScore(), WrittenScore(), 0
    for number, clip in enumerate(clips, start=1):
        assert clip.recording is not None
        sound = clip.recording.heard()
        if isinstance(sound, Finding):
            missed += 1
            failed(sound)
        else:
            said = times_of(recognizer, sound, [word.plain for word in clip.words])
            missed += not said
            if said:
                right.add(clip.words, list(_put(punctuator, said)))
            words = recognizer.transcribe(sound, digits="never").words
            put = [_as_put(word.written or word.text) for word in words]
            add_aligned(recognised, clip.words, [word.text for word in words], put)
        if progress is not None:
            progress(number, len(clips))
    return right, recognised, missed


def times_of(recognizer: Recognizer, sound: Audio, words: Sequence[str]) -> Sequence[Timed]:
    """The words of a text with their times; none if not all are found."""
    try:
        found = recognizer.align(sound, " ".join(words)).words
    except BadOption:  # there is no word to find
        return ()
    return found if len(found) == len(words) else ()


def score_rival(clips: Sequence[Clip], texts: Mapping[str, str]) -> WrittenScore:
    """The score of another system's written texts of the same clips, aligned word by word.

    Raises:
        BadData: a clip has no text.
    """
    score = WrittenScore()
    for clip in clips:
        if clip.id not in texts:
            raise BadData(f"the other system has no text of {clip.id}: give all clips.")
        words = [word for word in parse(texts[clip.id]) if word is not None]
        put = [Put(word.case != LOWER, word.mark) for word in words]
        add_aligned(score, clip.words, [word.plain for word in words], put)
    return score


def add_aligned(
    score: WrittenScore, reference: Sequence[Written], words: Sequence[str], put: Sequence[Put]
) -> None:
    """Counts recognised words, each at the word of the reference that it stands for."""
    at = [Put()] * len(reference)
    inserted: list[Put] = []
    if words:
        plain = " ".join(word.plain for word in reference)
        (chunks,) = jiwer.process_words(plain, " ".join(words)).alignments
        for chunk in chunks:
            places = range(chunk.hyp_start_idx, chunk.hyp_end_idx)
            if chunk.type in ("equal", "substitute"):
                at[chunk.ref_start_idx : chunk.ref_end_idx] = [put[place] for place in places]
            inserted += [put[place] for place in places if chunk.type == "insert"]
    score.add(reference, at)
    for one in inserted:
        score.insert(one)


def _put(punctuator: Punctuator, words: Sequence[Timed]) -> Iterator[Put]:
    for word in written_words(punctuator, words, language=None):
        yield _as_put(word.written)


def _as_put(written: str) -> Put:
    form, mark = read_back(written)
    return Put(case_of(form) != LOWER, mark)
