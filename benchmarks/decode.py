"""How fast and how well do decoders read the same lattices?

One run, side by side, one thread each: greedy, our beam search, and, where it is installed (this
project does not need it), flashlight-text with KenLM. All read the same log-probabilities, of
letters or of phones as the bundle's search does, with the same lexicon, language model, weights and
priors. Each runs in a process of its own, so that memory is its own; time is that of its processor,
since other work may share the machine. Prints one table, and one for utterances of equal length if
the clips are long enough together.

    python benchmarks/decode.py MANIFEST [--lm LM] [--bundle BUNDLE] [--clips 200]

Settings are the bundle's; each can be given (`--lm_weight 0.8`).
"""

import argparse
import importlib.util
import math
import multiprocessing
import pickle
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import jiwer
import numpy as np
from numpy.typing import NDArray

from asr.audio import load
from asr.bundle import Bundle, default_bundle
from asr.corpus import read_manifest
from asr.decoding import certainty, decoded_words, greedy, transcript
from asr.decoding.beam.lexicon import ROOT
from asr.lm import read_ngram
from asr.lm.arpa import write_arpa
from asr.options import BeamSettings
from asr.runtime import Recognizer
from asr.runtime.engine import stacked
from asr.runtime.search import load_search
from asr.text import BLANK, normalise

BATCH = 128
EVEN, EVEN_S = 32, 10
"""How many utterances, of how many seconds, for the second table; it has one of them alone too."""
STATUS = Path("/proc/self/status")
Decode = Callable[[list[NDArray[np.float32]]], list[str]]


@dataclass(frozen=True)
class Task:
    """What every decoder gets."""

    lattices: Path
    bundle: Path
    lm: Path
    arpa: Path
    """The same language model as a text file; there only if others need it."""
    settings: BeamSettings
    threshold: float
    """By which flashlight-text prunes, in nats."""


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    texts: list[str] = field(repr=False)
    load_s: float
    decode_s: float
    megabytes: float
    """By which the process grew from before it loaded the decoder to its peak."""


def batched(decode: Callable[[NDArray[np.float32], NDArray[np.int64]], list[str]]) -> Decode:
    """The decoder over batches of like lengths, results in the order of the lattices."""

    def run(found: list[NDArray[np.float32]]) -> list[str]:
        order = sorted(range(len(found)), key=lambda index: len(found[index]))
        texts = [""] * len(found)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            log_probs, lengths = stacked([found[index] for index in batch])
            for index, text in zip(batch, decode(log_probs, lengths), strict=True):
                texts[index] = text
        return texts

    return run


def by_greedy(task: Task) -> Decode:
    bundle = Bundle.open(task.bundle)
    frame_s = bundle.model.frame_seconds
    known = Recognizer.load(task.bundle, "cpu").calibration("greedy")

    def decode(log_probs: NDArray[np.float32], lengths: NDArray[np.int64]) -> list[str]:
        """Whole transcripts: words with their times and confidence."""
        letters = log_probs[:, :, : bundle.tokenizer.n_units]
        sure, blank = certainty(letters), letters[..., BLANK]
        seconds = (lengths * frame_s).tolist()
        rows = zip(greedy(letters, lengths), sure, blank, seconds, strict=True)
        heard = (
            (decoded_words(one, bundle.tokenizer.word_spans(one.units), *row), s)
            for one, *row, s in rows
        )
        return [transcript(words, frame_s, s, known).text for words, s in heard]

    return batched(decode)


def read_by(bundle: Bundle) -> slice:
    """The columns of a lattice that the bundle's search reads."""
    letters = bundle.tokenizer.n_units
    return slice(letters, None) if bundle.lexicon is not None else slice(letters)


def by_beam(task: Task) -> Decode:
    bundle = Bundle.open(task.bundle)
    search, columns = load_search(bundle, task.lm), read_by(bundle)
    search([], task.settings)  # compiles it, or loads what was compiled

    def decode(found: list[NDArray[np.float32]]) -> list[str]:
        paths = search([lattice[:, columns] for lattice in found], task.settings, threads=1)
        return [best.text for best, *_ in paths]

    return decode


def by_flashlight(task: Task) -> Decode:
    from flashlight.lib.text.decoder import (
        CriterionType,
        LexiconDecoder,
        LexiconDecoderOptions,
        SmearingMode,
        Trie,
    )
    from flashlight.lib.text.decoder.kenlm import KenLM
    from flashlight.lib.text.dictionary import create_word_dict

    settings, bundle = task.settings, Bundle.open(task.bundle)
    search, columns = load_search(bundle, task.lm), read_by(bundle)
    words = [word for word in search.vocabulary if word]
    dictionary = create_word_dict({word: [] for word in ["<unk>", *words]})
    lm = KenLM(str(task.arpa), dictionary)
    (space,) = np.flatnonzero(search.lexicon.entry == ROOT).tolist()[-1:]
    trie = Trie(len(search.common), space)
    start = lm.start(False)
    sequences = search.sequences
    for row, word in enumerate(sequences.words.tolist()):
        units = sequences.units[sequences.starts[row] : sequences.starts[row + 1]].tolist()
        label = dictionary.get_index(search.vocabulary[word])
        _, score = lm.score(start, label)
        trie.insert([*units, space], label, score)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=settings.size,
        beam_size_token=settings.choices,
        beam_threshold=task.threshold,
        lm_weight=settings.lm_weight * math.log(10.0),  # KenLM's logarithms are decadic
        word_score=settings.word_bonus,
        unk_score=-math.inf,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    unknown = dictionary.get_index("<unk>")
    decoder = LexiconDecoder(options, trie, lm, space, BLANK, unknown, [], False)
    prior = settings.prior_weight * search.common

    def decode(lattice: NDArray[np.float32]) -> str:
        # A word is over for it at a space: the sound ends in one.
        rows = np.concatenate([lattice[:, columns] - prior, np.full((1, len(prior)), -1e4)])
        rows[-1, space] = 0.0
        rows = np.ascontiguousarray(rows, np.float32)
        best, *_ = decoder.decode(rows.ctypes.data, *rows.shape)
        return " ".join(dictionary.get_entry(word) for word in best.words if word >= 0)

    return lambda found: [decode(lattice) for lattice in found]


