"""Beam search on lattices small enough to read, and what it costs on any."""

import math
import os
import subprocess
import sys
from pathlib import Path as FilePath
from textwrap import dedent
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from asr import cache
from asr.decoding.beam import BeamSearch, Path
from asr.decoding.beam.compiled import compiled
from asr.options import BeamSettings
from asr.runtime import Recognizer
from asr.text import CharacterTokenizer

TOKENIZER = CharacterTokenizer(" ab")
SPACE, A, B = 1, 2, 3
EVERY_FRAME = BeamSettings(size=256, blank_skip=1.0, reach=10_000.0, width=10_000.0)
SEARCH = BeamSearch.by_spelling(TOKENIZER)


def lattice(*frames: tuple[float, ...]) -> NDArray[np.float32]:
    """`(U, V)` log-probabilities from posteriors of blank, space, a, b."""
    with np.errstate(divide="ignore"):
        return np.log(np.array(frames, dtype=np.float32))


def read(
    log_probs: NDArray[np.float32], settings: BeamSettings = EVERY_FRAME, nbest: int = 1
) -> list[Path]:
    (found,) = SEARCH([log_probs], settings, nbest=nbest)
    return found


def test_all_paths_of_a_prefix_count() -> None:
    # The best path is blank, blank (0.36), but three others spell "a" (0.4 * 1.6 = 0.64).
    (best,) = read(lattice((0.6, 0.0, 0.4, 0.0), (0.6, 0.0, 0.4, 0.0)))
    assert best.units == (A,)
    assert best.acoustic == best.score == pytest.approx(math.log(0.64))
    assert best.language == 0.0


def test_a_unit_follows_itself_only_over_a_blank() -> None:
    sure = (0.02, 0.0, 0.98, 0.0)
    assert read(lattice(sure, sure))[0].units == (A,)
    assert read(lattice(sure, (0.98, 0.0, 0.02, 0.0), sure))[0].units == (A, A)


@pytest.mark.parametrize("blank", [0.98, 0.995])
def test_a_blank_that_is_passed_over_still_parts_units(blank: float) -> None:
    sure = (0.02, 0.0, 0.98, 0.0)
    (best,) = read(lattice(sure, (blank, 0.0, 1 - blank, 0.0), sure), BeamSettings())
    assert best.units == (A, A)
    assert best.score == pytest.approx(math.log(0.98 * blank * 0.98), abs=1e-2)


def test_results_are_of_different_texts_and_in_order() -> None:
    found = read(lattice((0.1, 0.3, 0.4, 0.2), (0.2, 0.4, 0.3, 0.1)), nbest=50)
    texts = [path.text for path in found]
    assert sorted(texts) == ["", "a", "ab", "b", "ba"]
    assert [path.score for path in found] == sorted((p.score for p in found), reverse=True)
    assert read(lattice((0.1, 0.3, 0.4, 0.2), (0.2, 0.4, 0.3, 0.1)), nbest=2) == found[:2]


@pytest.mark.parametrize("count", [0, 1, 2])
def test_nothing_in_nothing_out(count: int) -> None:
    found = SEARCH([np.zeros((0, 4), np.float32)] * count, BeamSettings())
    assert found == [[Path((), (), 0.0, 0.0, 0.0)]] * count


def test_impossible_units_are_never_read() -> None:
    (best,) = read(lattice((0.5, 0.0, 0.5, 0.0), (1.0, 0.0, 0.0, 0.0)))
    assert best.score == pytest.approx(math.log(0.5))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_precisions_are_read_as_well(kind: type) -> None:
    log_probs = lattice((0.1, 0.05, 0.8, 0.05)).astype(kind)
    log_probs.flags.writeable = False
    assert read(log_probs)[0].units == (A,)


def test_words_say_which_units_they_are() -> None:
    sure = [(0.02, 0.96, 0.01, 0.01), (0.02, 0.01, 0.96, 0.01), (0.02, 0.01, 0.01, 0.96)]
    (best,) = read(lattice(*(sure[unit - 1] for unit in (SPACE, A, B, SPACE, A))))
    assert best.units == (SPACE, A, B, SPACE, A)
    assert [(word.text, word.start, word.end) for word in best.words] == [("ab", 1, 3), ("a", 4, 5)]


@pytest.mark.parametrize("kind", ["flat", "random"])
def test_the_same_lattice_reads_the_same_again(kind: str) -> None:
    found = [read(noise(kind), BeamSettings(), nbest=9) for _ in range(2)]
    assert found[0] == found[1]


