"""The bundle: a folder with all that is needed to run a model, checked when it is opened.

No file in it is a pickle. `bundle.json` says what the model is and holds the SHA-256 of the
other files, except `README.md`, the card for people, which is rendered from it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias, cast

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file

from asr.errors import AsrError, BadBundle
from asr.model import AcousticModel, ModelConfig
from asr.text import Tokenizer, tokenizer_from_state

FORMAT_VERSION = 1
INFO, WEIGHTS, GRAPH, TOKENIZER, LM, CARD = (
    "bundle.json",
    "model.safetensors",
    "model.onnx",
    "tokenizer.json",
    "lm.npz",
    "README.md",
)
CHECKED_FILES = frozenset({WEIGHTS, GRAPH, TOKENIZER})
OPTIONAL_FILES = frozenset({LM})
"""Checked where the bundle says that it has them."""
_INFO_KEYS: Mapping[str, type] = {
    "format": int,
    "name": str,
    "created": str,
    "model": dict,
    "n_units": int,
    "precision": str,
    "decoding": dict,
    "sources": str,
    "training": dict,
    "export": dict,
    "figures": list,
    "checksums": dict,
}
_OPTIONAL_KEYS: Mapping[str, type] = {"lm": dict, "calibration": dict}

Precision: TypeAlias = Literal["int8", "fp32"]


@dataclass(frozen=True)
class Bundle:
    """An opened bundle; `info` is the content of its `bundle.json`."""

    path: Path
    model: ModelConfig
    tokenizer: Tokenizer
    precision: Precision
    info: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> "Bundle":
        """The bundle in the folder `path`, every file of it checked.

        Raises:
            BadBundle: it is missing, damaged, of another version, or does not fit together.
        """
        path = Path(path)
        info = _read_info(path)
        _check_files(path, info["checksums"])
        tokenizer = _read_tokenizer(path)
        if tokenizer.n_units != info["n_units"]:
            raise BadBundle(
                f"bundle {path}: its tokenizer has {tokenizer.n_units} units and its model "
                f"{info['n_units']}; export it again."
            )
        config = _read_config(path, info)
        return cls(path, config, tokenizer, cast(Precision, info["precision"]), info)

    @property
    def graph(self) -> Path:
        """The ONNX graph `(wave, wave_lengths)` -> `(log_probs, lengths)`.

        In int8 it must be called with one utterance at a time (see `asr.bundle.quantize`).
        """
        return self.path / GRAPH

    @property
    def lm(self) -> Path | None:
        """The n-gram language model, where the bundle has one."""
        return self.path / LM if LM in self.info["checksums"] else None

    def acoustic_model(self) -> AcousticModel:
        """A new torch model with the bundle's weights, in float32, set to infer."""
        model = AcousticModel(self.model, self.tokenizer.n_units)
        weights = load_file(self.path / WEIGHTS)
        model.load_state_dict({name: weight.float() for name, weight in weights.items()})
        return model.eval()


def default_bundle() -> Path:
    """The bundle that ships with earshot: in a wheel inside the package, else in the checkout.

    Raises:
        BadBundle: there is none.
    """
    folder = shipped("models/en")
    if (folder / INFO).is_file():
        return folder
    raise BadBundle(
        f"no bundle ships in {folder}; give one with --bundle, or make one by "
        "`asr export CHECKPOINT OUT`."
    )


def shipped(part: str) -> Path:
    """A folder that comes with earshot: in a wheel inside the package, else in the checkout."""
    package = Path(__file__).parents[1]
    inside = package / "shipped" / part
    return inside if inside.is_dir() else package.parent / part


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_info(path: Path) -> dict[str, Any]:
    info = _read_json(path, INFO)
    version = info.get("format")
    if version != FORMAT_VERSION:
        raise BadBundle(
            f"bundle {path} has format {version!r} and this earshot reads {FORMAT_VERSION}; "
            "use the earshot that wrote it, or export it again."
        )
    types = {**_INFO_KEYS, **_OPTIONAL_KEYS}
    known = types.keys() & info.keys()
    wrong = {key for key in known if not isinstance(info[key], types[key])}
    if info.get("precision") not in ("int8", "fp32"):
        wrong.add("precision")
    for fault, keys in (
        ("lacks", _INFO_KEYS.keys() - known),
        ("has the unknown", info.keys() - known),
        ("has a wrong value of", wrong),
    ):
        if keys:
            raise BadBundle(f"bundle {path}: {INFO} {fault} {_listed(keys)}; export it again.")
    return info


def _read_json(path: Path, name: str) -> dict[str, Any]:
    """The object in the file `name` of the bundle `path`."""
    try:
        content = json.loads((path / name).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadBundle(
            f"{path} is not a bundle ({name}: {error.strerror}); give a folder that "
            "`asr export` wrote."
        ) from error
    except ValueError as error:  # not JSON, or not even UTF-8
        raise BadBundle(f"bundle {path}: {name} is damaged ({error}); export it again.") from error
    if not isinstance(content, dict):
        raise BadBundle(f"bundle {path}: {name} must hold a JSON object; export it again.")
    return content


def _check_files(path: Path, checksums: dict[str, Any]) -> None:
    if wrong := CHECKED_FILES ^ (checksums.keys() - OPTIONAL_FILES):
        raise BadBundle(
            f"bundle {path}: the checksums in {INFO} must name {_listed(CHECKED_FILES)} and "
            f"at most {_listed(OPTIONAL_FILES)} besides, which fails for {_listed(wrong)}; "
            "export it again."
        )
    for name in sorted(checksums):
        try:
            found = checksum(path / name)
        except OSError as error:
            raise BadBundle(
                f"bundle {path}: {name} cannot be read ({error.strerror}); copy it again."
            ) from error
        if found != checksums[name]:
            raise BadBundle(
                f"bundle {path}: {name} is not the file that was exported (its checksum "
                "differs); copy the bundle again."
            )


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        return tokenizer_from_state(_read_json(path, TOKENIZER))
    except BadBundle:
        raise
    except (AsrError, KeyError, TypeError, ValueError) as error:
        raise BadBundle(
            f"bundle {path}: {TOKENIZER} is no tokenizer ({error}); export it again."
        ) from error


def _read_config(path: Path, info: dict[str, Any]) -> ModelConfig:
    """The model's config, whose layers the weights must fit."""
    try:
        config = ModelConfig.from_dict(info["model"])
        # Not on torch's meta device: that loads half of torch's compiler, four seconds here.
        model = AcousticModel(config, info["n_units"])
        expected = {name: tuple(weight.shape) for name, weight in model.state_dict().items()}
    except (AsrError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BadBundle(
            f"bundle {path}: {INFO} describes no model ({error!r}); export it again."
        ) from error
    try:
        with safe_open(path / WEIGHTS, framework="pt") as weights:
            names = weights.keys()
            found = {name: tuple(weights.get_slice(name).get_shape()) for name in names}
    except SafetensorError as error:
        raise BadBundle(f"bundle {path}: {WEIGHTS} is damaged ({error}).") from error
    if wrong := {name for name in expected | found if expected.get(name) != found.get(name)}:
        raise BadBundle(
            f"bundle {path}: the weights in {WEIGHTS} do not fit the layers in {INFO}, first "
            f"{min(wrong)}; export it again."
        )
    return config


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
