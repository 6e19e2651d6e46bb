"""Tables of a search are prepared once and cached; a cache that others can write is not used."""

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr import cache
from asr.bundle import Bundle, put_lexicon, put_lm
from asr.decoding.beam import BeamSearch, Boundaries, Lexicon, Spellings
from asr.decoding.beam import Path as Said
from asr.lm import write_ngram
from asr.options import BeamSettings
from asr.runtime import search
from asr.runtime.search import load_search
from asr.text.pronunciations import Pronunciations
from tests.ngrams import estimated

SENTENCES = ["two cats sat", "to cats", "too many cats sat", "a cat sat"]
SAID = {
    "a": [["AH"]],
    "cat": [["K", "AE", "T"]],
    "cats": [["K", "AE", "T", "S"]],
    "many": [["M", "EH", "N", "IY"]],
    "sat": [["S", "AE", "T"]],
    "to": [["T", "UW"], ["T", "AH"]],
    "too": [["T", "UW"]],
    "two": [["T", "UW"]],
}
SETTINGS = BeamSettings(size=64, width=40.0, lm_weight=0.5)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(cache.SETTING, str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_told", set())
    return tmp_path / "cache"


@pytest.fixture
def bundle(phone_bundle: Path, tmp_path: Path) -> Bundle:
    path = Path(shutil.copytree(phone_bundle, tmp_path / "bundle"))
    put_lexicon(path, Pronunciations(SAID))
    return with_lm(path, SENTENCES)


def with_lm(path: Path, sentences: Sequence[str]) -> Bundle:
    file = path.parent / "lm.npz"
    write_ngram(estimated(path.parent, sentences, 3).model, file)
    return put_lm(path, file, {"sources": "a test"})


def read(found: BeamSearch, hotwords: Sequence[str] = ()) -> list[list[Said]]:
    rng = np.random.default_rng(7)
    columns = len(found.lexicon.separates)
    rows = np.log(rng.dirichlet(np.full(columns, 0.1), (3, 30)) + 1e-9).astype(np.float32)
    return found(list(rows), SETTINGS, hotwords, nbest=3)


def read_in_memory(bundle: Bundle, hotwords: Sequence[str] = ()) -> list[list[Said]]:
    assert bundle.lm is not None
    return read(search._opened(bundle, search._prepared(bundle, bundle.lm)), hotwords)


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("search-*.arrays"))


def test_a_kept_search_reads_the_same_bits(bundle: Bundle, folder: Path) -> None:
    expected = read_in_memory(bundle, ["many's sat", "too"])
    assert files(folder) == []
    for _ in range(2):
        assert read(load_search(bundle, bundle.lm), ["many's sat", "too"]) == expected
    assert len(files(folder)) == 1


