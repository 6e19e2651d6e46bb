"""Letters without their accents, where a model has none for them."""

import pytest

from asr.text import CharacterTokenizer, normalise, spelled_by, without_accents
from asr.text.tokenizers import ENGLISH

SPELLED = without_accents(CharacterTokenizer(ENGLISH))


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("zoë", "zoe"),
        ("Zoë JOSÉ naïve", "Zoe JOSE naive"),
        ("zoe\u0308 ở", "zoe o"),
        ("o'neill", "o'neill"),
        ("łódź ø ß", "łodz ø ß"),
        ("привет й 東京 7 ½ ﬁ", "привет й 東京 7 ½ ﬁ"),
        ("", ""),
    ],
)
def test_accents_go_where_a_letter_is_left(text: str, spelled: str) -> None:
    assert SPELLED(text) == spelled


def test_letters_that_the_model_has_stay() -> None:
    german = spelled_by(CharacterTokenizer(" abcdefghijklmnopqrstuvwxyzäöü"), normalise)
    assert german("Über, Café!") == "über cafe"