def noise(kind: str, frames: int = 60) -> NDArray[np.float32]:
    """`(frames, 4)` log-probabilities that say little."""
    shape = (frames, TOKENIZER.n_units)
    if kind == "flat":
        return np.full(shape, -math.log(TOKENIZER.n_units), np.float32)
    odds = np.random.default_rng(1).standard_normal(shape)
    return (odds - np.log(np.exp(odds).sum(axis=1, keepdims=True))).astype(np.float32)


WORST = """
    import numpy as np
    from asr.decoding.beam import BeamSearch, Spellings
    from asr.decoding.beam import kernel
    from asr.lm.ngram import NO_KEY, NGram
    from asr.options import BeamSettings
    from asr.text import SubwordTokenizer

    words = [f"w{number}" for number in range(40)]
    size = len(words) + 3
    entries = np.arange(size + 1), np.full(size, -1.0, np.float32), np.zeros(1, np.float32)
    entries[0][-1] = NO_KEY
    model = NGram.build("words", ("<unk>", *words, "<s>", "</s>"), [size], entries)
    alike = Spellings.of([(id + 1, (2, 2 + id % 2)) for id in range(len(words))])
    loud = BeamSettings(size=9, reach=1e4, width=1e4, blank_skip=1.0, hotword_boost=3.0)
    sound = BeamSearch.by_sound(alike, model, n_units=4, space=1)
    subwords = BeamSearch.by_spelling(SubwordTokenizer.learn(["a b ab", "ba b a bab"] * 9, 7))
    for search, hot in ((sound, ["w1 w2", "w2"]), (subwords, ["ab", "b ab", "bab a"])):
        units = len(search.lexicon.separates)
        flat = np.full((12, units), -np.log(units), np.float32)
        for settings in (loud, BeamSettings(**{**vars(loud), "width": 30.0})):
            (paths,) = search([flat], settings, hot, nbest=9)
            assert 1 < len(paths) <= 9
    assert not kernel.search._entries  # it was Python, where bounds are checked
"""


@pytest.mark.slow
def test_whatever_a_lattice_says_memory_is_enough() -> None:
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-W", "ignore", "-c", dedent(WORST)]
    subprocess.run(command, env=environment, check=True)


def test_memory_depends_on_frames_and_beam_alone() -> None:
    weights = SEARCH._weights(BeamSettings(size=64), nbest=1)
    few, many = (SEARCH._work(frames, weights) for frames in (25, 250))
    grown = {
        name for name in few._fields if getattr(few, name).nbytes != getattr(many, name).nbytes
    }
    assert grown == {"records"}
    assert few.records.nbytes == 25 * 64 * 2 * 16 + 16
    assert sum(array.nbytes for array in few) < 2e6


def double(values: Any) -> int:
    total = 0
    for value in values:
        total += 2 * value
    return total


@pytest.mark.slow
def test_compiled_code_is_kept_and_loaded_without_the_compiler(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "cache"))
    monkeypatch.setattr("asr.decoding.beam.compiled._ANNOUNCED_AFTER", 0.0)
    numbers = np.arange(10)
    assert compiled(double)(numbers) == 90
    assert "compiling the search" in caplog.text
    (kept,) = (tmp_path / "cache").iterdir()
    content = kept.read_bytes()
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "asr.decoding.beam.compiling", None)  # type: ignore[arg-type]
        assert compiled(double)(numbers) == 90
        with pytest.raises(ImportError):
            compiled(double)(numbers.astype(np.int32))  # another kind must be compiled
        with pytest.raises(TypeError, match="contiguous"):
            compiled(double)(numbers[::2])
    kept.write_bytes(content[:-1])
    assert compiled(double)(numbers) == 90
    assert kept.read_bytes()[-1:] == content[-1:]  # made anew


def test_where_code_cannot_be_kept_it_is_compiled(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "file"))
    assert compiled(double)(np.arange(4)) == 12


LIGHT = """
    import sys
    import asr
    print(asr.Recognizer.load(sys.argv[1], device="cpu").transcribe(sys.argv[2]).text)
    heavy = {"numba", "torch", "lightning"} & set(sys.modules)
    assert not heavy, heavy
"""


@pytest.mark.slow
def test_a_start_with_warm_caches_does_without_numba(
    shipped_bundle: FilePath, clips: list[FilePath]
) -> None:
    Recognizer.load(shipped_bundle, device="cpu").transcribe(clips[0])  # warms them
    command = [sys.executable, "-c", dedent(LIGHT), str(shipped_bundle), str(clips[0])]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.strip() and not done.stderr
