"""One adaptation: a run of `asr fit`, and the way back towards the old weights."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml

from asr.adaptation.recipe import Recipe
from asr.files import write_atomically
from asr.model import AcousticModel
from asr.training.callbacks.checkpoints import LAST, newest
from asr.training.checkpoint import Checkpoint
from asr.training.command import fit
from asr.training.command.cli import CHECKPOINTS
from asr.training.initial_weights import InitialWeights
from asr.training.lightning_internals import without_messages


def train(recipe: Recipe, config: dict[str, Any]) -> Checkpoint | None:
    """The weights between the old ones and those of training; None if nothing was gained.

    A run that was stopped goes on.

    Args:
        config: that of the recipe.
    """
    run = Path(config["trainer"]["default_root_dir"])
    file = run / "recipe.yaml"
    write_atomically(file, yaml.safe_dump(config, allow_unicode=True))
    begun = newest(run / CHECKPOINTS) is not None
    with without_messages(_beside_the_point(config["data"]["root"])):
        fit.run("fit", fit.resume_arguments(run) if begun else ["--config", str(file)])
    trained = Checkpoint.read(run / CHECKPOINTS / LAST)
    if trained.training["epochs"] < recipe.epochs:
        return None
    before = InitialWeights.read(Path(config["model"]["init_from"]))
    return between(before.model, trained, recipe.share)


def _beside_the_point(folder: str) -> str:
    """Messages of Lightning's own, and on manifests in `folder`, which nobody wrote by hand."""
    manifests = rf"{re.escape(folder)}/.*(: \d+ clips, .*| which `asr check` names)"
    return rf"GPU available: .*|Seed set to .*|Using bfloat16 .*|{manifests}"


def between(before: AcousticModel, trained: Checkpoint, share: float) -> Checkpoint:
    """The weights that lie a share of the way from the old ones to the trained ones.

    The errors on a straight line between them are low for both kinds of speech (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", 2022).
    """
    model = AcousticModel(trained.model.config, *_sizes(trained.model)).eval()
    weights = trained.model.state_dict()
    old = before.state_dict()
    model.load_state_dict(
        {name: torch.lerp(old[name], weight, share) for name, weight in weights.items()}
    )
    return replace(trained, model=model)


def _sizes(model: AcousticModel) -> tuple[int, int]:
    """The units of both heads."""
    phones = model.phone_head
    return model.head.out_features, 0 if phones is None else phones.out_features
