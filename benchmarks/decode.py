"""How fast and how well do decoders read the same lattices?

One run, side by side, one thread each: greedy, our beam search without and with a language model,
and, where they are installed (this project needs neither), flashlight-text and pyctcdecode with
KenLM. All read the same log-probabilities with the same language model, weights and prices. Each
runs in a process of its own, so that memory is its own; time is that of its processor, since other
work may share the machine. Prints one table.

    python benchmarks/decode.py MANIFEST --lm LM [--bundle BUNDLE] [--clips 200]
"""

import argparse
import importlib.util
import math
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import jiwer
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr.audio import load
from asr.bundle import Bundle, default_bundle
from asr.corpus import read_manifest
from asr.decoding import (
    BeamSearch,
    BeamSettings,
    NGram,
    certainty,
    greedy,
    heard_words,
    transcript,
)
from asr.decoding.arpa import write_arpa
from asr.runtime import Recognizer
from asr.runtime.lattices import lattices
from asr.runtime.windows import Grid
from asr.text import BLANK, CharacterTokenizer, Tokenizer

BATCH = 128
EVEN, EVEN_S = 32, 10
"""How many utterances, of how many seconds, for the second table."""
STATUS = Path("/proc/self/status")
Decode = Callable[[list[Tensor]], list[str]]


@dataclass(frozen=True)
class Task:
    """What every decoder gets."""

    lattices: Path
    bundle: Path
    lm: Path | None
    arpa: Path
    """The same language model as a text file; there only if others need it."""
    settings: BeamSettings


@dataclass(frozen=True)
class Figures:
    """What came of it."""

    texts: list[str] = field(repr=False)
    load_s: float
    decode_s: float
    megabytes: float
    """By which the process grew from before it loaded the decoder to its peak."""


def batched(decode: Callable[[Tensor, Tensor], list[str]]) -> Decode:
    """The decoder over batches of like lengths, results in the order of the lattices."""

    def run(found: list[Tensor]) -> list[str]:
        order = sorted(range(len(found)), key=lambda index: len(found[index]))
        texts = [""] * len(found)
        for first in range(0, len(order), BATCH):
            batch = order[first : first + BATCH]
            log_probs = pad_sequence([found[index] for index in batch], batch_first=True)
            lengths = torch.tensor([len(found[index]) for index in batch])
            for index, text in zip(batch, decode(log_probs, lengths), strict=True):
                texts[index] = text
        return texts

    return run


def by_greedy(task: Task) -> Decode:
    bundle = Bundle.open(task.bundle)
    frame_s = bundle.model.frame_seconds
    known = Recognizer.load(task.bundle, "cpu").calibration("greedy")

    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        """Whole transcripts: words with their times and confidence."""
        sure = certainty(log_probs).numpy()
        rows = zip(greedy(log_probs, lengths), sure, (lengths * frame_s).tolist(), strict=True)
        heard = ((heard_words(one, bundle.tokenizer, row), s) for one, row, s in rows)
        return [transcript(words, frame_s, s, known).text for words, s in heard]

    return batched(decode)


def by_beam(task: Task) -> Decode:
    tokenizer = Bundle.open(task.bundle).tokenizer
    search = BeamSearch(tokenizer, None if task.lm is None else NGram.load(task.lm))

    def decode(log_probs: Tensor, lengths: Tensor) -> list[str]:
        paths = search(log_probs, lengths, task.settings)
        return [tokenizer.decode(best.units) for best, *_ in paths]

    return batched(decode)


def by_pyctcdecode(task: Task) -> Decode:
    import pyctcdecode

    settings = task.settings
    decoder = pyctcdecode.build_ctcdecoder(
        ["", *alphabet(task)],
        str(task.arpa),
        alpha=settings.lm_weight,
        beta=settings.word_bonus,
        # Its offset is a decadic logarithm that `alpha` then weighs.
        unk_score_offset=-settings.unknown_price / settings.lm_weight / math.log(10.0),
    )

    def decode(lattice: Tensor) -> str:
        text: str = decoder.decode(lattice.numpy(), beam_width=settings.size)
        return " ".join(text.split())

    return lambda found: [decode(lattice) for lattice in found]


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

    settings, tokenizer = task.settings, CharacterTokenizer(alphabet(task))
    assert task.lm is not None
    known = NGram.load(task.lm).vocabulary[1:-2]
    words = [word for word in known if not tokenizer.unknown(word)]
    dictionary = create_word_dict({word: [] for word in ["<unk>", *words]})
    lm = KenLM(str(task.arpa), dictionary)
    (space,) = tokenizer.encode(" ")
    trie = Trie(tokenizer.n_units, space)
    start = lm.start(False)
    for word in words:
        label = dictionary.get_index(word)
        _, score = lm.score(start, label)
        trie.insert([*tokenizer.encode(word), space], label, score)
    trie.smear(SmearingMode.MAX)
    options = LexiconDecoderOptions(
        beam_size=settings.size,
        beam_size_token=settings.choices,
        beam_threshold=100.0,
        lm_weight=settings.lm_weight * math.log(10.0),  # KenLM's logarithms are decadic
        word_score=settings.word_bonus,
        unk_score=-settings.unknown_price,
        sil_score=0.0,
        log_add=True,
        criterion_type=CriterionType.CTC,
    )
    unknown = dictionary.get_index("<unk>")
    decoder = LexiconDecoder(options, trie, lm, space, BLANK, unknown, [], False)

    def decode(lattice: Tensor) -> str:
        lattice = lattice.contiguous()
        best, *_ = decoder.decode(lattice.data_ptr(), *lattice.shape)
        return " ".join(dictionary.get_entry(word) for word in best.words if word >= 0)

    return lambda found: [decode(lattice) for lattice in found]


