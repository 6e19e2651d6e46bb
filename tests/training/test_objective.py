"""The training objective, compared with its definition."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asr.corpus import Utterance
from asr.corpus.dataset import Batch
from asr.text import CharacterTokenizer
from asr.text import frames_needed as frames_of_one
from asr.training.objective import (
    Consistency,
    ctc,
    disagreement,
    frames_needed,
    reachable_ctc,
)
from asr.training.validation import Tally, UtteranceResult


@given(st.lists(st.lists(st.integers(1, 3), max_size=6), min_size=1, max_size=4))
def test_frames_needed_are_those_of_the_check(texts: list[list[int]]) -> None:
    units, lengths = padded(texts)
    assert frames_needed(units, lengths).tolist() == [frames_of_one(text) for text in texts]


def padded(texts: list[list[int]]) -> tuple[Tensor, Tensor]:
    rows = [torch.tensor(text, dtype=torch.int64) for text in texts]
    units = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    return units, torch.tensor([len(text) for text in texts])


def log_probs(batch: int, frames: int, n_units: int = 4, scale: float = 1.0) -> Tensor:
    torch.manual_seed(batch * frames)
    return (scale * torch.randn(batch, frames, n_units)).log_softmax(-1).requires_grad_()


@pytest.mark.parametrize("text", [[1], [1, 2], [1, 1], [2, 2, 2], [1, 2, 2, 1]])
def test_a_text_is_reached_in_just_as_many_frames_as_it_needs(text: list[int]) -> None:
    units, unit_lengths = padded([text, [3]])
    need = frames_of_one(text)
    lattice = log_probs(2, need)
    losses, reachable = reachable_ctc(lattice, torch.tensor([need, need]), units, unit_lengths)
    assert reachable.all() and losses.isfinite().all()
    if need > 1:
        fewer = torch.tensor([need - 1, need])
        losses, reachable = reachable_ctc(lattice, fewer, units, unit_lengths)
        assert reachable.tolist() == [False, True] and losses[0] == 0.0
        losses.sum().backward()
        assert lattice.grad is not None and not lattice.grad[0].any() and lattice.grad[1].any()
        assert lattice.grad.isfinite().all()


def test_an_utterance_out_of_reach_changes_nothing_for_its_neighbours() -> None:
    gradients = []
    for frames in (2, 9):
        lattice = log_probs(2, 9)
        units, unit_lengths = padded([[1, 1, 1], [1, 2]])
        losses, _ = reachable_ctc(lattice, torch.tensor([frames, 9]), units, unit_lengths)
        losses.sum().backward()
        assert lattice.grad is not None
        gradients.append(lattice.grad[1])
    assert torch.equal(*gradients)


@pytest.mark.parametrize(
    ("frames", "text", "scale"),
    [(1, [1], 1.0), (2000, [1, 2] * 400, 1.0), (60, [1, 2, 3], 336.0), (3, [1, 2, 3], 336.0)],
)
def test_losses_and_gradients_are_those_of_double_precision(
    frames: int, text: list[int], scale: float
) -> None:
    """Long ones and sure ones, where kernels have failed (pytorch#14401, #21680)."""
    units, unit_lengths = padded([text])
    lattice = log_probs(1, frames, scale=scale)
    exact = lattice.detach().double().requires_grad_()
    lengths = torch.tensor([frames])
    loss = ctc(lattice, lengths, units, unit_lengths)
    expected = torch.nn.functional.ctc_loss(
        exact.transpose(0, 1), units, lengths, unit_lengths, reduction="none"
    )
    loss.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(loss.double(), expected, rtol=1e-5, atol=1e-5)
    assert lattice.grad is not None and exact.grad is not None
    assert lattice.grad.isfinite().all()
    torch.testing.assert_close(lattice.grad.double(), exact.grad, rtol=0, atol=5e-3)


def test_two_views_give_the_mean_of_their_losses() -> None:
    one, other = log_probs(2, 7), log_probs(2, 7, scale=2.0)
    units, unit_lengths = padded([[1, 2], [3]])
    lengths = torch.tensor([7, 5])
    both = ctc(torch.cat([one, other]), lengths.repeat(2), units, unit_lengths)
    apart = [ctc(view, lengths, units, unit_lengths) for view in (one, other)]
    torch.testing.assert_close(both, (apart[0] + apart[1]) / 2)


def test_views_disagree_by_the_divergence_each_way() -> None:
    one, other = log_probs(2, 6), log_probs(2, 6, scale=3.0)
    lengths = torch.tensor([6, 4, 6, 4])
    found = disagreement(torch.cat([one, other]), lengths)
    p, q = one.exp(), other.exp()
    each_way = (p * (one - other) + q * (other - one)).sum(-1) / 2  # (B, U)
    expected = torch.stack([each_way[0].sum(), each_way[1, :4].sum()])  # no padding
    torch.testing.assert_close(found, expected)
    assert not disagreement(torch.cat([one, one]), lengths).any()


def test_each_view_is_drawn_to_the_other_held_still() -> None:
    logits = torch.randn(2, 5, 4, requires_grad=True)  # two views of one utterance
    views = logits.log_softmax(-1)
    disagreement(views, torch.tensor([5, 5])).sum().backward()
    p = views.detach().exp()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], (p[0] - p[1]) / 2)
    torch.testing.assert_close(logits.grad[1], (p[1] - p[0]) / 2)


def test_consistency_gains_weight_with_the_steps() -> None:
    settings = Consistency(weight=0.2, warmup_steps=100)
    assert [settings.weight_at(step) for step in (0, 50, 100, 900)] == [0.0, 0.1, 0.2, 0.2]
    assert Consistency(weight=0.2, warmup_steps=0).weight_at(1) == 0.2


def test_what_is_heard_is_scored_as_evaluation_does() -> None:
    tally, tokenizer = Tally(), CharacterTokenizer()
    units, unit_lengths = padded([tokenizer.encode("its cold")])
    spelled = tokenizer.encode("it's' cold")
    scores = torch.full((1, len(spelled), tokenizer.n_units), -9.0)
    scores[0, range(len(spelled)), spelled] = 0.0
    batch = Batch(
        torch.zeros(1, 9), torch.tensor([9]), units, unit_lengths,
        (Utterance("1", Path("x.wav"), "it's cold", 1),),
    )  # fmt: skip
    tally.add(scores.log_softmax(-1), torch.tensor([len(spelled)]), batch, tokenizer)
    assert tally.hypotheses == ["it's cold"] and tally.wer == 0.0


def test_a_set_is_stated_per_token_or_per_utterance_and_names_what_is_out_of_reach() -> None:
    utterances = [Utterance(str(line), Path("x.wav"), "a b", line) for line in (2, 1, 3)]
    losses = [(4.0, True, 3), (8.0, True, 1), (0.0, False, 50)]
    tally = Tally(
        [
            UtteranceResult(utterance, "a", loss, reachable, units, frames=10, blanks=5)
            for utterance, (loss, reachable, units) in zip(utterances, losses, strict=True)
        ]
    )
    assert tally.loss(per_token=True) == 3.0 and tally.loss(per_token=False) == 6.0
    assert tally.blank == 0.5 and tally.wer == 0.5
    assert [utterance.id for utterance in tally.unreachable] == ["3"]
    said = tally.explain("val")
    assert (
        said.startswith("development set, greedy, without")
        and "than the audio has: 1 text: " in said
    )
    twice = Tally(tally.results + tally.results[:1]).gathered()
    assert [result.utterance.line for result in twice.results] == [1, 2, 3]
