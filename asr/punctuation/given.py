"""How the caller writes words: the capitals of hot words, as in iPhone and in Zoe McDonald."""

from collections.abc import Callable, Iterable, Sequence

from asr.punctuation.marks import LOWER, MIXED, case_of, parse
from asr.text import Normaliser, normalise


class GivenForms:
    """Phrases whose capitals the caller has given.

    A word in them that has a capital is written so wherever the phrase is said. Only a single word
    that the language model knows, and that has capitals as many have (Will, US), may be another
    one: it is written so where the model of marks sees a capital too.

    Args:
        phrases: as they are written.
        normal: gives them their normal form.
        knows: whether the language model knows a word.
    """

    def __init__(
        self,
        phrases: Iterable[str] = (),
        normal: Normaliser = normalise,
        knows: Callable[[str], bool] = frozenset[str]().__contains__,
    ) -> None:
        self._forms: dict[str, dict[tuple[str, ...], tuple[str, ...]]] = {}
        self._doubtful: set[str] = set()
        for phrase in phrases:
            read = list(parse(phrase))
            words = [word for word in read if word is not None]
            plain = tuple(word.plain for word in words)
            if len(words) < len(read) or plain != tuple(normal(phrase).split()):
                continue  # with digits, or an abbreviation that is read out
            forms = tuple(word.form.replace("\u2019", "'").strip("'") for word in words)
            if tuple(form.lower() for form in forms) != plain or not any(map(case_of, forms)):
                continue
            self._forms.setdefault(plain[0], {})[plain] = forms
            if len(plain) == 1 and case_of(forms[0]) != MIXED and knows(plain[0]):
                self._doubtful.add(plain[0])

    def put(self, words: Sequence[str], cases: Sequence[int], spelled: list[str]) -> None:
        """Writes the words of the phrases in `spelled` as they are given, the longest first."""
        place = 0
        while place < len(words):
            place += self._put(words, cases, spelled, place)

    def _put(
        self, words: Sequence[str], cases: Sequence[int], spelled: list[str], place: int
    ) -> int:
        """The number of words that are settled."""
        phrases = self._forms.get(words[place], {})
        for count in sorted({len(phrase) for phrase in phrases}, reverse=True):
            forms = phrases.get(tuple(words[place : place + count]))
            if forms is None or (
                count == 1 and words[place] in self._doubtful and cases[place] == LOWER
            ):
                continue
            for offset, form in enumerate(forms, place):
                if case_of(form) != LOWER:
                    spelled[offset] = form
            return count
        return 1
