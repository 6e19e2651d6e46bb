"""One spelling for training, scoring and output: lower case, words and apostrophes."""

import unicodedata

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ`´"), "'")
_SPOKEN_SIGNS = "%‰&@#§"  # to Unicode they are punctuation, but readers say them


def normalise(text: str) -> str:
    """The text in lower case without punctuation, words joined by single spaces.

    Apostrophes inside a word stay ("don't"), those around it go. Letters, digits and marks of
    any script, and signs that are read aloud (%, £, &), are kept as they are: whether a model can
    spell them is the tokenizer's to say.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    kept = "".join(char if _is_spoken(char) else " " for char in text)
    return " ".join(word for word in (word.strip("'") for word in kept.split()) if word)


def is_read_aloud(char: str) -> bool:
    """Whether a character stands for words that only a reader can tell, as digits, £ and & do."""
    category = unicodedata.category(char)
    return char in _SPOKEN_SIGNS or category[0] == "N" or category in ("Sc", "Sm")


def _is_spoken(char: str) -> bool:
    # What is read aloud must not vanish in silence.
    return char == "'" or char in _SPOKEN_SIGNS or unicodedata.category(char)[0] in "LNMS"
