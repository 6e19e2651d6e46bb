"""What a training checkpoint says of itself, so that it can be used without its run.

Besides Lightning's entries, a checkpoint has one entry of plain values: the model's layers, its
units, the source of its data, and how long it was trained.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from asr.errors import AsrError, BadBundle, in_brief
from asr.model import AcousticModel, ModelConfig
from asr.model.config import PunctuationConfig
from asr.model.punctuation import PunctuationModel
from asr.punctuation.model import CLASSES
from asr.punctuation.sound import SOUND
from asr.text import DEFAULT_LANGUAGE, PLAIN, Tokenizer, tokenizer_from_state

CHECKPOINT_FORMAT = 1
_KEY = "earshot"
_PUNCTUATION_KEY = "earshot_punctuation"
_PREFIX = "network."  # of the model's weights in the trained module


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint of `asr fit`, read."""

    model: AcousticModel
    """With its weights in float32, in evaluation mode."""
    tokenizer: Tokenizer
    sources: str
    """The data and its licences, in words."""
    training: dict[str, Any]
    """`epochs`, `steps` and `hours` of speech; `before`: the same for the initial weights, or None
    if training started from random ones."""
    language: str = DEFAULT_LANGUAGE
    """The code of the language of its texts; older checkpoints are of English."""
    normaliser: str = PLAIN
    """The name of what gave its texts their normal form."""

    @classmethod
    def read(cls, path: Path) -> "Checkpoint":
        """The checkpoint in the file `path`; BadBundle if it is missing, damaged or foreign."""
        content = _load(path)
        try:
            if _PUNCTUATION_KEY in content:
                raise BadBundle(
                    f"{path} holds a model of marks and capitals: put it into a bundle with "
                    "`asr punctuation add`."
                )
            about = content[_KEY]
            _check_format(about, path)
            tokenizer = tokenizer_from_state(about["tokenizer"])
            config = ModelConfig.from_dict(about["model"])
            model = AcousticModel(config, tokenizer.n_units, tokenizer.n_phones)
            model.load_state_dict(_weights(content))
            training = dict(about["training"])
            if missing := {"epochs", "steps", "hours"} - training.keys():
                raise KeyError(*sorted(missing))
            named = {key: about[key] for key in ("language", "normaliser") if key in about}
            return cls(model.eval(), tokenizer, str(about["sources"]), training, **named)
        except BadBundle:
            raise
        except (AsrError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise BadBundle(
                f"{path} is not a checkpoint of `asr fit` ({type(error).__name__}: "
                f"{in_brief(error)}); give one that it wrote."
            ) from error


def describe(
    checkpoint: dict[str, Any],
    model: ModelConfig,
    tokenizer: Tokenizer,
    sources: str,
    training: dict[str, Any],
    language: str,
) -> None:
    """Adds to a checkpoint, before it is saved, what `Checkpoint.read` needs."""
    checkpoint[_KEY] = {
        "format": CHECKPOINT_FORMAT,
        "model": model.to_dict(),
        "tokenizer": tokenizer.state(),
        "sources": sources,
        "training": training,
        "language": language,
        "normaliser": PLAIN,
    }


@dataclass(frozen=True)
class PunctuationCheckpoint:
    """A checkpoint of `asr fit` with `task: punctuation`, read."""

    model: PunctuationModel
    """With its weights in float32, in evaluation mode."""
    forms: dict[str, str]
    """Words that are written in a form of their own."""
    sources: str
    """The data and its licences, in words."""
    training: dict[str, Any]
    """`steps`, and `words` of the training texts."""

    @classmethod
    def read(cls, path: Path) -> "PunctuationCheckpoint":
        """The checkpoint in the file `path`; BadBundle if it is missing, damaged or foreign."""
        content = _load(path)
        try:
            about = content[_PUNCTUATION_KEY]
            _check_format(about, path)
            model = PunctuationModel(PunctuationConfig(**about["network"]), SOUND, CLASSES)
            model.load_state_dict(_weights(content))
            training = {key: int(about["training"][key]) for key in ("steps", "words")}
            return cls(model.eval(), dict(about["forms"]), str(about["sources"]), training)
        except BadBundle:
            raise
        except (AsrError, AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            raise BadBundle(
                f"{path} is no checkpoint of `asr fit` with `task: punctuation` "
                f"({type(error).__name__}: {in_brief(error)}); give one that it wrote."
            ) from error


def describe_punctuation(
    checkpoint: dict[str, Any],
    network: PunctuationConfig,
    forms: dict[str, str],
    sources: str,
    training: dict[str, Any],
) -> None:
    """Adds to a checkpoint, before it is saved, what `PunctuationCheckpoint.read` needs."""
    checkpoint[_PUNCTUATION_KEY] = {
        "format": CHECKPOINT_FORMAT,
        "network": network.to_dict(),
        "forms": forms,
        "sources": sources,
        "training": training,
    }


def trained_before(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    """How the initial weights of a checkpoint's run were trained, as it was recorded."""
    before: dict[str, Any] | None = checkpoint[_KEY]["training"].get("before")
    return before


def epoch_of(path: Path) -> int:
    """The epoch, counted from 0, in or after which a checkpoint was saved; BadBundle as above."""
    content = _load(path)
    return int(content.get("epoch", 0)) if isinstance(content, dict) else 0


def _check_format(about: dict[str, Any], path: Path) -> None:
    """BadBundle for what another version wrote."""
    if about["format"] != CHECKPOINT_FORMAT:
        raise BadBundle(
            f"checkpoint {path} has format {about['format']!r} and this earshot reads "
            f"{CHECKPOINT_FORMAT}; use the earshot that trained it."
        )


def _weights(content: dict[str, Any]) -> dict[str, Any]:
    """The weights of the model, by its own names, in the content of a checkpoint."""
    return {
        name.removeprefix(_PREFIX): weight
        for name, weight in content["state_dict"].items()
        if name.startswith(_PREFIX)
    }


def _load(path: Path) -> Any:
    try:
        file = path.open("rb")
    except OSError as error:
        best = path / "checkpoints" / "best.ckpt"
        advice = f"name {best}" if best.is_file() else "check the path"
        raise BadBundle(
            f"checkpoint {path} cannot be read ({error.strerror}); {advice}."
        ) from error
    with file:
        try:
            return torch.load(file, map_location="cpu", weights_only=True)
        # torch's reader raises errors of every kind on bytes that are not a checkpoint.
        except Exception as error:
            raise BadBundle(
                f"checkpoint {path} is damaged, or holds more than weights and plain values; "
                "take another one of the run."
            ) from error
