import json
import os
from pathlib import Path

import numpy as np
import soundfile
import torch
from commands import asr

from asr.audio import load
from asr.corpus import Utterance, read_manifest
from asr.corpus.dataset import Example, SpeechDataset, collate
from asr.corpus.recordings.cache import RecordingCache, measure
from asr.corpus.recordings.parts import read_parts

TRAIN = Path(__file__).parent.parent / "data" / "train" / "manifest.jsonl"


def utterances() -> list[Utterance]:
    found, findings = read_manifest(TRAIN)
    assert not findings and len(found) == 10
    return found


def test_stored_samples_are_the_decoded_ones(tmp_path: Path) -> None:
    done: list[int] = []
    store = RecordingCache.build(tmp_path, utterances(), lambda n, _: done.append(n))
    assert done == list(range(1, 11))
    assert list(store.measurements) == list(measure(utterances(), lambda *_: None))
    for index, utterance in enumerate(utterances()):
        samples = load(utterance.audio).samples
        assert len(store[index]) == len(samples)
        np.testing.assert_allclose(store[index], samples, atol=1.01 / 32768)


def test_a_second_run_decodes_nothing(tmp_path: Path) -> None:
    first = RecordingCache.build(tmp_path, utterances(), lambda *_: None)
    done: list[int] = []
    second = RecordingCache.build(tmp_path, utterances(), lambda n, _: done.append(n))
    assert done == []
    assert list(second.measurements) == list(first.measurements)
    np.testing.assert_array_equal(second[9], first[9])


def test_a_changed_recording_is_decoded_again(tmp_path: Path) -> None:
    clip = tmp_path / "clip.wav"
    line = json.dumps({"audio": "clip.wav", "text": "x"})
    (tmp_path / "m.jsonl").write_text(line, encoding="utf-8")
    for seconds in (1, 2):
        soundfile.write(clip, np.zeros(16000 * seconds, np.float32), 16000)
        found, _ = read_manifest(tmp_path / "m.jsonl")
        store = RecordingCache.build(tmp_path / "cache", found, lambda *_: None)
        assert [measurement.samples for measurement in store.measurements] == [16000 * seconds]


def test_what_cannot_be_decoded_is_named_each_time(tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF but not really")
    good = utterances()[0]
    bad = Utterance("bad", tmp_path / "bad.wav", "x", line=7)
    for _ in range(2):
        store = RecordingCache.build(tmp_path / "cache", [bad, good], lambda *_: None)
        problem = store.measurements[0].problem
        assert problem is not None and "bad.wav" in problem
        assert store.measurements[0].samples == 0 and store.measurements[1].samples > 16000


def test_a_batch_is_padded_behind_each_utterance() -> None:
    found = utterances()[:2]
    waves = [np.ones(3, np.float32), np.ones(5, np.float32)]
    spelled = {found[0].text: [1, 2], found[1].text: [3]}
    dataset = SpeechDataset(found, lambda index: waves[index], lambda text: spelled[text])
    examples: list[Example] = [dataset[0], dataset[1]]
    batch = collate(examples)
    assert batch.wave.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert batch.wave_lengths.tolist() == [3, 5]
    assert batch.units.tolist() == [[1, 2], [3, 0]]
    assert batch.unit_lengths.tolist() == [2, 1]
    assert batch.units.dtype == torch.int64  # int32 would choose cuDNN's CTC


def test_a_corpus_that_grows_decodes_only_what_is_new(tmp_path: Path) -> None:
    done: list[tuple[int, int]] = []
    few = RecordingCache.build(tmp_path, utterances()[:7], lambda *_: None)
    all_of_them = RecordingCache.build(tmp_path, utterances(), lambda *n: done.append(n))
    assert done == [(8, 10), (9, 10), (10, 10)]
    np.testing.assert_array_equal(all_of_them[3], few[3])
    np.testing.assert_allclose(all_of_them[8], utterances()[8].load().samples, atol=1.01 / 32768)
    backwards = RecordingCache.build(tmp_path, utterances()[::-1], lambda *n: done.append(n))
    assert len(done) == 3 and len(read_parts(tmp_path)) == 2
    np.testing.assert_array_equal(backwards[9], few[0])
    assert list(backwards.measurements) == list(all_of_them.measurements)[::-1]


def test_the_parts_of_a_cache_are_listed_and_old_ones_removed(tmp_path: Path) -> None:
    RecordingCache.build(tmp_path, utterances()[:7], lambda *_: None)
    (old,) = read_parts(tmp_path)
    RecordingCache.build(tmp_path, utterances()[7:], lambda *_: None)
    long_ago = old.path.stat().st_mtime - 40 * 86_400
    os.utime(old.path, (long_ago, long_ago))
    listed = asr("data", "cache", tmp_path)
    assert listed.returncode == 0 and listed.stdout.count("read 0 days ago") == 1
    assert f"{old.path.stem}: 7 clips" in listed.stdout and "read 40 days ago" in listed.stdout
    removed = asr("data", "cache", tmp_path, "--remove-unused", 30)
    assert removed.stdout.count(", removed") == 1 and len(list(tmp_path.iterdir())) == 2
    assert [len(part.measurements) for part in read_parts(tmp_path)] == [3]
    assert asr("data", "cache", tmp_path / "none").returncode == 2


def test_a_part_of_an_earlier_version_is_listed_and_not_read(tmp_path: Path) -> None:
    RecordingCache.build(tmp_path, utterances()[:1], lambda *_: None)
    (part,) = read_parts(tmp_path)
    with np.load(part.path) as table:
        old = {name: table[name] for name in table if name != "names"}
    np.savez(part.path, **old)
    done: list[int] = []
    RecordingCache.build(tmp_path, utterances()[:2], lambda n, _: done.append(n))
    assert done == [1, 2]
    assert "of an earlier version" in asr("data", "cache", tmp_path).stdout