def test_a_kept_search_is_mapped_and_nothing_is_read_again(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_search(bundle, bundle.lm)
    for name in ("read_ngram", "arrays", "Pronunciations"):
        monkeypatch.delattr(search, name)
    found = load_search(bundle, bundle.lm)
    for array in (found.model.word, found.lexicon.unit, found.sequences.units, found.common):
        assert not array.flags.owndata and not array.flags.writeable


@pytest.mark.parametrize("hurt", ["start", "middle", "end", "shorter", "empty", "zeros"])
def test_a_damaged_file_is_made_anew(
    bundle: Bundle, folder: Path, hurt: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = read(load_search(bundle, bundle.lm))
    (file,) = files(folder)
    content = bytearray(file.read_bytes())
    places = {"start": 3, "middle": len(content) // 192 * 64, "end": len(content) - 1}
    if hurt in places:
        content[places[hurt]] ^= 1
    elif hurt == "zeros":
        content[: len(content) // 2] = bytes(len(content) // 2)
    else:
        content = content[: -100 if hurt == "shorter" else 0]
    file.write_bytes(content)
    assert read(load_search(bundle, bundle.lm)) == expected
    assert "is not used, since" in caplog.text
    caplog.clear()
    assert read(load_search(bundle, bundle.lm)) == expected
    assert not caplog.text


def test_what_others_may_write_is_not_trusted(
    bundle: Bundle, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    expected = read(load_search(bundle, bundle.lm))
    (file,) = files(folder)
    file.chmod(0o666)
    assert read(load_search(bundle, bundle.lm)) == expected
    assert "another user may have written it" in caplog.text
    assert file.stat().st_mode & 0o022 == 0  # written anew
    if os.geteuid() == 0:
        os.chown(file, 12345, -1)
        caplog.clear()
        cache._told.clear()
        load_search(bundle, bundle.lm)
        assert "another user may have written it" in caplog.text
        assert file.stat().st_uid == 0


def test_a_kept_search_is_trusted_whatever_the_umask(bundle: Bundle, folder: Path) -> None:
    before = os.umask(0)
    try:
        load_search(bundle, bundle.lm)
    finally:
        os.umask(before)
    (file,) = files(folder)
    assert file.stat().st_mode & 0o777 == 0o644


def test_without_a_folder_it_works_and_says_so_once(
    bundle: Bundle, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("no folder")
    expected = read_in_memory(bundle)
    for _ in range(2):
        assert read(load_search(bundle, bundle.lm)) == expected
    (record,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert cache.SETTING in record.getMessage() and str(folder) in record.getMessage()


def test_a_full_disk_leaves_nothing_behind(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache, "_write", full)
    assert read(load_search(bundle, bundle.lm)) == read_in_memory(bundle)
    assert not list(folder.iterdir())
    assert "No space left on device" in caplog.text


def test_an_edited_bundle_is_prepared_anew(bundle: Bundle, folder: Path) -> None:
    load_search(bundle, bundle.lm)
    other = with_lm(bundle.path, ["cats sat", "cats cats"])
    found = load_search(other, other.lm)
    assert "two" not in found.vocabulary and read(found) == read_in_memory(other)
    edited = put_lexicon(bundle.path, Pronunciations({**SAID, "cats": [["K", "AE"]]}))
    found = load_search(edited, edited.lm)
    assert len(files(folder)) == 3 and read(found) == read_in_memory(edited)


def test_a_file_that_changes_while_it_is_read_is_not_kept(
    bundle: Bundle, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = search._prepared

    def and_edit(opened: Bundle, lm: Path) -> cache.Arrays:
        with_lm(bundle.path, ["cats sat"])
        return prepared(opened, lm)

    monkeypatch.setattr(search, "_prepared", and_edit)
    load_search(bundle, bundle.lm)
    assert not files(folder)


def test_another_language_model_has_a_file_of_its_own(bundle: Bundle, folder: Path) -> None:
    mine = bundle.path.parent / "mine.npz"
    write_ngram(estimated(bundle.path.parent, ["cats sat"], 2).model, mine)
    load_search(bundle, bundle.lm)
    assert "two" not in load_search(bundle, mine).vocabulary
    write_ngram(estimated(bundle.path.parent, ["two cats"], 2).model, mine)
    assert "two" in load_search(bundle, mine).vocabulary
    assert len(files(folder)) == 3


def test_old_files_go(bundle: Bundle, folder: Path) -> None:
    folder.mkdir()
    now = time.time()
    for number in range(12):
        path = folder / f"search-{number}.arrays"
        path.write_text("old")
        os.utime(path, (now - number, now - number))
    (folder / "search-a.arrays").write_text("unused")
    (folder / ".b.partial").write_text("never finished")
    (folder / ".c.partial").write_text("being written")
    (folder / "sounds.sqlite").write_text("another cache")
    for name in ("search-a.arrays", ".b.partial", "sounds.sqlite"):
        os.utime(folder / name, (now - 40 * 86_400, now - 40 * 86_400))
    load_search(bundle, bundle.lm)
    left = {path.name for path in folder.iterdir()}
    (new,) = left - {f"search-{n}.arrays" for n in range(7)} - {".c.partial", "sounds.sqlite"}
    assert len(left) == 10 and len(new) > 20


TWO = """
import sys
from pathlib import Path
from asr.bundle import Bundle
from asr.runtime.search import load_search
bundle = Bundle.open(Path(sys.argv[1]))
print(load_search(bundle, bundle.lm).vocabulary)
"""


@pytest.mark.slow
def test_processes_may_prepare_at_once(bundle: Bundle, folder: Path) -> None:
    command = [sys.executable, "-c", TWO, str(bundle.path)]
    at_once = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = {process.communicate()[0] for process in at_once}
    assert len(said) == 1 and "cats" in said.pop()
    assert all(process.returncode == 0 for process in at_once)
    assert [path.name for path in folder.iterdir()] == [path.name for path in files(folder)]
    assert cache.find("search", "another") is None
    assert read(load_search(bundle, bundle.lm)) == read_in_memory(bundle)


@st.composite
def sequences(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    pair = st.tuples(st.integers(0, 5), st.lists(st.integers(2, 4), max_size=5))
    return draw(st.lists(pair, max_size=8))


@given(sequences(), sequences(), st.booleans())
def test_a_lexicon_that_grows_is_the_one_built_at_once(
    first: list[tuple[int, list[int]]], then: list[tuple[int, list[int]]], open: bool
) -> None:
    unigram = np.log(np.arange(1, 7) / 21).astype(np.float32)
    boundaries = Boundaries.spaced(5, 1)
    at_once = Lexicon.build(first + then, unigram, boundaries, open)
    grown = Lexicon.build(first, unigram, boundaries, open).extended(Spellings.of(then), unigram)
    for one, other in zip(at_once, grown, strict=True):
        assert np.array_equal(one, other) and getattr(one, "dtype", 0) == getattr(other, "dtype", 0)
    for word, units in first + then:
        node = 0
        for unit in units:
            node = grown.follow(node, unit)
        assert word in grown.words[grown.word_first[node] : grown.word_first[node + 1]]


def test_a_digest_sees_any_bit() -> None:
    rng = np.random.default_rng(3)
    content = rng.integers(0, 256, 200_001, np.uint8)

    def digest() -> str:
        parts = (content[at : at + cache._BLOCK] for at in range(0, len(content), cache._BLOCK))
        return cache._digest(parts)

    seen = {digest()}
    for place in rng.integers(0, len(content), 50).tolist():
        content[place] ^= 1 << int(rng.integers(0, 8))
        seen.add(digest())
    assert len(seen) == 51 and hashlib.sha256().hexdigest() not in seen


def mapped_kb(folder: Path) -> int:
    """Resident memory of the cache's files in this process."""
    inside, sizes = False, []
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match("[0-9a-f]+-[0-9a-f]+ ", line):
            inside = str(folder) in line
        elif inside and line.startswith("Rss:"):
            sizes.append(int(line.split()[1]))
    return sum(sizes)


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_memory_of_a_search_is_given_back_and_read_again(bundle: Bundle, folder: Path) -> None:
    found = load_search(bundle, bundle.lm)
    expected = read(found)
    assert mapped_kb(folder) > 0
    found.release()
    assert mapped_kb(folder) == 0
    assert read(found) == expected and mapped_kb(folder) > 0
    BeamSearch.by_spelling(bundle.tokenizer).release()  # which maps nothing
