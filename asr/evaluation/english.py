"""The English normaliser: what is said the same way counts as the same, however it is written.

Modelled on the one that the public English rankings score with (Whisper's: Radford et al., "Robust
Speech Recognition via Large-Scale Weak Supervision", 2022, appendix C; used by the Open ASR
Leaderboard), written anew. docs/evaluation.md says what it does and where it differs.
"""

import re
import unicodedata

from asr.evaluation.numbers import numerals
from asr.evaluation.spelling import american

_QUOTES = dict.fromkeys(map(ord, "’‘ʼ`´"), "'")
_LETTERS = str.maketrans({"æ": "ae", "œ": "oe", "ø": "o", "ß": "ss", "ł": "l", "đ": "d", "ð": "d"})
_KEPT = ".%$¢€£"
_ASIDE = re.compile(r"\[[^\]]*\]|\([^)]*\)|<[^>]*>")
_FILLER = re.compile(r"\b(?:hmm|mm|mhm|mmm|uh|um)\b")
_TITLES = {
    "mr": "mister", "mrs": "missus", "ms": "miss", "dr": "doctor", "st": "saint", "jr": "junior",
    "sr": "senior", "prof": "professor", "capt": "captain", "gov": "governor", "gen": "general",
    "sen": "senator", "rep": "representative", "pres": "president", "rev": "reverend",
    "hon": "honorable", "lt": "lieutenant", "col": "colonel", "sgt": "sergeant",
}  # fmt: skip
_WHOLE = {
    "won't": "will not", "can't": "can not", "cannot": "can not", "shan't": "shall not",
    "let's": "let us", "ain't": "aint", "y'all": "you all", "ma'am": "madam",
    "o'clock": "oclock", "wanna": "want to", "gonna": "going to",
    "gotta": "got to", "woulda": "would have", "coulda": "could have", "shoulda": "should have",
    "i'ma": "i am going to", "imma": "i am going to",
    "okay": "ok", **_TITLES,
}  # fmt: skip
_TAILS = (
    (re.compile(r"'s (?=(?:been|got|gone|done)\b)"), " has "),
    (re.compile(r"'d (?=(?:been|gone|done)\b)"), " had "),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"'re\b"), " are"),
    (re.compile(r"'s\b"), " is"),
    (re.compile(r"'d\b"), " would"),
    (re.compile(r"'ll\b"), " will"),
    (re.compile(r"'ve\b"), " have"),
    (re.compile(r"'m\b"), " am"),
)
_WORD = re.compile(r"[\w']+")


def english(text: str) -> str:
    """The text in lower case without punctuation, in one spelling, with digits for numbers."""
    text = unicodedata.normalize("NFKC", text.translate(_QUOTES)).lower().translate(_LETTERS)
    text = re.sub(r"\s+(?='\w)", "", _FILLER.sub(" ", _ASIDE.sub(" ", text)))
    text = _WORD.sub(lambda match: _WHOLE.get(match[0], match[0]), text)
    for tail, full in _TAILS:
        text = tail.sub(full, text)
    text = re.sub(r"(?<=\d)[,:](?=\d)", "", text)  # 10,000 and 3:30
    text = re.sub(r"\.(?!\d)|(?<!\d)\.", " ", text)
    text = "".join(map(_kept, unicodedata.normalize("NFKD", text)))
    text = re.sub(r"(?<=\d)\s*%", "%", text)
    words = [american(word) for word in numerals(text.split())]
    return " ".join(filter(None, (_number_or_plain(word) for word in words)))


def _kept(char: str) -> str:
    """The character; a space for signs; nothing for accents, which stand by themselves in NFKD."""
    if char in _KEPT:
        return char
    kind = unicodedata.category(char)[0]
    return "" if kind == "M" else " " if kind in "SPZC" else char


def _number_or_plain(word: str) -> str:
    """Signs of money, percent and the point mean something beside digits alone."""
    if any(char.isdigit() for char in word):
        return word
    return "".join(char for char in word if char not in _KEPT)
