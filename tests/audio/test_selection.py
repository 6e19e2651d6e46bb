"""Which sound of a source is read: channels and stretches of time."""

import math
from pathlib import Path

import numpy as np
import pytest
from recordings import encoded

from asr.audio import SAMPLE_RATE, load, stream
from asr.audio.load import load_selected
from asr.errors import BadOption
from asr.options import Selection


@pytest.fixture(scope="module")
def both(clips: list[Path]) -> np.ndarray:
    """Two seconds of two clips, left and right."""
    return np.stack([load(clip).samples[: 2 * SAMPLE_RATE] for clip in clips[:2]], axis=1)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize("channels", ["1", "2"])
def test_one_channel_is_what_it_is_alone(both: np.ndarray, rate: int, channels: str) -> None:
    (heard,) = load_selected(encoded(both, rate), Selection(channels=channels))
    alone = load(encoded(both[:, int(channels) - 1], rate))
    np.testing.assert_array_equal(heard.samples, alone.samples)


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize(("start", "duration"), [(0.0, 0.5), (0.7, math.inf), (0.25, 1.0)])
def test_a_stretch_is_that_of_the_whole(
    both: np.ndarray, rate: int, start: float, duration: float
) -> None:
    file = encoded(both, rate)
    whole = load(file).samples
    (heard,) = load_selected(file, Selection(start=start, duration=duration))
    end = len(whole) if duration == math.inf else int((start + duration) * SAMPLE_RATE)
    np.testing.assert_array_equal(heard.samples, whole[int(start * SAMPLE_RATE) : end])


def test_nothing_is_decoded_past_the_end() -> None:
    pieces = stream((np.zeros(10 * 2**17), SAMPLE_RATE), selection=Selection(duration=0.1))
    assert [len(piece) for piece in pieces] == [1600]


def test_what_is_not_there_is_refused(both: np.ndarray) -> None:
    channels = r"channels 3 is not in the audio, which has 2: choose"
    with pytest.raises(BadOption, match=channels) as refused:
        load_selected((both, SAMPLE_RATE), Selection(channels="3"))
    assert refused.value.option == "channels"
    start = r"start 2 is not within the audio, which lasts 2\.0 s"
    with pytest.raises(BadOption, match=start) as refused:
        load_selected((both, SAMPLE_RATE), Selection(start=2.0))
    assert refused.value.option == "start"


@pytest.mark.parametrize(
    "values",
    [
        {"channels": "both"}, {"channels": "0"}, {"channels": "65"}, {"channels": ""},
        {"start": -1.0}, {"start": math.nan}, {"start": math.inf},
        {"duration": -1.0}, {"duration": 0}, {"duration": "long"},
    ],
)  # fmt: skip
def test_values_that_cannot_be_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(BadOption):
        Selection(**values)  # type: ignore[arg-type]
