"""Which words become digits, and that digits can always be read as the words they replaced."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.punctuation.numbers import Number, is_read_as, numbers, spell
from asr.punctuation.numbers.grammar import NAMES, ORDINALS, PLURALS
from asr.punctuation.numbers.spelling import suffix_of

TABLE = Path(__file__).parent / "numbers" / "english.tsv"
CASES = [
    line.split("\t") for line in TABLE.read_text("utf-8").splitlines() if not line.startswith("#")
]
AROUND = """
    a an and or to oh o in of the at past half point dollars dollar cents pounds percent per cent
    million o'clock p a m pm am years may june first second third hundreds men odd some thirds
    between by each hours double plus election tens year foot bill bucks cost my for zero five ten
"""
WORDS = sorted({*NAMES, *ORDINALS, *PLURALS, *AROUND.split()})
OF_OTHERS = {
    "de": "eins zwei und zwanzig hundert tausend million komma null erste oder fünfzig zehn euro",
    "fr": "un deux et vingt cent mille million virgule zéro premier ou quatre dix sept heures",
}


def written(plain: str, language: str = "en") -> str:
    words, parts, at = plain.split(), [], 0
    for one in numbers(words, language):
        parts += [*words[at : one.first], one.text]
        at = one.end
    return " ".join([*parts, *words[at:]])


@pytest.mark.parametrize(("plain", "expected"), CASES, ids=[case[0] for case in CASES])
def test_english(plain: str, expected: str) -> None:
    assert written(plain) == expected


def check(words: Sequence[str], found: Sequence[Number], language: str = "en") -> None:
    """In order, without overlap, and each read as its words."""
    end = 0
    for one in found:
        assert end <= one.first < one.end <= len(words)
        assert is_read_as(one.text, words[one.first : one.end], language)
        end = one.end


@given(st.lists(st.sampled_from(WORDS), max_size=30))
def test_digits_read_as_the_words_they_replace(words: list[str]) -> None:
    check(words, numbers(words))


@given(st.integers(11, 10**15 - 1))
def test_every_whole_number_comes_back(number: int) -> None:
    words = spell(f"{number:,}")
    assert words
    (found,) = numbers(words)
    assert (found.first, found.end) == (0, len(words))
    assert is_read_as(found.text, words)
    count, _, scale = found.text.partition(" ")
    factor = {"": 1, "million": 10**6, "billion": 10**9, "trillion": 10**12}[scale]
    assert int(count.replace(",", "")) * factor == number


@pytest.mark.parametrize("form", ["{:,}%", "${:,}", "£{:,}", "€{:,}", "{:,}.5"])
@given(number=st.integers(11, 999_999))
def test_every_amount_comes_back(form: str, number: int) -> None:
    text = form.format(number)
    words = spell(text)
    assert words
    assert numbers(words) == [Number(0, len(words), text)]


@given(st.integers(11, 999_999))
def test_every_ordinal_comes_back(number: int) -> None:
    text = f"{number:,}{suffix_of(number)}"
    words = spell(text)
    assert words
    assert numbers(["the", *words]) == [Number(1, len(words) + 1, text)]


@pytest.mark.parametrize("century", range(13, 21))
def test_every_year_comes_back(century: int) -> None:
    for year in range(100 * century, 100 * century + 100):
        words = spell(str(year))
        assert words
        assert numbers(["in", *words]) == [Number(1, len(words) + 1, str(year))]


@pytest.mark.parametrize(
    ("token", "words"),
    [
        ("0", "zero"),
        ("12", "twelve"),
        ("007", "oh oh seven"),
        ("1,250", "one thousand two hundred and fifty"),
        ("25000", "twenty five thousand"),
        ("5551212", "five five five one two one two"),
        ("1862", "eighteen sixty two"),
        ("1900", "nineteen hundred"),
        ("1905", "nineteen oh five"),
        ("2006", "two thousand and six"),
        ("2024", "twenty twenty four"),
        ("’89", "eighty nine"),
        ("1930s", "nineteen thirties"),
        ("1930's", "nineteen thirties"),
        ("'90s", "nineties"),
        ("3rd", "third"),
        ("21st", "twenty first"),
        ("92d", "ninety second"),
        ("50%", "fifty percent"),
        ("0.5%", "zero point five percent"),
        ("3.14", "three point one four"),
        ("$1", "one dollar"),
        ("$5.50", "five dollars and fifty cents"),
        ("$0.01", "one cent"),
        ("$8.1 billion", "eight point one billion dollars"),
        ("£20", "twenty pounds"),
        ("3 million", "three million"),
        ("10:30", "ten thirty"),
        ("10:05 pm", "ten oh five p m"),
        ("10:00", "ten o'clock"),
        ("8AM", "eight a m"),
        ("12-year-old", "twelve year old"),
        ("B-17", "b seventeen"),
    ],
)
def test_the_most_usual_reading(token: str, words: str) -> None:
    assert spell(token) == tuple(words.split())


@pytest.mark.parametrize(
    "token",
    [
        "",
        "word",
        "H2O",
        "1/2",
        "16:90",
        "13:30",
        "21th",
        "1,00",
        "$",
        "$8.1",
        "1.2.3",
        "9" * 41,
        "٣",
    ],
)
def test_what_has_no_reading(token: str) -> None:
    assert spell(token) is None


@given(st.text("0123456789,.:$£€%'stndrhamp -", max_size=45))
def test_any_text_has_a_reading_or_none(token: str) -> None:
    words = spell(token)
    if words is not None and "-" not in token:
        assert is_read_as(token, words)


def _split(line: str) -> list[str]:
    return line.split()


def test_other_words_are_not_a_reading() -> None:
    assert is_read_as("1945", _split("nineteen forty five"))
    assert is_read_as("1945", _split("one thousand nine hundred forty five"))
    assert not is_read_as("1945", _split("nineteen forty six"))
    assert not is_read_as("1945", _split("nineteen forty"))
    assert not is_read_as("1945", _split("in nineteen forty five"))
    assert not is_read_as("1945", [])


@pytest.mark.parametrize(
    ("language", "plain", "expected"),
    [
        ("da", "enogtyve hunde", "21 hunde"),
        ("de", "einundzwanzig hunde und zweihundertdreizehn katzen", "21 hunde und 213 katzen"),
        ("de", "neunzehnhundertfünfundvierzig", "1945"),
        ("de", "der einundzwanzigste juni", "der 21. juni"),
        ("de", "drei komma eins vier", "3,14"),
        ("de", "ein haus zwei türen zehn fenster", "ein haus zwei türen zehn fenster"),
        ("de", "hundert mal und tausend dank", "hundert mal und tausend dank"),
        ("de", "eine million zweihunderttausend", "eine million zweihunderttausend"),
        ("de", "zwei oder dreihundert", "zwei oder dreihundert"),
        ("de", "zehn oder zwölf", "zehn oder zwölf"),
        ("de", "am elften september zweitausendeins", "am 11. september 2001"),
        ("de", "fünf euro fünfzig um ein uhr dreißig", "5 euro 50 um 1 uhr 30"),
        ("de", "zwanzig millionen oder zwei millionen", "20 millionen oder zwei millionen"),
        ("de", "elf zwölf dreizehn", "elf zwölf dreizehn"),
        ("de", "null eins sieben sechs", "null eins sieben sechs"),
        ("de", "null acht fünfzehn", "null acht fünfzehn"),
        ("de", "zehn vor zwölf", "zehn vor zwölf"),
        ("es", "treinta y cinco mil doscientos", "35200"),
        ("es", "veintiuno mil gracias", "21000 gracias"),
        ("fr", "quatre vingt dix sept", "97"),
        ("fr", "le vingt et unième siècle", "le 21ème siècle"),
        ("fr", "mille mercis et cent fois non", "mille mercis et cent fois non"),
        ("fr", "deux ou trois cents personnes", "deux ou trois cents personnes"),
        ("fr", "le quatorze juillet mille sept cent quatre vingt neuf", "le 14 juillet 1789"),
        ("fr", "cinq euros cinquante", "5 euros 50"),
        ("fr", "cinquante pour cent", "50 pour cent"),
        ("fr", "zéro six douze trente quatre cinquante six", "06 12 34 56"),
        ("fr", "mille et une nuits", "mille et une nuits"),
        ("fr", "deux millions et demi", "deux millions et demi"),
        ("fr", "un million deux cent mille", "un million deux cent mille"),
        ("it", "mille grazie duemilasei", "mille grazie 2006"),
        ("nl", "eenentwintig honden", "21 honden"),
        ("pt", "cento e dois", "102"),
        ("ru", "двадцать один", "двадцать один"),
        ("", "twenty one", "twenty one"),
    ],
)
def test_other_languages(language: str, plain: str, expected: str) -> None:
    assert written(plain, language) == expected
    check(plain.split(), numbers(plain.split(), language), language)


@pytest.mark.parametrize("language", OF_OTHERS)
@given(data=st.data())
def test_other_languages_read_back_what_they_write(language: str, data: st.DataObject) -> None:
    known = OF_OTHERS[language].split()
    words = data.draw(st.lists(st.sampled_from(known), max_size=20))
    check(words, numbers(words, language), language)


class Counted(Sequence[str]):
    """Words that count how often they are looked at."""

    def __init__(self, words: list[str]) -> None:
        self.words, self.looks = words, 0

    def __len__(self) -> int:
        return len(self.words)

    @overload
    def __getitem__(self, at: int) -> str: ...
    @overload
    def __getitem__(self, at: slice) -> list[str]: ...
    def __getitem__(self, at: int | slice) -> str | list[str]:
        found = self.words[at]
        self.looks += len(found) if isinstance(at, slice) else 1
        return found


@pytest.mark.parametrize(
    "line",
    [
        "word",
        "five",
        "oh five",
        "oh",
        "oh five twenty",
        "oh one hundred",
        "two dollars fifty",
        "a dollar",
        "ten to",
        "ten or eleven p m",
        "twenty",
        "hundred and",
        "one million",
        "one hundred and",
        "nineteen forty",
        "in nineteen forty five",
        "may second five",
        "three point five",
        "a",
        "five dollars and",
        "twenty or",
    ],
)
def test_work_grows_with_the_number_of_words(line: str) -> None:
    words = line.split()
    short, long = Counted(words * 500), Counted(words * 1000)
    numbers(short)
    numbers(long)
    assert long.looks <= 2.1 * short.looks <= 2.1 * 60 * len(short)
