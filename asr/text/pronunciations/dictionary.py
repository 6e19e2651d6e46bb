"""Pronunciations of words and their files: `word<TAB>P1 P2 P3`, one pronunciation per line.

A line may end in a comment, ` # like this`. The CMU Pronouncing Dictionary can be read unchanged,
with its variants (`word(2)`), its comments, and the stress marks of its vowels (`AH0`), which are
removed.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeAlias

from asr.counting import counted
from asr.errors import BadData
from asr.files import write_atomically
from asr.text.normalise import normalise

Phones: TypeAlias = tuple[str, ...]

_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
ARPABET_VOWELS = frozenset(_VOWELS.split())
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
ARPABET = frozenset(f"{_VOWELS} {_CONSONANTS}".split())
"""The 39 phones of the CMU Pronouncing Dictionary, without stress."""
_UNSTRESSED = {f"{vowel}{stress}": vowel for vowel in _VOWELS.split() for stress in "012"}
_COMMENT = re.compile(r"(^;;;|\s#).*")
_VARIANT = re.compile(r"\(\d+\)$")
_LONGEST_LINE = 1000  # characters


@dataclass(frozen=True)
class Fault:
    """A line of a file that cannot be used."""

    line: int
    reason: str


class Pronunciations(Mapping[str, tuple[Phones, ...]]):
    """Words and their pronunciations; immutable."""

    def __init__(self, entries: Mapping[str, Iterable[Sequence[str]]]) -> None:
        """Words in normal form with their pronunciations, the most common first."""
        pairs = ((word, tuple(dict.fromkeys(map(tuple, said)))) for word, said in entries.items())
        self._entries: dict[str, tuple[Phones, ...]] = {word: said for word, said in pairs if said}

    @classmethod
    def load(
        cls,
        path: Path,
        phones: Collection[str] | None = None,
        unknown: Callable[[str], Collection[str]] | None = None,
    ) -> "Pronunciations":
        """The pronunciations in a file.

        Args:
            phones: the phones that are allowed; by default any.
            unknown: the letters of a word that are not allowed; by default none.

        Raises:
            BadData: the file cannot be read, is empty, or has a faulty line.
        """
        found, faults = read(path, phones, unknown)
        if faults:
            more = f" (and {counted(len(faults) - 1, 'line')} more)" if faults[1:] else ""
            raise BadData(f"{path}, line {faults[0].line}: {faults[0].reason}{more}.")
        return found

    @classmethod
    def load_saved(cls, path: Path) -> "Pronunciations":
        """The pronunciations in a file that `save` wrote; ten times as fast as `load`.

        Nothing is checked: a bundle's file has passed `load` once, and has a checksum.

        Raises:
            BadData: the file cannot be read.
        """
        try:
            return cls.of_lines(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(f"pronunciations {path} cannot be read ({error}).") from error

    @classmethod
    def of_lines(cls, text: str) -> "Pronunciations":
        """The pronunciations in lines as `lines` gives them, which are not checked."""
        entries: dict[str, tuple[Phones, ...]] = {}
        for line in text.splitlines():
            word, _, phones = line.partition("\t")
            said = tuple(phones.split())
            entries[word] = (*entries[word], said) if word in entries else (said,)
        loaded = cls({})
        loaded._entries = entries
        return loaded

    @property
    def words(self) -> tuple[str, ...]:
        """All words, in their order in the file."""
        return tuple(self._entries)

    @cached_property
    def phones(self) -> Phones:
        """Every phone that occurs, sorted."""
        return tuple(sorted({p for said in self._entries.values() for one in said for p in one}))

    def of(self, word: str) -> tuple[Phones, ...]:
        """The pronunciations of a word in normal form, the most common first; none if unknown."""
        return self._entries.get(word, ())

    def __getitem__(self, word: str) -> tuple[Phones, ...]:
        return self._entries[word]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        """Number of words."""
        return len(self._entries)

    def merged(self, *others: "Pronunciations") -> "Pronunciations":
        """These and the words that others add; the first that has a word decides how it is said."""
        entries = dict(self._entries)
        for other in others:
            entries = {**other._entries, **entries}
        return Pronunciations(entries)

    def lines(self) -> Iterator[str]:
        """The lines of a file from which `load` reads the same pronunciations."""
        for word, said in self._entries.items():
            yield from (f"{word}\t{' '.join(phones)}" for phones in said)

    def save(self, path: Path) -> None:
        """Writes the file atomically.

        Raises:
            BadOption: it cannot be written there.
        """
        write_atomically(path, "".join(f"{line}\n" for line in self.lines()))


def read(
    path: Path,
    phones: Collection[str] | None = None,
    unknown: Callable[[str], Collection[str]] | None = None,
) -> tuple[Pronunciations, tuple[Fault, ...]]:
    """The pronunciations in the good lines of a file, and its faulty lines.

    Args:
        phones, unknown: as of `Pronunciations.load`.

    Raises:
        BadData: the file cannot be read, or has no good line.
    """
    entries: dict[str, list[Phones]] = {}
    written: set[tuple[str, Phones]] = set()
    faults: list[Fault] = []
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if not (said := _COMMENT.sub("", line)).strip() and said != line:
                    continue  # a comment alone
                word, pronunciation = _parted(said)
                reason = _fault(word, pronunciation, line, phones, written)
                if reason is None and unknown and (letters := unknown(normalise(word))):
                    listed = " ".join(sorted(letters))
                    reason = f"{word!r} has letters that the bundle's model lacks: {listed}"
                if reason is not None:
                    faults.append(Fault(number, reason))
                    continue
                written.add((word, pronunciation))
                plain = tuple(_plain(phone, phones) for phone in pronunciation)
                entries.setdefault(normalise(word), []).append(plain)
    except UnicodeDecodeError as error:
        raise BadData(f"{path} is not UTF-8; write it as UTF-8.") from error
    except OSError as error:
        raise BadData(f"pronunciations {path} cannot be read ({error.strerror}).") from error
    if not entries:
        reason = f"line {faults[0].line}: {faults[0].reason}" if faults else "it is empty"
        raise BadData(f"{path} has no pronunciations ({reason}); write lines `word<TAB>P1 P2`.")
    return Pronunciations(entries), tuple(faults)


def has_pronunciations(path: Path) -> bool:
    """Whether the first line of a file is a pronunciation."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            return is_pronunciation(file.readline(_LONGEST_LINE))
    except (OSError, UnicodeDecodeError):
        return False  # whoever reads it says so


