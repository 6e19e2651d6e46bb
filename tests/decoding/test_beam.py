"""Beam search on lattices small enough to read, and what it costs on any."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from asr.decoding import BeamSearch, BeamSettings, Path
from asr.text import CharacterTokenizer

TOKENIZER = CharacterTokenizer(" ab")
SPACE, A, B = 1, 2, 3
EVERY_FRAME = BeamSettings(blank_skip=1.0, reach=10_000.0)


def lattice(*frames: tuple[float, ...]) -> Tensor:
    """`(1, U, V)` log-probabilities from posteriors of blank, space, a, b."""
    return torch.tensor([frames]).log()


def read(log_probs: Tensor, settings: BeamSettings = EVERY_FRAME, nbest: int = 1) -> list[Path]:
    (found,) = BeamSearch(TOKENIZER)(
        log_probs, torch.tensor([log_probs.shape[1]]), settings, nbest=nbest
    )
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
    texts = [TOKENIZER.decode(path.units) for path in found]
    assert texts == ["a", "", "b", "ba", "a a"] or len(set(texts)) == len(texts)
    assert [path.score for path in found] == sorted((p.score for p in found), reverse=True)
    assert read(lattice((0.1, 0.3, 0.4, 0.2), (0.2, 0.4, 0.3, 0.1)), nbest=2) == found[:2]


def test_what_lies_behind_a_length_is_never_looked_at() -> None:
    log_probs = lattice((0.1, 0.0, 0.9, 0.0), (0.1, 0.0, 0.0, 0.9), (0.1, 0.0, 0.9, 0.0))
    alone = BeamSearch(TOKENIZER)(log_probs[:, :2], torch.tensor([2]), EVERY_FRAME)
    log_probs[:, 2] = math.nan
    assert BeamSearch(TOKENIZER)(log_probs, torch.tensor([2]), EVERY_FRAME) == alone
    assert alone[0][0].units == (A, B)


@pytest.mark.parametrize("shape", [(0, 0, 4), (0, 3, 4), (2, 0, 4), (2, 3, 4)])
def test_nothing_in_nothing_out(shape: tuple[int, int, int]) -> None:
    lengths = torch.zeros(shape[0], dtype=torch.int64)
    found = BeamSearch(TOKENIZER)(torch.zeros(shape), lengths, BeamSettings())
    assert found == [[Path((), 0.0, 0.0, 0.0)]] * shape[0]


def test_impossible_units_are_never_read() -> None:
    (best,) = read(lattice((0.5, 0.0, 0.5, 0.0), (1.0, 0.0, 0.0, 0.0)))
    assert best.score == pytest.approx(math.log(0.5))


def test_half_precision_is_read_as_well() -> None:
    log_probs = lattice((0.1, 0.05, 0.8, 0.05)).to(torch.bfloat16)
    assert read(log_probs)[0].units == (A,)


class Work(TorchFunctionMode):
    """Counts the operations on tensors, and the numbers that they give."""

    def __init__(self) -> None:
        super().__init__()
        self.operations = 0
        self.numbers = 0

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.operations += 1
        outputs = result if isinstance(result, tuple | list) else [result]
        self.numbers += sum(one.numel() for one in outputs if isinstance(one, Tensor))
        return result


def work(log_probs: Tensor, settings: BeamSettings) -> Work:
    lengths = torch.full((len(log_probs),), log_probs.shape[1])
    with Work() as counted:
        BeamSearch(TOKENIZER)(log_probs, lengths, settings)
    return counted


def noise(kind: str, frames: int = 60) -> Tensor:
    """`(2, frames, 4)` log-probabilities that say little."""
    shape = (2, frames, TOKENIZER.n_units)
    if kind == "flat":
        return torch.full(shape, -math.log(TOKENIZER.n_units))
    torch.manual_seed(1)
    return torch.randn(shape).log_softmax(-1)


@pytest.mark.parametrize("kind", ["flat", "random"])
def test_noise_costs_at_most_three_times_what_clean_speech_does(kind: str) -> None:
    # As peaky as models get: of three frames at most two are certain blanks.
    speech = torch.full((2, 60, TOKENIZER.n_units), -20.0)
    speech[:, :, 0] = 0.0
    speech[:, ::3] = lattice((0.04, 0.02, 0.9, 0.04))
    clean, noisy = work(speech, BeamSettings()), work(noise(kind), BeamSettings())
    assert noisy.operations <= 3 * clean.operations
    assert noisy.numbers <= 3 * clean.numbers


def test_work_depends_on_the_shape_alone() -> None:
    flat, random = (work(noise(kind), EVERY_FRAME) for kind in ("flat", "random"))
    assert (flat.operations, flat.numbers) == (random.operations, random.numbers)
    longer = work(noise("random", frames=120), EVERY_FRAME)
    assert longer.operations <= 2 * random.operations
    assert longer.numbers <= 2 * random.numbers


def test_the_same_lattice_reads_the_same_again() -> None:
    lengths = torch.tensor([60, 60])
    for kind in ("flat", "random"):
        once, again = (
            BeamSearch(TOKENIZER)(noise(kind), lengths, EVERY_FRAME, nbest=9) for _ in range(2)
        )
        assert once == again
