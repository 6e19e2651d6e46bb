"""All tensors of a training step lie on its device; torch can tell without a GPU.

Its fake tensors have a shape and a device, and refuse sums over two devices.
"""

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from asr.model import AcousticModel, ModelConfig
from asr.model.recurrent import RecurrentLayer
from asr.training.augmentation.effects import SpecAugment
from asr.training.objective import disagreement, frames_needed


def shapes_only(direction: nn.RNNBase, x: Tensor) -> Tensor:
    """In place of the recurrent kernels, which need a driver."""
    return x.new_zeros(*x.shape[:2], direction.hidden_size) + x.sum()


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_of_the_network_and_its_losses(device: str) -> None:
    config = ModelConfig(channels=4, layers=2, hidden=16, self_conditioning=1)
    with FakeTensorMode():
        with torch.device(device):
            network = AcousticModel(config, n_units=29, n_phones=40)
            wave, wave_lengths = torch.zeros(3, 48_000), torch.tensor([48_000, 20_000, 0])
            units, unit_lengths = torch.ones(3, 5, dtype=torch.long), torch.tensor([5, 2, 0])
        for module in network.modules():
            if isinstance(module, RecurrentLayer):
                module.run = shapes_only
        features, lengths = network.features(wave, wave_lengths)
        masked = SpecAugment()(features.repeat(2, 1, 1), lengths.repeat(2))
        log_probs, frames = network.encode(masked, lengths.repeat(2))
        found = [log_probs, frames, disagreement(log_probs, frames)]
        found += network(wave, wave_lengths)
        found += [frames_needed(units, unit_lengths)]
        assert {tensor.device.type for tensor in found} == {device}


def test_a_tensor_on_another_device_is_noticed() -> None:
    with FakeTensorMode(), pytest.raises(RuntimeError, match=r"cuda.*cpu"):
        torch.zeros(2, device="cuda") + torch.zeros(2)
