"""Shards have the content of their manifest, wherever they are stored; damage is named."""

import gzip
import json
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from commands import asr
from lhotse import CutSet

from asr.corpus import Survey, read_manifest, read_utterances, survey
from asr.corpus.buckets import Buckets
from asr.corpus.shards import locate
from asr.corpus.shards.downloads import Downloads
from asr.corpus.shards.reading import TOGETHER
from asr.corpus.shards.writing import write_shards
from asr.errors import BadData, BadOption
from asr.model import ModelConfig
from asr.text import CharacterTokenizer

MANIFEST = Path(__file__).parents[1] / "data" / "train" / "manifest.jsonl"


def read(source: Path | str, cache: Path | None) -> Survey:
    frames = ModelConfig().frames
    return survey(source, CharacterTokenizer(), lambda *_: None, frames=frames, cache=cache)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ten clips as three shards."""
    folder = tmp_path_factory.mktemp("corpus") / "shards"
    write_shards(read_manifest(MANIFEST)[0], folder, 4, 0, lambda *_: None)
    return folder


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(shards: Path) -> Iterator[str]:
    """The address of an HTTP server that has the shards."""
    with ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(QuietHandler, directory=str(shards))
    ) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("place", ["folder", "command", "server"])
def test_training_reads_the_same_from_shards(
    shards: Path, address: str, place: str, tmp_path: Path
) -> None:
    source = {
        "folder": shards,
        "command": f"pipe:cat {shards}/{{000000..000002}}",
        "server": f"{address}/{{000000..000002}}",
    }[place]
    stored, sharded = read(MANIFEST, tmp_path / "cache"), read(source, tmp_path / "cache")
    assert not sharded.findings and sharded.pools.tolist() == [0] * 10
    rows = {utterance.id: row for row, utterance in enumerate(stored.usable)}
    assert len(sharded.usable) == len(rows)
    for row, utterance in enumerate(sharded.usable):
        other = stored.usable[rows[utterance.id]]
        assert (utterance.text, utterance.speaker, utterance.corpus) == (
            other.text, other.speaker, other.corpus,
        )  # fmt: skip
        np.testing.assert_array_equal(sharded.samples(row), stored.samples(rows[utterance.id]))
        assert sharded.lengths[row] == stored.lengths[rows[utterance.id]]


def test_lhotse_reads_them(shards: Path) -> None:
    cuts = list(CutSet.from_shar(in_dir=shards))
    texts = {cut.id: cut.supervisions[0].text for cut in cuts}
    assert texts == {utterance.id: utterance.text for utterance in read_manifest(MANIFEST)[0]}
    for cut in cuts:
        assert cut.load_audio().shape == (1, cut.num_samples)


def test_shards_of_others_are_measured(tmp_path: Path) -> None:
    """Without our measurements in each cut, and with recordings at another sampling rate."""
    recordings = CutSet.from_manifests(recordings=_recordings(tmp_path))
    cuts = recordings.map(_with_text)
    (tmp_path / "theirs").mkdir()
    cuts.to_shar(tmp_path / "theirs", fields={"recording": "wav"}, shard_size=2)
    found = read(tmp_path / "theirs", None)
    assert len(found.usable) == 3
    assert found.lengths.tolist() == [32000] * 3
    kinds = [finding.kind for finding in found.findings]
    assert kinds == ["silent"]


def _recordings(folder: Path) -> list["object"]:
    import soundfile
    from lhotse import Recording, RecordingSet

    for number, loudness in enumerate((0.3, 0.3, 0.0)):
        tone = loudness * np.sin(np.arange(2 * 44100) / 20)
        soundfile.write(folder / f"{number}.wav", tone, 44100)
    found = [Recording.from_file(folder / f"{number}.wav") for number in range(3)]
    return RecordingSet.from_recordings(found)


def _with_text(cut: "object") -> "object":
    from lhotse import SupervisionSegment

    cut.supervisions = [  # type: ignore[attr-defined]
        SupervisionSegment(f"s{cut.id}", cut.recording_id, 0, 2.0, text="Some words.")  # type: ignore[attr-defined]
    ]
    return cut


def test_damaged_shards_are_named(shards: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(shards, broken)
    cuts = broken / "cuts.000001.jsonl.gz"
    lines = gzip.decompress(cuts.read_bytes()).decode().splitlines()
    lines[1], lines[2] = "nonsense", json.dumps({"id": "x", "supervisions": []})
    cuts.write_bytes(gzip.compress("\n".join(lines).encode()))
    utterances, findings = read_utterances(broken)
    assert [finding.line for finding in findings] == [6, 7] and len(utterances) == 8
    tar = broken / "recording.000002.tar"
    tar.write_bytes(tar.read_bytes()[:20_000])
    found = read(broken, None)
    with pytest.raises(BadData, match="write or copy it anew"):
        for row in range(8):
            found.samples(row)
    cuts.write_bytes(b"\x1f\x8b but no more")
    with pytest.raises(BadData, match=r"cuts.000001.jsonl.gz cannot be read"):
        read_utterances(broken)
    tar.unlink()
    with pytest.raises(BadData, match=r"no recording.000002.tar beside it"):
        read(broken, None)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("s3://bucket/train", "names no shards"),
        ("pipe:cat /nowhere/{000000..000001}", "exit 1"),
        ("pipe:true {0..1}", "is empty"),
        ("gopher://host/{0..1}", "cannot be read"),
    ],
)
def test_shards_that_do_not_exist_are_named(source: str, words: str) -> None:
    with pytest.raises(BadData, match=words):
        read_utterances(source)


def test_a_shard_that_the_server_lacks_is_named(address: str) -> None:
    with pytest.raises(BadData, match=r"cuts\.000003\.jsonl\.gz cannot be read \(.*404"):
        read_utterances(f"{address}/{{000000..000003}}")


def test_downloads_keep_the_last_few_files_and_no_incomplete_ones(tmp_path: Path) -> None:
    downloads = Downloads(tmp_path / "spool", most=2)
    for number in (1, 2, 1, 3):
        with downloads.open(f"pipe:echo {number}", f"{number}.tar") as file:
            assert file.read() == f"{number}\n".encode()
    assert {path.name for path in (tmp_path / "spool").glob("*.tar")} == {"1.tar", "3.tar"}
    with pytest.raises(BadData, match="exit 1"):
        downloads.open("pipe:echo half; exit 1", "4.tar")
    assert not list((tmp_path / "spool").glob("*4.*tar*"))
    assert not list((tmp_path / "spool").glob("*.partial"))


def test_addresses_stay_and_paths_follow_the_root(tmp_path: Path) -> None:
    for address in ("s3://b/{0..1}", "pipe:cat x/{0..1}", "https://h/{0..1}"):
        assert locate(tmp_path, address) == address
    assert locate(tmp_path, "train") == tmp_path / "train"


def test_batches_keep_to_pools() -> None:
    """Then only a few shards are needed at a time."""
    lengths = np.random.default_rng(0).integers(100, 400, 500)
    pools = np.arange(500) // (10 * TOGETHER)
    orders = []
    for epoch in range(3):
        buckets = Buckets(lengths, 2000, epoch=lambda epoch=epoch: epoch, pools=pools)  # type: ignore[misc]
        batches = list(buckets)
        assert len(batches) == len(buckets)
        assert sorted(index for batch in batches for index in batch) == list(range(500))
        followed = [int(pools[batch[0]]) for batch in batches]
        assert all(
            {int(pools[index]) for index in batch} == {pool}
            for pool, batch in zip(followed, batches, strict=True)
        )
        order = list(dict.fromkeys(followed))
        assert followed == [pool for pool in order for _ in range(followed.count(pool))]
        orders.append(order)
    assert orders[0] != orders[1] or orders[1] != orders[2]


def test_the_command_names_what_it_leaves_out(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in MANIFEST.read_text(encoding="utf-8").splitlines()][:5]
    for line in lines:
        line["audio"] = str(MANIFEST.parent / line["audio"])
    lines[1]["audio"], lines[2]["text"] = str(tmp_path / "broken.wav"), ""
    (tmp_path / "broken.wav").write_bytes(b"RIFF....WAVE")
    manifest, out = tmp_path / "m.jsonl", tmp_path / "deep" / "shards"
    manifest.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    done = asr("data", "shards", manifest, out, "--size", 2, "--first", 7)
    assert done.returncode == 1, done.stderr
    assert f"{manifest}:2: error: " in done.stderr and f"{manifest}:3: error: " in done.stderr
    assert done.stdout == f"{out}: 3 clips in shards {{000007..000008}}\n"
    again = asr("data", "shards", manifest, out)
    assert again.returncode == 2 and "is there already" in again.stderr
    manifest.write_text(json.dumps(lines[1]), encoding="utf-8")
    none = asr("data", "shards", manifest, tmp_path / "none")
    assert none.returncode == 2 and "no clip of" in none.stderr and "Traceback" not in none.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken.wav", "deep", "m.jsonl"]


def test_shards_are_not_written_where_something_is(shards: Path) -> None:
    with pytest.raises(BadOption, match="is there already"):
        write_shards(read_manifest(MANIFEST)[0], shards, 4, 0, lambda *_: None)
