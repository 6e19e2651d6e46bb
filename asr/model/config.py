"""What an acoustic model is made of, and how many frames it gives: known without torch."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeAlias, get_args

from asr.errors import BadOption
from asr.sampling import SAMPLE_RATE

Cell: TypeAlias = Literal["lstm", "gru", "rnn"]
Norm: TypeAlias = Literal["inside", "behind"]
_STRIDES = {2: (2, 1), 3: (3, 1), 4: (2, 2)}
"""Of the two convolutions in time, by the factor of both."""


def strided(size: Any, stride: int) -> Any:
    """What a convolution of this stride leaves of so many: exact, for ints, arrays and tensors."""
    return (size + stride - 1) // stride


@dataclass(frozen=True)
class FeatureConfig:
    """The settings of the features."""

    mels: int = 80
    """Number of mel bands from 20 Hz to 8 kHz."""
    window_ms: int = 25
    """Length of the analysis window."""
    hop_ms: int = 10
    """Time from one window to the next."""
    normalize: Literal["corpus", "utterance"] = "corpus"
    """Mean and deviation of each band: fixed from the training set, or from each utterance."""

    def __post_init__(self) -> None:
        if self.normalize not in ("corpus", "utterance"):
            raise BadOption(f"normalize {self.normalize!r} is neither corpus nor utterance.")
        if min(self.mels, self.hop_ms) < 1 or self.window_ms < self.hop_ms:
            raise BadOption(
                f"features cannot have {self.mels} mels, windows of {self.window_ms} ms and hops "
                f"of {self.hop_ms} ms: give at least 1 each, and windows no shorter than hops."
            )

    @property
    def window(self) -> int:
        """Window length in samples."""
        return SAMPLE_RATE * self.window_ms // 1000

    @property
    def hop(self) -> int:
        """Hop in samples."""
        return SAMPLE_RATE * self.hop_ms // 1000

    def frames(self, samples: Any) -> Any:
        """Feature frames of recordings of so many samples: exact, for ints, arrays and tensors."""
        windows = (samples - self.window) // self.hop + 1
        return windows * (windows > 0)

    @property
    def points(self) -> int:
        """Points of the Fourier transform: the smallest power of two not below the window."""
        return int(2 ** (self.window - 1).bit_length())


@dataclass(frozen=True)
class ModelConfig:
    """The layers of an acoustic model."""

    features: FeatureConfig = field(default_factory=FeatureConfig)
    """The log-mel front end."""
    channels: int = 32
    """Channels of the two subsampling convolutions."""
    subsampling: Literal[2, 3, 4] = 4
    """Feature frames for each output frame."""
    cell: Cell = "lstm"
    """Kind of recurrent cell: lstm, gru, or the vanilla rnn."""
    layers: int = 4
    """Number of recurrent layers."""
    hidden: int = 256
    """Units of each direction; a multiple of 128 lets cuDNN use its fastest kernels."""
    directions: Literal[1, 2] = 2
    """2: each layer reads the frames ahead and back; 1: only ahead, so that a frame knows nothing
    of what comes after it."""
    projection: int = 0
    """Numbers to which a linear layer brings the output of each recurrent layer (Sak et al., "Long
    short-term memory recurrent neural network architectures for large scale acoustic modeling",
    2014; here the layer itself does not read them); 0 for none."""
    residual: bool = False
    """Whether each layer but the first adds what it reads to its output (He et al., "Deep residual
    learning for image recognition", 2016)."""
    norm: Norm = "inside"
    """Where a residual layer has its LayerNorm: inside, on what is added, or behind, on the sum."""
    forget_bias: float = 1.0
    """What the forget gates of an LSTM start with: at 0 they are half open, at 1 nearly three
    quarters (Jozefowicz et al., "An empirical exploration of recurrent network architectures",
    2015)."""
    dropout: float = 0.1
    """Dropout after each recurrent layer in training."""
    self_conditioning: int = 0
    """The layer, counted from 1, whose own reading the layers above it read too; 0 for none."""
    phone_layer: int = 0
    """The layer, counted from 1, that the phones' head reads; 0 for the last. The layers above it
    are the letters' own (Krishna et al., "Hierarchical multitask learning for CTC-based speech
    recognition", 2018)."""

    def __post_init__(self) -> None:
        if self.cell not in get_args(Cell):
            raise BadOption(f"cell {self.cell!r} is none of {', '.join(get_args(Cell))}.")
        if min(self.channels, self.layers, self.hidden) < 1 or not 0 <= self.dropout < 1:
            raise BadOption(
                f"a model cannot have {self.channels} channels, {self.layers} layers of "
                f"{self.hidden} units and dropout {self.dropout}: give sizes of at least 1 and a "
                "dropout from 0 to below 1."
            )
        if self.directions not in (1, 2):
            raise BadOption(f"layers cannot have {self.directions} directions: give 1 or 2.")
        if self.subsampling not in _STRIDES:
            raise BadOption(f"subsampling by {self.subsampling} cannot be: give 2, 3 or 4.")
        if self.projection < 0:
            raise BadOption(
                f"projection to {self.projection} cannot be: give a size, or 0 for none."
            )
        if self.norm not in get_args(Norm):
            raise BadOption(f"norm {self.norm!r} is neither inside nor behind.")
        if self.norm != "inside" and not self.residual:
            raise BadOption(
                f"norm {self.norm} has no effect without residual layers: set residual, or leave "
                "it out."
            )
        if self.residual and self.layers == 1:
            raise BadOption("residual has no effect on a single layer: leave it out.")
        if self.forget_bias != 1.0 and self.cell != "lstm":
            raise BadOption(
                f"forget_bias {self.forget_bias} has no effect: a cell of kind {self.cell} has no "
                "forget gate; leave it out."
            )
        if not 0 <= self.self_conditioning < self.layers:
            raise BadOption(
                f"self_conditioning behind layer {self.self_conditioning} cannot be: give a layer "
                f"below {self.layers}, the last one, or 0 for none."
            )
        if not 0 <= self.phone_layer < self.layers:
            raise BadOption(
                f"phone_layer {self.phone_layer} cannot be: give a layer below {self.layers}, the "
                "last one, or 0 for that one itself."
            )

    @property
    def width(self) -> int:
        """Numbers that a recurrent layer gives for each frame."""
        return self.projection or self.directions * self.hidden

    @property
    def strides(self) -> tuple[int, int]:
        """Of the two convolutions, in time."""
        return _STRIDES[self.subsampling]

    @property
    def frame_samples(self) -> int:
        """Samples between output frames."""
        return self.subsampling * self.features.hop

    @property
    def frame_seconds(self) -> float:
        """Seconds between output frames."""
        return self.frame_samples / SAMPLE_RATE

    def frames(self, samples: Any) -> Any:
        """Output frames of recordings of so many samples: exact, for ints, arrays and tensors."""
        frames = self.features.frames(samples)
        for stride in self.strides:
            frames = strided(frames, stride)
        return frames

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and bundles."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ModelConfig":
        """The config that `to_dict()` returned; TypeError for unknown keys."""
        return cls(**{**values, "features": FeatureConfig(**values["features"])})


@dataclass(frozen=True)
class PunctuationConfig:
    """The layers of a model of marks and capitals."""

    rows: int = 24_576
    """Rows of the table of pieces, each of `width` bytes in a bundle."""
    width: int = 96
    """Numbers for each piece of a word."""
    cell: Cell = "lstm"
    """Kind of recurrent cell: lstm, gru, or the vanilla rnn."""
    layers: int = 2
    """Number of bidirectional layers."""
    hidden: int = 192
    """Units of each direction."""
    dropout: float = 0.25
    """Dropout of the words read, and after each recurrent layer, in training."""

    def __post_init__(self) -> None:
        if self.cell not in get_args(Cell):
            raise BadOption(f"cell {self.cell!r} is none of {', '.join(get_args(Cell))}.")
        sizes = self.width, self.layers, self.hidden
        if self.rows < 2 or min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise BadOption(
                f"a model of marks cannot have {self.rows} rows of {self.width} numbers, "
                f"{self.layers} layers of {self.hidden} units and dropout {self.dropout}: give at "
                "least 2 rows, sizes of at least 1 and a dropout from 0 to below 1."
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for checkpoints and bundles."""
        return asdict(self)
