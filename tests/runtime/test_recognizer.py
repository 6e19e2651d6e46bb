"""The recogniser: every kind of source, lists, options, devices, long recordings."""

import json
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from asr.audio import load
from asr.bundle import Bundle
from asr.errors import AsrError, BadAudio, BadBundle, BadOption
from asr.runtime import Engine, LogProbs, Options, Recognizer
from asr.runtime.engine import Wave
from asr.runtime.windows import WINDOW_SECONDS
from asr.transcript import Layout


@pytest.fixture(scope="module")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, device="cpu")


class Watched:
    """An engine that notes the padded seconds of every call; takes few at once."""

    def __init__(self, engine: Engine, batch_seconds: float) -> None:
        self.engine = engine
        self.device = engine.device
        self.batch_seconds = batch_seconds
        self.calls: list[float] = []

    def __call__(self, waves: Sequence[Wave]) -> tuple[LogProbs, NDArray[np.int64]]:
        self.calls.append(len(waves) * max(map(len, waves)) / 16_000)
        return self.engine(waves)


def test_every_kind_of_source_says_the_same(recognizer: Recognizer, clips: list[Path]) -> None:
    clip = clips[0]
    audio = load(clip)
    expected = recognizer.transcribe(str(clip))
    assert expected.duration == audio.duration
    assert expected.text == " ".join(word.text for word in expected.words)
    for source in (clip, clip.read_bytes(), (audio.samples, 16_000), audio):
        assert recognizer.transcribe(source) == expected


def test_a_list_is_answered_in_its_order(recognizer: Recognizer, clips: list[Path]) -> None:
    found = recognizer.transcribe([*clips, clips[0]])
    assert [one.duration for one in found] == [load(clip).duration for clip in [*clips, clips[0]]]
    assert found == [recognizer.transcribe(clip) for clip in [*clips, clips[0]]]
    assert recognizer.transcribe(clips[:1]) == found[:1]


def test_an_empty_list_has_no_transcripts(recognizer: Recognizer) -> None:
    assert recognizer.transcribe([]) == []


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_too_short_for_a_frame_is_no_speech(recognizer: Recognizer, samples: int) -> None:
    audio = type(load((np.zeros(16_000), 16_000)))(np.zeros(samples, dtype=np.float32))
    found = recognizer.transcribe(audio)
    assert (found.text, found.no_speech) == ("", True)


def test_unreadable_audio_is_named(recognizer: Recognizer, tmp_path: Path) -> None:
    path = tmp_path / "notes.wav"
    path.write_text("not sound")
    with pytest.raises(BadAudio, match=r"notes\.wav"):
        recognizer.transcribe(path)


@pytest.mark.slow
def test_long_recordings_pass_in_bounded_batches(recognizer: Recognizer, clips: list[Path]) -> None:
    speech = np.concatenate([load(clip).samples for clip in clips])
    long = np.resize(speech, 500 * 16_000)
    watched = Watched(recognizer.engine, batch_seconds=370.0)
    sources = [(long, 16_000), *[load(clip) for clip in clips]]
    found = Recognizer(recognizer.bundle, watched).transcribe(sources)
    assert max(watched.calls) <= 370.0
    assert WINDOW_SECONDS < 370.0
    assert found == recognizer.transcribe(sources)
    assert found[0].duration == 500.0
    for earlier, later in pairwise(found[0].words):
        assert 0.0 <= earlier.start < earlier.end <= later.start < later.end <= 500.0


def test_threads_may_share_a_recogniser(recognizer: Recognizer, clips: list[Path]) -> None:
    expected = recognizer.transcribe(clips[:4])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(recognizer.transcribe, clips[:4] * 3)) == expected * 3


def test_options_travel_with_the_call(recognizer: Recognizer, clips: list[Path]) -> None:
    assert recognizer.transcribe(clips[0], decoder="greedy") == recognizer.transcribe(clips[0])
    with pytest.raises(BadOption, match="decoder 'psychic' is not known; choose from greedy"):
        recognizer.transcribe(clips[0], decoder="psychic")
    with pytest.raises(BadOption, match="option 'beams' is not known; choose from decoder"):
        recognizer.transcribe(clips[0], beams=3)
    with pytest.raises(BadOption, match="decoder None is not known"):
        Options(decoder=None)  # type: ignore[arg-type]


