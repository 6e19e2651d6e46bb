"""Models of marks with random weights, which put marks and capitals everywhere."""

from pathlib import Path

import torch

from asr.model.config import Cell, PunctuationConfig
from asr.model.punctuation import PunctuationModel
from asr.punctuation.model import CLASSES
from asr.punctuation.sound import SOUND
from asr.training.checkpoint import describe_punctuation

FORMS = {"mcdonald": "McDonald", "iphone": "iPhone"}


def random_model(cell: Cell = "lstm") -> PunctuationModel:
    """A small model, sure of what it says."""
    torch.manual_seed(34)
    config = PunctuationConfig(rows=512, width=8, cell=cell, layers=2, hidden=8, dropout=0.0)
    model = PunctuationModel(config, SOUND, CLASSES).eval()
    with torch.no_grad():
        for name, weight in model.recurrent.layers.named_parameters():
            weight.mul_(3.0 if "weight_ih" in name else 0.3 if "weight_hh" in name else 0.0)
        model.head.weight.mul_(6.0)
        model.head.bias[CLASSES[0]] += 8.0  # no mark at most words
    return model


def random_checkpoint(path: Path, cell: Cell = "lstm") -> Path:
    """Its checkpoint, as `asr fit` writes one."""
    model = random_model(cell)
    weights = {f"network.{name}": weight for name, weight in model.state_dict().items()}
    content: dict[str, object] = {"state_dict": weights}
    describe_punctuation(content, model.config, FORMS, "none", {"steps": 0, "words": 0})
    torch.save(content, path)
    return path
