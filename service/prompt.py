"""What of OpenAI's `prompt` this kind of model can use: the names in it, as hot words.

Whisper goes on writing from its prompt; a CTC model cannot, yet what people put there is mostly
how names are spelled. The rules are few, so that `docs/http.md` can tell them all.
"""

import re

MOST = 100
"""No more hot words than this are taken from a prompt."""
_LIST_WORDS = 3

_ITEM_ENDS = re.compile(r"[,;\n]")
_SENTENCE_ENDS = re.compile(r"[.!?]+(?=\s|$)|\n")
_CLAUSE_ENDS = re.compile(r"[,;:]")
_I = re.compile(r"I(['’]\w+)?")


def hot_words(prompt: str) -> list[str]:
    """The hot words in a prompt, in its order, each once.

    A list (items of at most three words between commas, semicolons or line ends, none of which
    ends as a sentence does) gives its items. Any other text gives its names: the longest runs of
    words with a capital letter inside one clause, where the first word of a sentence must have
    two capitals, and "I" is none.
    """
    items = [item.strip() for item in _ITEM_ENDS.split(prompt)]
    items = [item for item in items if item]
    if all(len(item.split()) <= _LIST_WORDS and item[-1] not in ".!?" for item in items):
        found = items
    else:
        found = [
            name
            for sentence in _SENTENCE_ENDS.split(prompt)
            for at, clause in enumerate(_CLAUSE_ENDS.split(sentence.strip()))
            for name in _names(clause.split(), opens_sentence=at == 0)
        ]
    return list(dict.fromkeys(found))[:MOST]


def _names(words: list[str], opens_sentence: bool) -> list[str]:
    names: list[str] = []
    run: list[str] = []
    for at, word in enumerate([*words, ""]):
        bare = word.strip("\"'“”‘’()[]")
        capitals = sum(char.isupper() for char in bare)
        if capitals > (opens_sentence and at == 0) and not _I.fullmatch(bare):
            run.append(bare)
        elif run:
            names.append(" ".join(run))
            run = []
    return names
