"""How well words are said and spelled that a dictionary lacks, by order and size of the model.

python benchmarks/g2p.py cmudict.dict
"""

import argparse
import time
from pathlib import Path

from asr.text.pronunciations import G2P, Pronunciations, measure, pronounce, read, split, train

SHARE = 0.05  # of the words, held out
# Graphones of the longest n-grams, bytes, and whether forms of held-out words are held out too.
RUNS = [
    (7, 2_000_000, False),
    (7, 1_000_000, False),
    (7, 2_000_000, True),
    (7, 1_000_000, True),
    (7, 500_000, True),
    (5, 2_000_000, True),
    (9, 2_000_000, True),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dictionary", type=Path)
    dictionary, _ = read(parser.parse_args().dictionary)
    print("held out | order | MB | words | phone errors | words wrong | of 4 | spelled | of 5 | s")
    for order, size, related in RUNS:
        known, rest = split(dictionary, SHARE, related)
        g2p = train(known, order, size).g2p
        start = time.process_time()
        found = measure(g2p, rest)
        seconds = time.process_time() - start
        rates = (
            found.phone_errors,
            found.words_wrong,
            found.words_missed,
            found.spelled,
            found.spelled_among,
        )
        print(
            "with forms" if related else "words",
            order,
            f"{len(g2p.packed()) / 1e6:.2f}",
            found.words,
            *(f"{rate:.1%}" for rate in rates),
            f"{seconds:.0f}",
            sep=" | ",
            flush=True,
        )
        if not related:
            forms(g2p, known, rest)


def forms(g2p: G2P, known: Pronunciations, rest: Pronunciations) -> None:
    """Prints how often forms of known words are said wrong, as forms and by the model."""
    found = [one for one in pronounce(rest, known, None, nbest=1) if one.source == "form"]
    found = [one for one in found if one.said]
    guesses = g2p.pronounce_all([one.word for one in found])
    for kind in ("'s", "'d", "s"):
        some = [
            (one.said[0] in rest[one.word], row[0].phones in rest[one.word])
            for one, row in zip(found, guesses, strict=True)
            if one.word.endswith(kind) and (kind != "s" or "'" not in one.word)
        ]
        wrong = [sum(not right for right in column) for column in zip(*some, strict=True)]
        print(f"-{kind}: {len(some)} words, wrong as forms and by the model: {wrong}", flush=True)


if __name__ == "__main__":
    main()
