"""What a bundle says of itself: the content of its `bundle.json`, typed and checked."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, TypeAlias

from asr.errors import BadBundle
from asr.text import DEFAULT_LANGUAGE, PLAIN

FORMAT_VERSION = 1
INFO = "bundle.json"

Precision: TypeAlias = Literal["int8", "fp32"]
_PRECISIONS = ("int8", "fp32")


@dataclass(frozen=True)
class TrainingInfo:
    """How long the weights were trained."""

    epochs: int
    steps: int
    hours: float
    """Of speech in the training set."""
    before: "TrainingInfo | None" = None
    """The training of the weights that this one started from."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "TrainingInfo":
        """The training that a checkpoint or a bundle describes."""
        before = values.get("before")
        return cls(**{**values, "before": None if before is None else cls.of(before)})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return _without_none(asdict(self))


@dataclass(frozen=True)
class Int8Loss:
    """What quantisation costs on test signals, against torch in float32."""

    mean_difference: float
    """Mean absolute difference of log-probabilities."""
    max_difference: float
    """Largest absolute difference of log-probabilities."""
    divergence: float
    """Mean Kullback-Leibler divergence per frame, in nats."""
    agreement: float
    """Share of frames whose most probable unit is the same."""

    def rounded(self) -> "Int8Loss":
        """With three digits, which is what is worth reading."""
        return Int8Loss(**{name: float(f"{value:.3g}") for name, value in asdict(self).items()})


@dataclass(frozen=True)
class ExportInfo:
    """What the exporter measured."""

    parameters: int
    bytes: int
    """Of all files that running needs."""
    fp32_max_difference: float
    """Largest difference of a log-probability between torch and the graph in fp32."""
    int8: Int8Loss | None = None
    """Of a graph in int8."""

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> "ExportInfo":
        """The measurements in a `bundle.json`."""
        int8 = values.get("int8")
        return cls(**{**values, "int8": None if int8 is None else Int8Loss(**int8)})


@dataclass(frozen=True)
class Figure:
    """Error rates and speed, measured after the export."""

    manifest: str
    decoder: str
    precision: str
    clips: int
    words: int
    wer: float
    """Word error rate as a share: 0.25 for 25 %."""
    cer: float
    """Character error rate as a share."""
    command: str
    """The command that measured them."""
    speed: float | None = None
    """Seconds of sound per second; None in bundles from before it was recorded."""
    device: str | None = None
    """What it ran on."""

    @property
    def key(self) -> tuple[str, str, str]:
        """A newer figure replaces an older one with the same key."""
        return self.manifest, self.decoder, self.precision


@dataclass(frozen=True)
class BundleInfo:
    """The content of `bundle.json`; JSON-ready values where another room interprets them."""

    name: str
    created: str
    """Date and time, ISO 8601."""
    model: dict[str, Any]
    """The layers, as `asr.model.ModelConfig` reads them."""
    n_units: int
    precision: Precision
    decoding: dict[str, Any]
    """Defaults of `asr.runtime.Options`."""
    sources: str
    """The data and its licences, in words."""
    training: TrainingInfo
    export: ExportInfo
    figures: tuple[Figure, ...]
    checksums: dict[str, str]
    """SHA-256 of the bundle's other files, except the card."""
    lm: dict[str, Any] | None = None
    """What people should know of the language model, where there is one."""
    lexicon: dict[str, Any] | None = None
    """The same of the lexicon."""
    punctuation: dict[str, Any] | None = None
    """The same of the model of marks and capitals."""
    calibration: dict[str, Any] = field(default_factory=dict)
    """`asr.decoding.Calibration` of each decoder that has one, by the decoder's name."""
    language: str = DEFAULT_LANGUAGE
    """The code of the language that it reads; bundles from before it was recorded read English."""
    normaliser: str = PLAIN
    """The name of what gives texts the normal form in which it was trained."""

    @classmethod
    def of(cls, values: Mapping[str, Any], path: Path) -> "BundleInfo":
        """The info in the JSON object of the bundle `path`.

        Raises:
            BadBundle: it has another version, or lacks a key, or has one too many or a wrong one.
        """
        version = values.get("format")
        if version != FORMAT_VERSION:
            raise BadBundle(
                f"bundle {path} has format {version!r} and this earshot reads {FORMAT_VERSION}; "
                "use the earshot that wrote it, or export it again."
            )
        known = _TYPES.keys() & values.keys()
        wrong = {key for key in known if not isinstance(values[key], _TYPES[key])}
        if values.get("precision") not in _PRECISIONS:
            wrong.add("precision")
        parsed = {key: values[key] for key in known - {"format"} - wrong}
        for key in _PARTS.keys() & parsed.keys():
            try:
                parsed[key] = _PARTS[key](parsed[key])
            except (AttributeError, TypeError):  # a key is missing, unknown, or no object
                wrong.add(key)
        for fault, keys in (
            ("lacks", _TYPES.keys() - known - _OPTIONAL),
            ("has the unknown", values.keys() - known),
            ("has a wrong value of", wrong),
        ):
            if keys:
                listed = ", ".join(sorted(keys))
                raise BadBundle(f"bundle {path}: {INFO} {fault} {listed}; export it again.")
        return cls(**parsed)

    def to_json(self) -> str:
        """The text of `bundle.json`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {
            "training": self.training.to_dict(),
            "export": _without_none(asdict(self.export)),
            "figures": [_without_none(asdict(figure)) for figure in self.figures],
        }
        kept = {key: value for key, value in values.items() if value or key not in _OPTIONAL}
        return json.dumps({"format": FORMAT_VERSION, **kept}, indent=2, ensure_ascii=False) + "\n"


_TYPES: Mapping[str, type] = {
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
    "lm": dict,
    "lexicon": dict,
    "punctuation": dict,
    "calibration": dict,
    "language": str,
    "normaliser": str,
}
_OPTIONAL = frozenset({"lm", "lexicon", "punctuation", "calibration", "language", "normaliser"})
_PARTS: Mapping[str, Any] = {
    "training": TrainingInfo.of,
    "export": ExportInfo.of,
    "figures": lambda figures: tuple(Figure(**figure) for figure in figures),
}


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    """The values that are not None, also within objects."""
    return {
        key: _without_none(value) if isinstance(value, dict) else value
        for key, value in values.items()
        if value is not None
    }
