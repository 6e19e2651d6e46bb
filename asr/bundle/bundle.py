"""The bundle: a folder with everything needed to run a model, checked when it is opened.

No file in it is a pickle. `bundle.json` describes the model and has the SHA-256 of the other files,
except `README.md`, the model card, which is rendered from it.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from asr.bundle.info import INFO, BundleInfo, Precision
from asr.errors import AsrError, BadBundle, BadOption
from asr.model.config import ModelConfig
from asr.text import Normaliser, Tokenizer, normaliser, spelled_by, tokenizer_from_state

if TYPE_CHECKING:
    from asr.model.acoustic import AcousticModel

WEIGHTS, GRAPH, TOKENIZER, LM, LEXICON, G2P_MODEL, PUNCTUATION, CARD = (
    "model.safetensors",
    "model.onnx",
    "tokenizer.json",
    "lm.npz",
    "lexicon.txt",
    "g2p.npz",
    "punctuation.onnx",
    "README.md",
)
CHECKED_FILES = frozenset({WEIGHTS, GRAPH, TOKENIZER})
OPTIONAL_FILES = frozenset({LM, LEXICON, G2P_MODEL, PUNCTUATION})
"""Checked if the bundle has them."""


@dataclass(frozen=True)
class Bundle:
    """An opened bundle."""

    path: Path
    model: ModelConfig
    tokenizer: Tokenizer
    info: BundleInfo

    @classmethod
    def open(cls, path: Path) -> "Bundle":
        """The bundle in the folder `path`; every file is checked.

        Raises:
            BadBundle: it is missing, damaged, of another version, or inconsistent.
        """
        path = Path(path)
        info = BundleInfo.of(_read_json(path, INFO), path)
        _check_files(path, info.checksums)
        tokenizer = _read_tokenizer(path)
        if tokenizer.n_units != info.n_units:
            raise BadBundle(
                f"bundle {path}: its tokenizer has {tokenizer.n_units} units and its model "
                f"{info.n_units}; export it again."
            )
        config = _read_config(path, info)
        try:
            normaliser(info.normaliser, info.language)
        except BadOption as error:
            raise BadBundle(f"bundle {path}: {INFO}: {error}") from error
        _check_weights(path)
        return cls(path, config, tokenizer, info)

    @property
    def precision(self) -> Precision:
        """Of the ONNX graph's weights."""
        return self.info.precision

    @property
    def normalise(self) -> Normaliser:
        """Gives texts the normal form in which the model was trained."""
        return normaliser(self.info.normaliser, self.info.language)

    @property
    def spelling(self) -> Normaliser:
        """As `normalise`, without the accents that the model has no letters for."""
        return spelled_by(self.tokenizer, self.normalise)

    @property
    def graph(self) -> Path:
        """The ONNX graph `(wave, wave_lengths)` -> `(log_probs, lengths)`.

        In int8 it must be called with one utterance at a time (see `asr.export.onnx.quantisation`).
        """
        return self.path / GRAPH

    @property
    def lm(self) -> Path | None:
        """The n-gram language model, if the bundle has one."""
        return self.path / LM if LM in self.info.checksums else None

    @property
    def lexicon(self) -> Path | None:
        """The pronunciations of words, one `word<TAB>phones` per line, if the bundle has them."""
        return self.path / LEXICON if LEXICON in self.info.checksums else None

    @property
    def g2p(self) -> Path | None:
        """The model for pronunciations of words that the lexicon lacks, if the bundle has one."""
        return self.path / G2P_MODEL if G2P_MODEL in self.info.checksums else None

    @property
    def punctuation(self) -> Path | None:
        """The model of marks and capitals, if the bundle has one."""
        return self.path / PUNCTUATION if PUNCTUATION in self.info.checksums else None

    def acoustic_model(self) -> "AcousticModel":
        """A new torch model with the bundle's weights, in float32 and evaluation mode.

        Raises:
            BadBundle: the weights are not those of the layers that the bundle describes.
        """
        from safetensors.torch import load_file

        from asr.model.acoustic import AcousticModel

        model = AcousticModel(self.model, self.tokenizer.n_units, self.tokenizer.n_phones)
        weights = load_file(self.path / WEIGHTS)
        expected = {name: weight.shape for name, weight in model.state_dict().items()}
        shapes = {name: weight.shape for name, weight in weights.items()}
        if wrong := {name for name in expected | shapes if expected.get(name) != shapes.get(name)}:
            raise BadBundle(
                f"bundle {self.path}: the weights in {WEIGHTS} do not fit the layers in {INFO}, "
                f"first {min(wrong)}; export it again."
            )
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


def _check_files(path: Path, checksums: Mapping[str, str]) -> None:
    if wrong := CHECKED_FILES ^ (checksums.keys() - OPTIONAL_FILES):
        raise BadBundle(
            f"bundle {path}: the checksums in {INFO} must name {_listed(CHECKED_FILES)} and "
            f"at most {_listed(OPTIONAL_FILES)} besides, which fails for {_listed(wrong)}; "
            "export it again."
        )
    for name in sorted(checksums):
        try:
            actual = checksum(path / name)
        except OSError as error:
            raise BadBundle(
                f"bundle {path}: {name} cannot be read ({error.strerror}); copy it again."
            ) from error
        if actual != checksums[name]:
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


def _read_config(path: Path, info: BundleInfo) -> ModelConfig:
    try:
        return ModelConfig.from_dict(info.model)
    except (AsrError, KeyError, TypeError, ValueError) as error:
        raise BadBundle(
            f"bundle {path}: {INFO} describes no model ({error!r}); export it again."
        ) from error


def _check_weights(path: Path) -> None:
    """BadBundle if the file of weights is none; whether they fit is seen when torch loads them."""
    try:
        with safe_open(path / WEIGHTS, framework="np"):
            pass
    except SafetensorError as error:
        raise BadBundle(f"bundle {path}: {WEIGHTS} is damaged ({error}).") from error


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
