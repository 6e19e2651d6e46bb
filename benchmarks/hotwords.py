"""What do hot words gain on rare names, and what do they put where nobody said them?

    python benchmarks/hotwords.py $EARSHOT_DATA/dev-librispeech.jsonl --names 60

The rare names are words of five letters and more that the bundle's language model does not know,
each from another clip of the manifest. All of them are hot words for every clip: its own name and
as many that are not said there.
"""

import argparse
from collections import Counter
from pathlib import Path

from asr.audio import load
from asr.corpus import Utterance, read_manifest
from asr.evaluation import score
from asr.lm import read_ngram
from asr.runtime import Recognizer

BOOSTS = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
SHORTEST = 5


def rare(manifest: Path, known: set[str], most: int) -> dict[str, Utterance]:
    """Names with the clip that each is said in, spread over the manifest."""
    found: dict[str, Utterance] = {}
    for utterance in read_manifest(manifest)[0]:
        for word in utterance.text.split():
            if len(word) >= SHORTEST and word not in known and "'" not in word:
                found.setdefault(word, utterance)
    alone = {utterance.id: name for name, utterance in found.items()}
    names = list(alone.values())
    return {name: found[name] for name in names[:: max(1, len(names) // most)][:most]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--bundle", type=Path, default=None)
    parser.add_argument("--names", type=int, default=60)
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.bundle, "cpu")
    if recognizer.lm is None:
        raise SystemExit("the bundle has no language model")
    names = rare(arguments.manifest, set(read_ngram(recognizer.lm).vocabulary), arguments.names)
    audios = [load(utterance.audio) for utterance in names.values()]
    lattices = recognizer.lattices(audios)
    texts = [utterance.text for utterance in names.values()]
    ids = [utterance.id for utterance in names.values()]
    said = [Counter(word for word in text.split() if word in names) for text in texts]
    print(f"{len(names)} names in {sum(audio.duration for audio in audios) / 60:.1f} minutes")
    print(f"{'boost':>6}{'heard':>8}{'recall':>8}{'false':>7}{'WER':>8}")
    for boost in (None, *BOOSTS):
        values = {} if boost is None else {"hotwords": list(names), "hotword_boost": boost}
        options = recognizer.options(decoder="beam", written=False, **values)
        found = recognizer.read(lattices, [audio.duration for audio in audios], options)
        heard = [Counter(w for w in one.text.split() if w in names) for one in found]
        hits = sum((one & other).total() for one, other in zip(said, heard, strict=True))
        false = sum((one - other).total() for one, other in zip(heard, said, strict=True))
        total = sum(one.total() for one in said)
        wer = score(ids, texts, [one.text for one in found]).wer
        label = "none" if boost is None else f"{boost:g}"
        print(f"{label:>6}{hits:8}{hits / total:8.1%}{false:7}{wer:8.1%}")


if __name__ == "__main__":
    main()
