"""Forced alignment: when each unit of a given text was said (Viterbi over CTC's topology).

A text of N units has 2 N + 1 states: a blank, the first unit, a blank, and so on to a last blank.
A path goes through them in order, one state a frame; it may pass over a blank between two units
that differ (Graves et al., 2006). The most probable path tells where each unit begins and ends.

Shapes: B batch, U frames, V units, N units of the longest text, S = 2 N + 1 states.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.decoding.hypothesis import Hypothesis
from asr.text import BLANK

_LEAST = -1e4  # stands for a log-probability of -inf: a path through it is still a path
_STAY, _NEXT, _OVER = 0, 1, 2


def align(log_probs: Tensor, lengths: Tensor, units: Sequence[Sequence[int]]) -> list[Hypothesis]:
    """The most probable path of each utterance that spells its units.

    Args:
        log_probs: `(B, U, V)` natural logs; what lies behind a length is never looked at.
        lengths: `(B,)` frames of each utterance.
        units: of each utterance, without blanks; none for silence.

    Raises:
        ValueError: an utterance has fewer frames than its units need: one each, and a blank
            between two that are equal.
    """
    _check(lengths, units)
    if not units or log_probs.shape[1] == 0:
        return [Hypothesis((), (), (), (), 0.0) for _ in units]
    with torch.inference_mode():
        states = _states(units).to(log_probs.device)  # (B, S)
        frames = torch.arange(log_probs.shape[1], device=log_probs.device)
        within = frames < lengths.to(log_probs.device)[:, None]  # (B, U)
        index = states[:, None, :].expand(-1, log_probs.shape[1], -1)
        emissions = log_probs.float().clamp(min=_LEAST).gather(2, index)  # (B, U, S)
        path = _best_path(emissions, within, states, [len(text) for text in units])  # (B, U)
        said = emissions.gather(2, path[:, :, None])[:, :, 0]  # (B, U)
        said = torch.where(within, said, 0.0)
    return _hypotheses(path.cpu().numpy(), said.double().cpu().numpy(), lengths.tolist(), units)


def _check(lengths: Tensor, units: Sequence[Sequence[int]]) -> None:
    for frames, text in zip(lengths.tolist(), units, strict=True):
        equal = sum(one == other for one, other in pairwise(text))
        if frames < len(text) + equal:
            raise ValueError(
                f"{frames} frames cannot spell {len(text)} units, {equal} of them repeated; "
                "align a shorter text."
            )


def _states(units: Sequence[Sequence[int]]) -> Tensor:
    """`(B, S)` int64: the unit of each state, blanks between and behind."""
    longest = max(map(len, units))
    states = np.full((len(units), 2 * longest + 1), BLANK, dtype=np.int64)
    for row, text in zip(states, units, strict=True):
        row[1 : 2 * len(text) : 2] = text
    return torch.from_numpy(states)


def _best_path(emissions: Tensor, within: Tensor, states: Tensor, counts: Sequence[int]) -> Tensor:
    """`(B, U)` int64: the state of the best path at each frame; it stands still behind the end."""
    batch, n_frames, n_states = emissions.shape
    # A unit may be reached past the blank before it, unless it is the same as the one before.
    over = torch.full((batch, n_states), -math.inf, device=emissions.device)
    over[:, 3::2] = torch.where(states[:, 3::2] != states[:, 1:-2:2], 0.0, -math.inf)
    score = torch.full((batch, n_states + 2), -math.inf, device=emissions.device)
    score[:, 2] = 0.0  # two states in front that no path is in make the shifts below slices
    score[:, 2:4] = torch.where(within[:, :1], emissions[:, 0, :2], score[:, 2:4])
    steps = torch.zeros((n_frames, batch, n_states), dtype=torch.uint8, device=emissions.device)
    for frame in range(1, n_frames):
        stay, following, past = score[:, 2:], score[:, 1:-1], score[:, :-2] + over
        best = torch.maximum(torch.maximum(stay, following), past)
        step = torch.where(past > torch.maximum(stay, following), _OVER, _NEXT)
        step = torch.where(stay >= best, _STAY, step)
        inside = within[:, frame, None]
        steps[frame] = torch.where(inside, step, _STAY)
        score[:, 2:] = torch.where(inside, best + emissions[:, frame], stay)
    last = 2 * torch.tensor(counts, device=emissions.device)  # (B,) the last blank
    row = torch.arange(batch, device=emissions.device)
    # In front of state 0 there is nothing, as without units.
    state = last - (score[row, last + 1] > score[row, last + 2]).long()
    path = [state]
    for frame in range(n_frames - 1, 0, -1):
        state = state - steps[frame].gather(1, state[:, None])[:, 0].long()
        path.append(state)
    return torch.stack(path[::-1], dim=1)


def _hypotheses(
    path: NDArray[np.int64],
    said: NDArray[np.float64],
    lengths: Sequence[int],
    units: Sequence[Sequence[int]],
) -> list[Hypothesis]:
    found = []
    for states, scores, frames, text in zip(path, said, lengths, units, strict=True):
        of_unit = 2 * np.arange(len(text)) + 1
        starts = np.searchsorted(states[:frames], of_unit)
        ends = np.searchsorted(states[:frames], of_unit, side="right")
        # Sums of posteriors up to each frame; rounding can lift a log-probability above 0.
        sums = np.concatenate([[0.0], np.cumsum(np.exp(np.minimum(scores, 0.0)))])
        found.append(
            Hypothesis(
                units=tuple(text),
                starts=tuple(starts.tolist()),
                ends=tuple(ends.tolist()),
                confidences=tuple(((sums[ends] - sums[starts]) / (ends - starts)).tolist()),
                score=float(scores.sum()),
            )
        )
    return found
