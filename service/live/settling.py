"""What is settled of an utterance that is read again and again while it is said.

A model that reads in both directions may change any word with what follows. The code here is pure:
a word is settled once two readings that follow each other agree on it and on all words before it
(Macháček, Dabre and Bojar, 2023, call it local agreement). What is settled never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asr.scripts import joined
from asr.transcript import Word, displayed


@dataclass(frozen=True)
class Shown:
    """What changes for a reader with one more reading."""

    settled: str
    """To be put behind the settled text: it stays."""
    tentative: str
    """To be shown behind that, until the next reading."""


class Settling:
    """One utterance."""

    def __init__(self) -> None:
        self._settled: tuple[Word, ...] = ()
        self._tail: tuple[Word, ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """What is settled, as it is written."""
        return self._settled

    @property
    def text(self) -> str:
        """The same, as text."""
        return _text(self._settled)

    def read(self, words: Sequence[Word]) -> Shown:
        """Take another reading of the utterance, which may have gone on.

        The last word of a reading is never settled: it may be half of one, and which mark follows
        it is not known.
        """
        fresh = self._fresh(displayed(words))
        agreed = 0
        for before, now in zip(self._tail, fresh[:-1], strict=False):
            if before.text != now.text:
                break
            agreed += 1
        return self._shown(fresh[:agreed], fresh[agreed:])

    def end(self, words: Sequence[Word]) -> Shown | None:
        """Take the last reading: all of it is settled; None if it changes what is settled."""
        whole = displayed(words)
        count = len(self._settled)
        if [word.text for word in whole[:count]] != [word.text for word in self._settled]:
            return None
        return self._shown(whole[count:], ())

    def _fresh(self, words: Sequence[Word]) -> tuple[Word, ...]:
        """The words behind what is settled, by their times: a reading may have more or fewer words
        in the settled stretch."""
        if not self._settled:
            return tuple(words)
        end = self._settled[-1].end
        return tuple(word for word in words if (word.start + word.end) / 2 > end)

    def _shown(self, new: Sequence[Word], tail: Sequence[Word]) -> Shown:
        before = self.text
        self._settled += tuple(new)
        self._tail = tuple(tail)
        settled = self.text
        shown = _text((*self._settled, *tail))
        return Shown(settled[len(before) :], shown[len(settled) :])


def _text(words: Sequence[Word]) -> str:
    return joined(word.text for word in words)
