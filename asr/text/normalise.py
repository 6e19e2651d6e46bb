"""One spelling for training, scoring and output: lower case, words and apostrophes."""

import unicodedata

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ`´"), "'")
_SPOKEN_SIGNS = "%‰&@#§"  # punctuation in Unicode, but read aloud


def normalise(text: str) -> str:
    """The text in lower case without punctuation, words joined by single spaces.

    Apostrophes inside a word are kept ("don't"), those around it are removed. Letters, digits and
    marks of any script, and signs that are read aloud (%, £, &), are kept: the tokenizer decides
    whether a model can spell them.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    kept = "".join(char if _is_spoken(char) else " " for char in text)
    return " ".join(word for word in (word.strip("'") for word in kept.split()) if word)


def is_read_aloud(char: str) -> bool:
    """Whether a character stands for words that depend on the reader, such as digits, £ and &."""
    category = unicodedata.category(char)
    return char in _SPOKEN_SIGNS or category[0] == "N" or category in ("Sc", "Sm")


def _is_spoken(char: str) -> bool:
    # What is read aloud must not be dropped silently.
    return char == "'" or char in _SPOKEN_SIGNS or unicodedata.category(char)[0] in "LNMS"