def measure(decoder: Callable[[Task], Decode], task: Task, rounds: int) -> Figures:
    """What a decoder gives; runs in a process of its own."""
    found: list[NDArray[np.float32]] = pickle.loads(task.lattices.read_bytes())
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    before = memory("VmRSS")
    began = time.process_time()
    decode = decoder(task)
    load_s = time.process_time() - began
    decode_s = math.inf
    for _ in range(rounds):
        began = time.process_time()
        texts = decode(found)
        decode_s = min(decode_s, time.process_time() - began)
    return Figures(texts, load_s, decode_s, memory("VmHWM") - before)


def memory(field: str) -> float:
    """Megabytes of this process, as Linux counts them."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) / 1024


PEERS = {"flashlight-text": ("flashlight", by_flashlight)}


def tasks(base: Task, peers: list[str]) -> Iterator[tuple[str, Callable[[Task], Decode], Task]]:
    """Name, decoder and what it gets, for every row of the table."""
    yield "greedy", by_greedy, base
    for size in (16, 64, 256, 512):
        sized = replace(base, settings=replace(base.settings, size=size))
        yield f"beam {size}", by_beam, sized
        for peer in peers:
            yield f"{peer} {size}", PEERS[peer][1], sized


def table(base: Task, references: list[str], seconds: float, peers: list[str], rounds: int) -> None:
    """Prints how fast and how well every decoder reads, and what it holds in memory."""
    print(f"{'decoder':22} {'s of audio per s':>17} {'WER':>8} {'MB':>6} {'loaded in s':>12}")
    for name, decoder, task in tasks(base, peers):
        figures = apart(decoder, task, rounds)
        print(
            f"{name:22} {seconds / figures.decode_s:17.0f} "
            f"{jiwer.wer(references, figures.texts):8.2%} "
            f"{figures.megabytes:6.0f} {figures.load_s:12.2f}",
            flush=True,
        )


def even_table(base: Task, found: list[NDArray[np.float32]], frame_s: float, rounds: int) -> None:
    """Prints how fast utterances of ten seconds are read: of speech, one alone, of flat noise."""
    frames = round(EVEN_S / frame_s)
    if sum(map(len, found)) < EVEN * frames:
        return
    speech = np.split(np.concatenate(found)[: EVEN * frames], EVEN)
    shape = len(speech), frames, speech[0].shape[1]
    flat = 0.1 * np.random.default_rng(0).standard_normal(shape, np.float32)
    cuts = (speech, speech[:1], list(flat - np.logaddexp.reduce(flat, axis=2, keepdims=True)))
    print(
        f"\n{len(speech)} of {EVEN_S} s".ljust(23), f"{'speech':>17} {'one':>17} {'flat noise':>17}"
    )
    for name, decoder, task in tasks(base, []):
        speeds = []
        for cut in cuts:
            base.lattices.write_bytes(pickle.dumps(list(cut)))
            seconds = frame_s * sum(map(len, cut))
            speeds.append(seconds / apart(decoder, task, rounds).decode_s)
        print(f"{name:22}", *(f"{speed:17.0f}" for speed in speeds), flush=True)


def apart(decoder: Callable[[Task], Decode], task: Task, rounds: int) -> Figures:
    """What a decoder gives in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, (decoder, task, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--lm", type=Path, help="else the bundle's")
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threshold", type=float, default=25.0, help="flashlight-text prunes by")
    for weight in fields(BeamSettings):
        parser.add_argument(f"--{weight.name}", type=type(weight.default))
    arguments = parser.parse_args()
    recognizer = Recognizer.load(arguments.bundle, "cpu")
    given = {f.name: getattr(arguments, f.name) for f in fields(BeamSettings)}
    given = {name: value for name, value in given.items() if value is not None}
    settings = replace(recognizer.options().beam_settings(), **given)
    utterances, _ = read_manifest(arguments.manifest)
    chosen = utterances[:: max(1, len(utterances) // arguments.clips)]
    audios = [load(utterance.audio) for utterance in chosen]
    seconds = sum(audio.duration for audio in audios)
    found = recognizer.lattices(audios)
    print(f"{len(found)} clips, {seconds / 60:.1f} minutes of audio; {settings}")
    lm = arguments.lm or recognizer.bundle.lm
    peers = [name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module)]
    with tempfile.TemporaryDirectory() as folder:
        path, arpa = Path(folder) / "lattices.pickle", Path(folder) / "lm.arpa"
        path.write_bytes(pickle.dumps(found))
        if peers:
            write_arpa(read_ngram(lm), arpa, lambda *_: None)
        base = Task(path, arguments.bundle, lm, arpa, settings, arguments.threshold)
        references = [normalise(utterance.text) for utterance in chosen]
        table(base, references, seconds, peers, arguments.rounds)
        even_table(base, found, recognizer.bundle.model.frame_seconds, arguments.rounds)


if __name__ == "__main__":
    main()
