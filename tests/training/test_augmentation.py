"""Each effect does what it says and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch
from runs import TINY, TRAIN, fitted, small_data
from torch import Tensor

from asr.audio import SAMPLE_RATE, load
from asr.training.augmentation import Augment, Gain, Noise, NoiseBank, Reverb, SpecAugment, Speed
from asr.training.augmentation.effects import at_speed, lengths_at, power
from asr.training.module import CtcTraining


@pytest.fixture(scope="module")
def speech() -> tuple[Tensor, Tensor]:
    """Four clips, padded with zeros."""
    clips = [torch.from_numpy(load(path).samples) for path in sorted(TRAIN.glob("*.opus"))[:4]]
    lengths = torch.tensor([len(clip) for clip in clips])
    return torch.nn.utils.rnn.pad_sequence(clips, batch_first=True), lengths


def padding_is_silent(wave: Tensor, lengths: Tensor) -> bool:
    return all(not row[length:].any() for row, length in zip(wave, lengths.tolist(), strict=True))


@pytest.mark.parametrize("factor", [0.9, 1.1, 1.25])
def test_speed_moves_pitch_and_length_alike(factor: float) -> None:
    time = torch.arange(16_000) / SAMPLE_RATE
    wave = torch.stack([torch.sin(2 * np.pi * 1000 * time), torch.zeros(16_000)])
    wave[0, 12_000:] = 0.0
    played, lengths = at_speed(wave, torch.tensor([12_000, 16_000]), factor)
    assert lengths.tolist() == [-(-12_000 // factor), -(-16_000 // factor)]
    assert played.shape[1] == lengths.max() and padding_is_silent(played, lengths)
    heard = played[0, : lengths[0]]
    peak = torch.fft.rfft(heard).abs().argmax() * SAMPLE_RATE / len(heard)
    assert float(peak) == pytest.approx(1000 * factor, abs=3)
    assert heard.square().mean().sqrt() == pytest.approx(np.sqrt(0.5), abs=0.02)


def test_speed_draws_its_factors_and_no_others(speech: tuple[Tensor, Tensor]) -> None:
    wave, lengths = speech
    augment = Augment(speed=Speed((0.9, 1.0, 1.1)))
    torch.manual_seed(0)
    seen = {augment.waves(wave, lengths, None, lambda _: True)[1][0].item() for _ in range(30)}
    assert seen == {lengths_at(lengths, factor)[0].item() for factor in (0.9, 1.0, 1.1)}


def test_a_batch_keeps_its_speed_where_a_text_would_not_fit(speech: tuple[Tensor, Tensor]) -> None:
    wave, lengths = speech
    asked: list[Tensor] = []

    def fits(samples: Tensor) -> bool:
        asked.append(samples)
        return False

    same, kept = Augment(speed=Speed((1.5,))).waves(wave, lengths, None, fits)
    assert same is wave and kept is lengths
    assert torch.equal(asked[0], lengths_at(lengths, 1.5))


def noise_bank(**settings: object) -> NoiseBank:
    return NoiseBank(Noise(manifest="manifest.jsonl", **settings), TRAIN)  # type: ignore[arg-type]


def test_noise_reaches_its_ratio_over_each_clip(speech: tuple[Tensor, Tensor]) -> None:
    wave, lengths = speech
    torch.manual_seed(1)
    mixed = noise_bank(share=1.0, snr=(12.0, 12.0)).mix(wave, lengths)
    assert padding_is_silent(mixed, lengths)
    ratio = 10 * torch.log10(power(wave, lengths) / power(mixed - wave, lengths))
    torch.testing.assert_close(ratio, torch.full((4,), 12.0), atol=0.05, rtol=0)


def test_noise_leaves_the_other_clips_alone(speech: tuple[Tensor, Tensor]) -> None:
    wave, lengths = speech
    wave = torch.cat([wave, torch.zeros_like(wave[:1])])  # nothing can be mixed with silence
    lengths = torch.cat([lengths, lengths[:1]])
    torch.manual_seed(2)
    mixed = noise_bank(share=0.5, snr=(0.0, 5.0)).mix(wave, lengths)
    changed = (mixed != wave).any(1)
    assert 0 < changed[:4].sum() < 4 and not changed[4]


def test_noise_leaves_out_the_ids_of_tests() -> None:
    ids = [path.stem for path in TRAIN.glob("*.opus")]
    without = noise_bank(without="0073")
    assert len(without._clips) == len(ids) - 1 == len(noise_bank()._clips) - 1


def room(**settings: object) -> Tensor:
    """What a click at sample 1000 becomes."""
    click = torch.zeros(1, 24_000)
    click[0, 1000] = 1.0
    torch.manual_seed(3)
    return Reverb(share=1.0, **settings)(click, torch.tensor([24_000]))[0]  # type: ignore[arg-type]


def test_reverb_keeps_the_direct_sound_in_its_place() -> None:
    heard = room(decay=(0.3, 0.3), direct=(6.0, 6.0))
    assert heard[:1000].abs().max() < 1e-5 and heard.abs().argmax() == 1000
    echo = heard[1001:].square().sum()
    assert 10 * torch.log10(heard[1000] ** 2 / echo) == pytest.approx(6.0, abs=0.1)
    assert heard.square().sum() == pytest.approx(1.0, abs=1e-3)  # as loud as it was


@pytest.mark.parametrize("seconds", [0.2, 0.5])
def test_reverb_dies_away_by_60_dB_in_its_time(seconds: float) -> None:
    heard = room(decay=(seconds, seconds), direct=(0.0, 0.0))[1001:]
    left = heard.flip(0).square().cumsum(0).flip(0)  # Schroeder's integral
    decibels = 10 * torch.log10(left / left[0])
    at = [int((decibels < -level).nonzero()[0]) for level in (5, 25)]
    assert 3 * (at[1] - at[0]) / SAMPLE_RATE == pytest.approx(seconds, rel=0.15)


def test_reverb_keeps_lengths_and_other_clips(speech: tuple[Tensor, Tensor]) -> None:
    wave, lengths = speech
    torch.manual_seed(4)
    heard = Reverb(share=0.5)(wave, lengths)
    changed = (heard != wave).any(1)
    assert heard.shape == wave.shape and padding_is_silent(heard, lengths)
    assert 0 < changed.sum() < 4
    torch.testing.assert_close(power(heard, lengths), power(wave, lengths), rtol=1e-3, atol=0)


def test_gain_scales_each_clip_within_its_range(speech: tuple[Tensor, Tensor]) -> None:
    wave = speech[0] / 4  # out of the reach of clipping
    torch.manual_seed(5)
    louder = Gain((-6.0, 6.0))(wave)
    factors = louder.abs().sum(1) / wave.abs().sum(1)
    torch.testing.assert_close(louder, wave * factors[:, None], rtol=1e-4, atol=1e-6)
    assert len(set(factors.tolist())) == 4
    assert (20 * torch.log10(factors)).abs().max() <= 6.01
    assert Gain((40.0, 40.0))(wave).abs().max() == 1.0


def test_spec_augment_sets_stretches_and_bands_to_the_mean_and_nothing_else() -> None:
    torch.manual_seed(3)
    features = torch.randn(4, 200, 80) + 5.0
    masked = SpecAugment(1, 10, 0.15, 30)(features, torch.full((4,), 200))
    changed = masked != features
    assert changed.any(dim=(1, 2)).all()
    assert (masked[changed] == 0.0).all()
    for row in changed:
        frames, bands = row.all(dim=1), row.all(dim=0)  # whole frames, whole bands
        assert torch.equal(row, frames[:, None] | bands[None, :])
        assert frames.sum() <= 30 and bands.sum() < 10


def masked_shares(masks: SpecAugment, lengths: Tensor, draws: int) -> Tensor:
    """`(draws, B)`: the share of its own frames that each clip loses."""
    shares = []
    for _ in range(draws):
        masked = masks(torch.ones(len(lengths), int(lengths.max()), 4), lengths)
        covered = (masked == 0).all(-1)
        assert not any(row[n:].any() for row, n in zip(covered, lengths.tolist(), strict=True))
        shares.append(covered.sum(1) / lengths)
    return torch.stack(shares)


@pytest.mark.parametrize(("share", "width"), [(0.15, 40), (0.375, 35), (0.5, 7)])
def test_short_and_long_clips_lose_the_same_share_of_their_time(share: float, width: int) -> None:
    torch.manual_seed(6)
    shares = masked_shares(SpecAugment(0, 0, share, width), torch.tensor([200, 600, 1500]), 200)
    assert shares.max() <= share
    low, high = shares.mean(0).aminmax()
    assert low > 0.35 * share  # masks may lie on one another
    assert high - low < 0.1 * share


def test_long_clips_get_more_masks_and_not_wider_ones() -> None:
    torch.manual_seed(7)
    frames = SpecAugment(0, 0, 0.1, 20)(torch.ones(1, 3000, 1), torch.tensor([3000]))[0, :, 0]
    edges = (frames.diff() == -1).nonzero().flatten(), (frames.diff() == 1).nonzero().flatten()
    assert 5 <= len(edges[0]) <= 15  # of 15, some beside or upon one another


@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_masks_take_clips_of_no_length(length: int) -> None:
    features = torch.ones(2, 5, 80)
    masked = SpecAugment(0, 0, 0.5, 3)(features, torch.tensor([length, 5]))
    assert masked[0, length:].all() and (masked[0] == 0).all(-1).sum() <= length / 2


def test_no_masks_change_nothing() -> None:
    features = torch.randn(2, 50, 80)
    masks = SpecAugment(frequency_masks=0, time_share=0.0)
    assert torch.equal(masks(features, torch.tensor([50, 20])), features)


EVERYTHING = Augment(
    speed=Speed((0.8,)),
    reverb=Reverb(share=1.0),
    noise=Noise(manifest="manifest.jsonl", share=1.0, snr=(0.0, 0.0)),
    gain=Gain((-30.0, -30.0)),
    masks=SpecAugment(8, 40, 0.9, 80),
)


def test_samples_keep_their_precision_where_training_has_half(
    speech: tuple[Tensor, Tensor],
) -> None:
    augment = Augment(EVERYTHING.speed, EVERYTHING.reverb, None, EVERYTHING.gain)
    heard = []
    for half in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            heard.append(augment.waves(*speech, None, lambda _: True)[0])
    assert heard[1].dtype == torch.float32 and torch.equal(*heard)


def test_development_audio_is_never_augmented(tmp_path: Path) -> None:
    heard = []
    for augment in (None, EVERYTHING):
        torch.manual_seed(0)
        module = CtcTraining(network=TINY, augment=augment)
        trainer = fitted(
            module,
            max_steps=1,
            default_root_dir=tmp_path,
            limit_val_batches=1.0,
            val_check_interval=9,
        )
        torch.manual_seed(0)
        module.load_state_dict(CtcTraining(network=TINY).state_dict())  # the same weights again
        trainer.validate(module, datamodule=small_data(), verbose=False)
        heard.append(module.tallies["val"].results)
    assert heard[0] == heard[1] and len(heard[0]) == 10


def test_each_step_draws_from_the_seed_and_its_number(tmp_path: Path) -> None:
    weights = []
    for noise_before in (0, 17):
        torch.manual_seed(0)
        module = CtcTraining(network=TINY, augment=EVERYTHING)
        torch.rand(noise_before)  # whatever was drawn before
        fitted(module, max_steps=2, default_root_dir=tmp_path)
        weights.append(module.network.head.weight)
    assert torch.equal(*weights)