def alphabet(task: Task) -> str:
    tokenizer: Tokenizer = Bundle.open(task.bundle).tokenizer
    if not isinstance(tokenizer, CharacterTokenizer):
        raise SystemExit("flashlight-text and pyctcdecode are compared on characters only.")
    return tokenizer.alphabet


def measure(decoder: Callable[[Task], Decode], task: Task, rounds: int) -> Figures:
    """What a decoder gives; runs in a process of its own."""
    torch.set_num_threads(1)
    found: list[Tensor] = torch.load(task.lattices)
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


PEERS = {
    "flashlight-text": ("flashlight", by_flashlight),
    "pyctcdecode": ("pyctcdecode", by_pyctcdecode),
}


def tasks(base: Task, peers: list[str]) -> Iterator[tuple[str, Callable[[Task], Decode], Task]]:
    """Name, decoder and what it gets, for every row of the table."""
    yield "greedy", by_greedy, base
    yield "beam 16, no model", by_beam, replace(base, lm=None)
    for size in (8, 16, 64):
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


def even_table(base: Task, found: list[Tensor], frame_s: float, rounds: int) -> None:
    """Prints how fast 32 utterances of ten seconds are read, of speech and of flat noise."""
    frames = round(EVEN_S / frame_s)
    speech = list(torch.cat(found)[: EVEN * frames].split(frames))
    generator = torch.Generator().manual_seed(0)
    flat = 0.1 * torch.randn(len(speech), frames, speech[0].shape[1], generator=generator)
    seconds = frame_s * sum(map(len, speech))
    print(f"\n{len(speech)} of {EVEN_S} s".ljust(23), f"{'speech':>17} {'flat noise':>17}")
    for name, decoder, task in tasks(base, []):
        speeds = []
        for cut in (speech, flat.log_softmax(dim=2)):
            torch.save([lattice.clone() for lattice in cut], base.lattices)
            speeds.append(seconds / apart(decoder, task, rounds).decode_s)
        print(f"{name:22} {speeds[0]:17.0f} {speeds[1]:17.0f}", flush=True)


def apart(decoder: Callable[[Task], Decode], task: Task, rounds: int) -> Figures:
    """What a decoder gives in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(measure, (decoder, task, rounds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--lm", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, default=default_bundle())
    parser.add_argument("--clips", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    for weight in fields(BeamSettings):
        parser.add_argument(f"--{weight.name}", type=type(weight.default), default=weight.default)
    arguments = parser.parse_args()
    settings = BeamSettings(**{f.name: getattr(arguments, f.name) for f in fields(BeamSettings)})
    utterances, _ = read_manifest(arguments.manifest)
    chosen = utterances[:: max(1, len(utterances) // arguments.clips)]
    audios = [load(utterance.audio) for utterance in chosen]
    seconds = sum(audio.duration for audio in audios)
    recognizer = Recognizer.load(arguments.bundle, "cpu")
    waves = [audio.samples for audio in audios]
    found = lattices(recognizer.engine, waves, Grid.of(recognizer.bundle))
    print(f"{len(found)} clips, {seconds / 60:.1f} minutes of audio; {settings}")
    peers = [name for name, (module, _) in PEERS.items() if importlib.util.find_spec(module)]
    with tempfile.TemporaryDirectory() as folder:
        path, arpa = Path(folder) / "lattices.pt", Path(folder) / "lm.arpa"
        torch.save([lattice.clone() for lattice in found], path)
        if peers:
            write_arpa(NGram.load(arguments.lm), arpa, lambda *_: None)
        base = Task(path, arguments.bundle, arguments.lm, arpa, settings)
        references = [utterance.text for utterance in chosen]
        table(base, references, seconds, peers, arguments.rounds)
        even_table(base, found, recognizer.bundle.model.frame_seconds, arguments.rounds)


if __name__ == "__main__":
    main()
