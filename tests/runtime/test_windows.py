"""Where long recordings are cut, and how batches are filled."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.model import AcousticModel, ModelConfig
from asr.runtime.windows import Grid, batches, cut, windows_of

MODEL = AcousticModel(ModelConfig(layers=1, hidden=8, channels=2), n_units=5)
GRID = Grid(640, MODEL.config.frames, longest=750, context=100)
SAMPLES = st.one_of(st.integers(0, 5_000), st.integers(0, 3_000_000))


@given(SAMPLES)
def test_frames_are_those_of_the_model(samples: int) -> None:
    assert sum(piece.keep for piece in cut(samples, GRID)) == MODEL.config.frames(samples)


@given(SAMPLES, st.integers(0, 100), st.integers(1, 600))
def test_kept_frames_are_those_of_one_pass(samples: int, context: int, core: int) -> None:
    grid = replace(GRID, longest=2 * context + core, context=context)
    windows = cut(samples, grid)
    first = 0  # frame of the whole
    for window in windows:
        assert window.start % grid.frame_samples == 0
        assert window.start // grid.frame_samples + window.skip == first
        assert window.skip == min(context, first)
        frames = grid.frames(window.stop - window.start)
        assert frames <= grid.longest
        first += window.keep
        # What is not context on the right side only because the recording ends, is.
        assert frames - window.skip - window.keep == min(context, grid.frames(samples) - first)
    assert first == grid.frames(samples)
    assert windows[-1].stop == samples


def test_a_recording_that_fits_a_window_is_one_piece() -> None:
    samples = 399 + 750 * 640
    assert [window.keep for window in cut(samples, GRID)] == [750]
    assert [window.keep for window in cut(samples + 640, GRID)] == [650, 101]


@given(st.integers(0, 200_000), st.lists(st.integers(0, 200_000), max_size=9))
def test_windows_of_a_stream_are_those_of_the_whole(samples: int, bounds: list[int]) -> None:
    grid = replace(GRID, longest=60, context=20)
    wave = np.arange(samples, dtype=np.float32)
    found = list(windows_of(np.split(wave, sorted(min(at, samples) for at in bounds)), grid))
    assert [window for window, _ in found] == cut(samples, grid)
    for window, piece in found:
        np.testing.assert_array_equal(piece, wave[window.start : window.stop])


@given(st.lists(st.floats(0, 50)), st.floats(1, 200))
def test_batches_hold_everything_once_within_the_limit(costs: list[float], limit: float) -> None:
    found = list(batches(costs, limit))
    assert sorted(index for batch in found for index in batch) == list(range(len(costs)))
    in_order = [costs[index] for batch in found for index in batch]
    assert all(earlier >= later for earlier, later in pairwise(in_order))
    for batch in found:
        assert len(batch) == 1 or costs[batch[0]] * len(batch) <= limit


@pytest.mark.parametrize("costs", [[0.0, 0.0, 0.0], [3.0]])
def test_what_costs_nothing_or_too_much_still_comes(costs: list[float]) -> None:
    assert list(batches(costs, 1.0)) == [list(range(len(costs)))]
