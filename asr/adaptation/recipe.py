"""How a model is adapted, by the amount of speech."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr.adaptation.material import CACHE, Material
from asr.bundle import Bundle

_BATCH_SECONDS = 40.0
"""Few recordings: small batches make more steps of them."""
_VALIDATIONS = 4
_FIVE_MINUTES = 300.0
_PASSES, _FEWEST_PASSES = 20, 4
"""Over five minutes and less; and over hours."""
REHEARSED = 0.3
"""Share of the batches, where there are clips to rehearse."""
_MORE_PASSES, _MORE_OF_THE_WAY = 2, 0.75
"""What is rehearsed is not forgotten, so more may be learnt."""


@dataclass(frozen=True)
class Recipe:
    """The settings of one adaptation."""

    epochs: int
    rate: float = 3e-4
    """The peak of the learning rate."""
    share: float = 0.5
    """How far the weights go from the old ones to those of training."""

    @classmethod
    def of(cls, seconds: float, epochs: int | None = None, rehearsed: bool = False) -> "Recipe":
        """The recipe for so much speech to learn from, or with so many epochs.

        Four times as much speech is read half as often, in twice as many steps.

        Args:
            rehearsed: whether there are clips to rehearse.
        """
        passes = _PASSES * math.sqrt(_FIVE_MINUTES / seconds) * (_MORE_PASSES if rehearsed else 1)
        recipe = cls(epochs=epochs or min(_PASSES, max(_FEWEST_PASSES, round(passes))))
        return replace(recipe, share=_MORE_OF_THE_WAY) if rehearsed else recipe

    def config(
        self,
        bundle: Bundle,
        material: Material,
        run: Path,
        others: Sequence[tuple[Path, float]] = (),
        device: str = "auto",
        sources: str = "",
    ) -> dict[str, Any]:
        """The config of `asr fit`.

        Args:
            others: manifests to train on too, and their shares of the batches.
        """
        folder = material.train.manifest.parent
        shares = [{"manifest": str(path.resolve()), "share": share} for path, share in others]
        return {
            "seed_everything": 1,
            "trainer": {
                "default_root_dir": str(run),
                "max_epochs": self.epochs,
                "accelerator": "gpu" if device == "cuda" else device,
                "precision": "auto",
                "gradient_clip_val": 1.0,
                "num_sanity_val_steps": -1,  # the errors before, for `StopWithoutGain`
                "check_val_every_n_epoch": -(-self.epochs // _VALIDATIONS),
                "enable_progress_bar": False,
                "enable_model_summary": False,
                "logger": False,
                "callbacks": [{"class_path": "asr.training.callbacks.gain.StopWithoutGain"}],
            },
            "model": {
                "network": bundle.model.to_dict() | {"dropout": 0.2},
                "optimizer": {"learning_rate": self.rate, "warmup": 0.1},
                "init_from": str(bundle.path),
                "average": 0.1,
                "phone_weight": 0.5,
                "middle_layer": bundle.model.self_conditioning,
                "augment": {
                    "speed": {"factors": [0.9, 1.0, 1.1]},
                    "gain": {"decibels": [-10.0, 5.0]},
                    "masks": {
                        "frequency_masks": 2,
                        "frequency_width": 15,
                        "time_share": 0.15,
                        "time_width": 35,
                    },
                },
            },
            "data": {
                "root": str(folder),
                "train": material.train.manifest.name,
                "dev": material.test.manifest.name,
                "shares": shares,
                "alone_last": 0.0,
                "units": None,
                "bad_lines": "drop",
                "most_dropped": 1.0,  # what is left out has been named
                "shared_speakers": "allow",
                "batch_seconds": batch_seconds(material),
                "short_first": 0,
                "cache": str(folder / CACHE),
                "sources": f"{bundle.info.sources} {sources}".strip(),
            },
        }


def batch_seconds(material: Material) -> float:
    """Padded seconds in a batch, which no clip exceeds."""
    return max(_BATCH_SECONDS, *material.train.seconds, *material.test.seconds)
