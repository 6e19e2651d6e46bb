"""Films with several audio tracks: the default track is read, or the requested one."""

from pathlib import Path

import av
import numpy as np
import pytest
from recordings import FILES, at_rate, encoded, likeness, muxed, speech

from asr.audio import load, load_channels
from asr.errors import BadOption

ONE, OTHER = speech()[:32_000], speech()[32_000:48_000]


def film(container: str, default: int | None, folder: Path) -> Path:
    """Two tracks, the second of half the first one's length."""
    for name, said in (("one", ONE), ("other", OTHER)):
        muxed([(0.0, at_rate(said, 44_100))], 44_100, "matroska", "aac", folder / name)
    with (
        av.open(folder / "one") as one,
        av.open(folder / "other") as other,
        av.open(folder / "film", "w", format=container) as file,
    ):
        sources = [one, other]
        streams = [file.add_stream_from_template(each.streams.audio[0]) for each in sources]
        for number, stream in enumerate(streams):
            stream.disposition = 1 if number == default else 0
        for each, stream in zip(sources, streams, strict=True):
            for packet in each.demux(audio=0):
                if packet.dts is not None:
                    packet.stream = stream
                    file.mux(packet)
    return folder / "film"


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_either_track_is_read(container: str, tmp_path: Path) -> None:
    path = film(container, None, tmp_path)
    for track, said in ((1, ONE), (2, OTHER)):
        heard = load(path, track=track)
        assert heard.duration == pytest.approx(len(said) / 16_000, abs=0.1)
        assert likeness(heard.samples, said) > 0.85
    assert np.array_equal(load(path).samples, load(path, track=1).samples)
    assert len(load_channels(path, track=2)) == 1


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_the_default_track_is_taken(container: str, tmp_path: Path) -> None:
    assert likeness(load(film(container, 1, tmp_path)).samples, OTHER) > 0.9


def test_a_film_of_others() -> None:
    path = FILES / "second_track_default.mp4"
    assert np.array_equal(load(path).samples, load(path, track=2).samples)
    assert load(path).samples.any() and not load(path, track=1).samples.any()


def test_a_track_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = film("matroska", None, tmp_path)
    sentence = rf"track 3 is not in {path}, which has 2 sound tracks: choose 1 to 2"
    with pytest.raises(BadOption, match=sentence) as refused:
        load(path, track=3)
    assert refused.value.option == "track"
    for source in (encoded(ONE), (ONE, 16_000)):
        assert load(source, track=1).samples.any()  # type: ignore[arg-type]
        with pytest.raises(BadOption, match="which has one sound track"):
            load(source, track=2)  # type: ignore[arg-type]


@pytest.mark.parametrize("track", [0, -1, 1.0, "2", True])
def test_what_is_no_number_of_a_track_is_named(track: object) -> None:
    with pytest.raises(BadOption, match="is no whole number from 1"):
        load((ONE, 16_000), track=track)  # type: ignore[arg-type]