def is_pronunciation(line: str) -> bool:
    """Whether a line is a word, a tab and English phones."""
    word, _, said = _COMMENT.sub("", line).partition("\t")
    phones = said.split()
    return bool(word.strip() and phones) and all(_plain(one, None) in ARPABET for one in phones)


def _parted(line: str) -> tuple[str, Phones]:
    """The word and the phones of a line; without a tab, the word ends at the first space."""
    word, tab, rest = line.partition("\t")
    if not tab:
        word, _, rest = line.strip().partition(" ")
    return _VARIANT.sub("", word.strip()), tuple(rest.split())


def _plain(phone: str, phones: Collection[str] | None) -> str:
    """The phone without its stress mark, unless phones with stress marks are allowed."""
    return phone if phones is not None and phone in phones else _UNSTRESSED.get(phone, phone)


def _fault(
    word: str,
    pronunciation: Phones,
    line: str,
    phones: Collection[str] | None,
    written: Collection[tuple[str, Phones]],
) -> str | None:
    if not line.strip():
        return "it is empty; delete it"
    if len(line) > _LONGEST_LINE:
        return f"it has over {_LONGEST_LINE} characters; write one pronunciation a line"
    plain = normalise(word)
    if len(plain.split()) != 1:
        what = f"is {len(plain.split())} words as texts are read" if plain else "is no word"
        return f"{word!r} {what}; give each word a line of its own"
    if not pronunciation:
        return f"{word!r} has no phones; write `word<TAB>P1 P2`"
    if phones is not None:
        unknown = [phone for phone in pronunciation if _plain(phone, phones) not in phones]
        if unknown:
            return f"{word!r} has the unknown phone {unknown[0]!r}; there are {_listed(phones)}"
    if (word, pronunciation) in written:
        return f"{word!r} is said so above; delete the line"
    return None


def _listed(phones: Collection[str]) -> str:
    return " ".join(sorted(phones))
