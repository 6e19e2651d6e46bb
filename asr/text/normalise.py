"""One spelling for training, scoring and output: lower case, words and apostrophes."""

import unicodedata

_APOSTROPHES = dict.fromkeys(map(ord, "’‘ʼ`´"), "'")


def normalise(text: str) -> str:
    """The text in lower case without punctuation, words joined by single spaces.

    Apostrophes inside a word stay ("don't"), those around it go. Letters, digits and marks of
    any script are kept as they are: whether a model can spell them is the tokenizer's to say.
    """
    text = unicodedata.normalize("NFKC", text.translate(_APOSTROPHES)).casefold()
    kept = "".join(char if _is_spoken(char) else " " for char in text)
    return " ".join(word for word in (word.strip("'") for word in kept.split()) if word)


def _is_spoken(char: str) -> bool:
    # Currency and mathematical signs are read aloud, so they must not vanish in silence.
    return char == "'" or unicodedata.category(char)[0] in "LNMS"
