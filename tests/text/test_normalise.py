import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import BadOption
from asr.scripts import joined, tokens
from asr.text import normalise, normaliser
from asr.text.languages import language_code, language_name

# Language -> a text as people write it, and its words as they are spoken.
LANGUAGES = {
    "en": ("“Don’t,” SAID O’Neil—’twas co\u00adoperation.", "don't said o'neil twas cooperation"),
    "de": ("GROẞE Straße, »Müßiggang«: Rock-’n’-Roll!", "große straße müßiggang rock n roll"),
    "fr": ("« L’Été »… aujourd′hui, Œuvre ; ﬁn.", "l'été aujourd'hui œuvre fin"),
    "es": ("¿Qué? ¡El PINGÜINO, señor!", "qué el pingüino señor"),
    "ca": ("El col·legi; paral.lel, L’ESCOLA, coŀlegi", "el col·legi paral lel l'escola col·legi"),
    "it": ("Perché no? L`Aquila, un po’", "perché no l'aquila un po"),
    "nl": ("’s Avonds in IJmuiden: foto’s", "s avonds in ijmuiden foto's"),
    "pl": ("„Zażółć GĘŚLĄ jaźń”", "zażółć gęślą jaźń"),
    "tr": ("IĞDIR’da İYİ ISI; DI\u0307L", "ığdır'da iyi ısı dil"),
    "az": ("QIZIL, İlin ISTISI", "qızıl ilin ıstısı"),
    "el": ("Ο ΣΊΣΥΦΟΣ· τι λες; ΌΧΙ, ΣΑΣ.", "ο σίσυφος τι λες όχι σας"),
    "ru": ("«Ёлка», — сказал О‘Нил… Подъезд!", "ёлка сказал о'нил подъезд"),
    "uk": ("М’ята, об‛єкт, п`ять, ЇЖАК", "м'ята об'єкт п'ять їжак"),
    "he": ('צה"ל, צה״ל; ג׳ירפה — שָׁלוֹם', "צה״ל צה״ל ג'ירפה שָׁלוֹם"),
    "ar": ("مُحَمَّد؟ العـــربية، \u200fنعم.", "مُحَمَّد العربية نعم"),
    "fa": ("می\u200cخواهم، کتاب\u200cها؟", "می\u200cخواهم کتاب\u200cها"),
    "hi": ("क्\u200dष, हिन्दी। “ज़रूर”!", "क्\u200dष हिन्दी ज़रूर"),
    "ko": ("안녕하세요, 세계!", "안녕하세요 세계"),
    "zh": ("你好，世界！ “ＡＢＣ” 用 iPhone。", "你好世界abc用iphone"),
    "ja": ("ジョン・スミスは、東京 へ。ｶﾞｷﾞ", "ジョンスミスは東京へガギ"),
    "th": ("น้ำ ดื่ม\u200bสะอาด ฯ", "น้ำดื่มสะอาดฯ"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_of_twenty_languages_stay_whole(language: str) -> None:
    written, spoken = LANGUAGES[language]
    assert normaliser("plain", language)(written) == spoken
    assert normalise(spoken, language) == spoken


def test_case_punctuation_and_quotes_are_levelled() -> None:
    assert normalise("  “Don’t,” SAID\tMr. O'Neil—'twas late… ") == "don't said mr o'neil twas late"


def test_what_is_read_aloud_is_not_dropped_in_silence() -> None:
    assert normalise("50 % of £3") == "50 % of £3"
    assert normalise("Rock & Roll, #1 @home") == "rock & roll #1 @home"
    assert normalise("Ünïcode naïve") == "ünïcode naïve"


@pytest.mark.parametrize(
    "text",
    [
        "so good 👍",
        "so 👩🏽‍🚀good",
        "♪ so good ♪",
        "❤️ so good ☎\ufe0f",
        "★ so ✓ good ■",
        "so good 🇫🇷",
    ],
)
def test_pictures_are_not_read_aloud(text: str) -> None:
    assert normalise(text) == "so good"


def test_signs_that_are_words_are_no_pictures() -> None:
    assert normalise("20 °C → C♯ ©") == "20 °c → c♯ ©"
    assert normalise("1\ufe0f\u20e3 first") == "1 first"


def test_a_capital_i_has_a_dot_outside_of_turkish() -> None:
    assert normalise("İstanbul I\u0307zmir IGEL") == "istanbul izmir igel"


@given(st.text(), st.sampled_from(["en", "tr"]))
def test_normalising_twice_changes_nothing_more(text: str, language: str) -> None:
    once = normalise(text, language)
    assert normalise(once, language) == once
    assert once == " ".join(once.split())


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"])))
def test_a_text_can_be_normalised_word_by_word(text: str) -> None:
    parted = text.replace("e", " ")
    assert joined(" ".join(map(normalise, parted.split())).split()) == normalise(parted)


@given(st.text(st.sampled_from("ab ñ国本ไทน้ำが\u3099é")))
def test_tokens_join_to_the_text_again(text: str) -> None:
    normal = normalise(text)
    assert joined(tokens(normal)) == normal


def test_scripts_without_spaces_have_a_token_for_each_character_and_its_marks() -> None:
    assert tokens("你好 world") == ["你", "好", "world"]
    assert tokens("ดื่มน้ำ") == ["ดื่", "ม", "น้", "ำ"]
    assert tokens("안녕 세계") == ["안녕", "세계"]


@pytest.mark.parametrize(
    "given_as, code", [("de", "de"), ("DE-at", "de"), (" German ", "de"), ("zh_Hans_CN", "zh")]
)
def test_a_language_by_its_names(given_as: str, code: str) -> None:
    assert language_code(given_as) == code


def test_what_is_no_language_is_refused() -> None:
    for wrong in ("", "d", "Klingonish", "de/at", "e" * 1000):
        with pytest.raises(BadOption, match="is no language"):
            language_code(wrong)
    with pytest.raises(BadOption, match="normaliser 'fancy' is not known"):
        normaliser("fancy", "en")
    assert (language_name("de"), language_name("gsw")) == ("German", "gsw")
