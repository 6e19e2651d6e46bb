"""OpenAI's `prompt` -> hot words: the names in it.

Whisper continues its prompt. A CTC model cannot, but people mostly use the prompt to give the
spelling of names. The rules are few, so that `docs/http-reference.md` can list them all.

Every step is linear in the prompt's length, because this runs in the process that answers HTTP.
"""

import re

MOST = 100
"""Hot words taken from a prompt, at most."""
LONGEST = 8_000
"""Characters of a prompt that are used; OpenAI's own models use fewer."""
LONGEST_PHRASE = 200
"""Characters in a hot word: Unicode normalisation takes quadratic time in a word's length."""
_LIST_WORDS = 3

_ITEM_ENDS = re.compile(r"[,;\n]")
# The lookbehind makes the pattern try each run of marks once, at its first mark.
_SENTENCE_ENDS = re.compile(r"(?<![.!?])[.!?]+(?=\s|$)|\n")
_CLAUSE_ENDS = re.compile(r"[,;:]")
_I = re.compile(r"I(['’]\w+)?")


def hot_words(prompt: str) -> list[str]:
    """The hot words in a prompt, in its order, without repetitions.

    A list gives its items: at most three words each, separated by commas, semicolons or line ends,
    none with a full stop, exclamation mark or question mark at its end. Any other text gives its
    names: the longest runs of capitalised words inside one clause. The first word of a sentence
    counts only with two capitals, and "I" never.

    A prompt longer than `LONGEST` is cut at the end of a word or an item.
    """
    if len(prompt) > LONGEST:
        prompt = prompt[: max(0, *(prompt.rfind(end, 0, LONGEST) for end in " ,;\n"))]
    items = [item.strip() for item in _ITEM_ENDS.split(prompt)]
    items = [item for item in items if item]
    if all(len(item.split()) <= _LIST_WORDS and item[-1] not in ".!?" for item in items):
        phrases = items
    else:
        phrases = [
            name
            for sentence in _SENTENCE_ENDS.split(prompt)
            for index, clause in enumerate(_CLAUSE_ENDS.split(sentence.strip()))
            for name in _names(clause.split(), opens_sentence=index == 0)
        ]
    return [name for name in dict.fromkeys(phrases) if len(name) <= LONGEST_PHRASE][:MOST]


def _names(words: list[str], opens_sentence: bool) -> list[str]:
    names: list[str] = []
    run: list[str] = []
    for index, word in enumerate([*words, ""]):
        bare = word.strip("\"'“”‘’()[]")
        capitals = sum(char.isupper() for char in bare)
        if capitals > (opens_sentence and index == 0) and not _I.fullmatch(bare):
            run.append(bare)
        elif run:
            names.append(" ".join(run))
            run = []
    return names
