"""Measurements of recordings are cached, and many utterances take little memory."""

import gc
import json
import multiprocessing
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import layouts
import pytest

from asr.corpus import Utterance, read_manifest
from asr.corpus.packed import PackedUtterances
from asr.corpus.recordings.cache import measure
from asr.corpus.recordings.measurement_file import MeasurementFile
from asr.corpus.recordings.measurements import Measurement

CHECK = ("check", layouts.TRAIN / "manifest.jsonl")


def clips(folder: Path) -> list[Utterance]:
    """Three clips of their own files."""
    folder.mkdir(exist_ok=True)
    lines = []
    for clip in layouts.CLIPS[:3]:
        shutil.copy(layouts.TRAIN / clip["audio"], folder)
        lines.append(json.dumps({"audio": clip["audio"], "text": "x"}))
    (folder / "m.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return read_manifest(folder / "m.jsonl")[0]


def test_only_what_has_changed_is_decoded_again(tmp_path: Path) -> None:
    found, measures = (
        clips(tmp_path / "clips"),
        MeasurementFile(tmp_path / "deep" / "sounds.sqlite"),
    )
    counts: list[int] = []

    def read() -> list[Measurement]:
        counts.clear()
        return list(measure(found, lambda done, _: counts.append(done), measures))

    first = read()
    assert counts == [0, 1, 2, 3]
    assert read() == first and counts == [3]
    shutil.copy(found[1].audio, found[2].audio)
    os.utime(found[2].audio, (1, 1))
    assert read()[2] == first[1] and counts == [2, 3]
    found[0].audio.write_bytes(b"RIFF....")
    for _ in range(2):  # what cannot be decoded may be mended without a trace: it is tried again
        assert read()[0].problem and counts == [2, 3]


@pytest.mark.parametrize("broken", ["a folder", "no table"])
def test_where_nothing_can_be_remembered_all_is_decoded(tmp_path: Path, broken: str) -> None:
    path = tmp_path / "sounds.sqlite"
    if broken == "a folder":
        path.mkdir()
    else:
        path.write_bytes(b"not a table" * 1000)
    found = clips(tmp_path / "clips")
    for _ in range(2):
        counts: list[int] = []
        measure(found, lambda done, _, counts=counts: counts.append(done), MeasurementFile(path))  # type: ignore[misc]
        assert counts == [0, 1, 2, 3]


def test_packed_utterances_are_what_was_packed() -> None:
    found = [
        Utterance("é1", Path("a/b.wav"), "some words", 3, 1.25, "ann", "x"),
        Utterance("2", Path("/c d.flac"), "", 70_000),
    ]
    packed = PackedUtterances(found)
    assert list(packed) == found and packed[-1] == found[1] and packed[:1] == found[:1]
    assert list(PackedUtterances([])) == []
    with pytest.raises(IndexError):
        packed[2]


def private_growth(utterances: Sequence[Utterance], out: "multiprocessing.Queue[int]") -> None:
    def owned() -> int:
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))

    gc.disable()  # a collection writes into every page of what this process inherits
    before = owned()
    for utterance in utterances:
        assert utterance.text
    out.put(owned() - before)


def growth_of_reader(is_packed: bool, out: "multiprocessing.Queue[int]") -> None:
    """Kilobytes that a forked process comes to own by reading all utterances once."""

    def many() -> Iterator[Utterance]:
        for n in range(60_000):
            text, speaker = f"text {n} " * 8, f"speaker {n}"
            yield Utterance(f"id{n}", Path(f"clips/{n}.wav"), text, n, 1.5, speaker)

    held = PackedUtterances(many()) if is_packed else list(many())
    gc.collect()
    process = multiprocessing.get_context("fork").Process(target=private_growth, args=(held, out))
    process.start()
    process.join()


def growth(is_packed: bool) -> int:
    """As `growth_of_reader`, in a new process: in the full memory of this one, what the reader
    allocates for itself lies in pages that it inherits, and makes them its own."""
    spawn = multiprocessing.get_context("spawn")
    out: multiprocessing.Queue[int] = spawn.Queue()
    process = spawn.Process(target=growth_of_reader, args=(is_packed, out))
    process.start()
    grown = out.get(timeout=1500)  # only where it hangs
    process.join()
    return grown


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps")
def test_loader_processes_share_them() -> None:
    assert growth(is_packed=True) < 0.5 * growth(is_packed=False)