def test_devices(tiny_bundle: Path) -> None:
    assert Recognizer.load(tiny_bundle, device="cpu").device == "cpu"
    with pytest.raises(BadOption, match="device 'tpu' is not known; choose from auto, cpu, cuda"):
        Recognizer.load(tiny_bundle, device="tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu(tiny_bundle: Path) -> None:
    assert Recognizer.load(tiny_bundle).device == "cpu"
    with pytest.raises(BadOption, match="device 'cuda' is not there"):
        Recognizer.load(tiny_bundle, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(tiny_bundle: Path, clips: list[Path]) -> None:
    recognizer = Recognizer.load(tiny_bundle)
    assert recognizer.device == "cuda"
    log_probs, lengths = recognizer.engine([load(clip).samples for clip in clips])
    assert (type(log_probs), type(lengths)) == (np.ndarray, np.ndarray)  # the search reads these
    assert len(log_probs) == len(lengths) == len(clips)
    assert [one.duration for one in recognizer.transcribe(clips)] == [
        load(clip).duration for clip in clips
    ]


def test_a_bundle_that_asks_for_an_unknown_decoder_is_refused(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_bundle, tmp_path / "future")
    info = json.loads((folder / "bundle.json").read_text())
    info["decoding"] = {"decoder": "psychic"}
    (folder / "bundle.json").write_text(json.dumps(info))
    with pytest.raises(BadBundle, match=r"future.*newer earshot.*psychic"):
        Recognizer.load(folder, device="cpu")


def test_a_recogniser_cannot_be_changed(recognizer: Recognizer, tiny_bundle: Path) -> None:
    with pytest.raises(AttributeError):
        recognizer.bundle = Bundle.open(tiny_bundle)  # type: ignore[misc]


def test_split_channels_are_one_transcript_in_order_of_time(
    clips: list[Path], shipped_bundle: Path
) -> None:
    recognizer = Recognizer.load(shipped_bundle, "cpu")
    one, other = (load(clip).samples for clip in clips[:2])
    later = np.concatenate([np.zeros(len(one), np.float32), other])  # as in a conversation
    both = np.stack([np.resize(np.pad(one, (0, len(other))), len(later)), later], axis=1)
    spoken = recognizer.transcribe((both, 16_000), channels="split")
    alone = [recognizer.transcribe((channel, 16_000)) for channel in both.T]
    assert spoken.text == " ".join(transcript.text for transcript in alone)
    assert [word.channel for word in spoken.words] == [1] * len(alone[0].words) + [2] * len(
        alone[1].words
    )
    assert [one.start for one in spoken.segments] == sorted(one.start for one in spoken.segments)
    assert recognizer.transcribe((both, 16_000), channels=2) == alone[1]
    mono = recognizer.transcribe((one, 16_000), channels="split")
    assert mono == recognizer.transcribe((one, 16_000))
    with pytest.raises(BadOption, match="nbest has no meaning where channels are split"):
        recognizer.transcribe((both, 16_000), channels="split", decoder="beam", nbest=2)


def test_times_of_a_part_count_from_the_start_of_the_recording(
    clips: list[Path], shipped_bundle: Path
) -> None:
    recognizer = Recognizer.load(shipped_bundle, "cpu")
    samples = np.concatenate([load(clip).samples for clip in clips[:2]])
    seconds = len(load(clips[0]).samples) / 16_000
    part = recognizer.transcribe((samples, 16_000), start=seconds)
    alone = recognizer.transcribe(clips[1])
    assert part.text == alone.text and part.start == seconds
    assert [word.start for word in part.words] == pytest.approx(
        [word.start + seconds for word in alone.words]
    )
    assert part.end == pytest.approx(len(samples) / 16_000)
    assert part.to_dict()["start"] == round(seconds, 3)
    assert part.words[-1].end <= part.end


def test_values_of_a_wrong_type_are_named(recognizer: Recognizer, clips: list[Path]) -> None:
    transcript = recognizer.transcribe(clips[0])
    wrong: dict[str, Callable[[Any], object]] = {
        "the bundle is given as int: give a path": Recognizer.load,
        "the language model is given as int": lambda value: Recognizer.load(lm=value),
        "the audio is given as int": recognizer.transcribe,
        "the text is given as int: give a string": lambda value: recognizer.align(clips[0], value),
        "the file to write is given as int": transcript.save,
        "the layout is given as int": transcript.to_srt,
        "speakers 5 are no text": lambda value: Layout(speakers=value),
    }
    for said, call in wrong.items():
        with pytest.raises(AsrError, match=said):
            call(5)
