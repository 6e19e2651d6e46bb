"""The recogniser: recordings in, transcripts out.

    recognizer = Recognizer.load()
    print(recognizer.transcribe("talk.flac").text)

Shapes: B batch, U frames, V units.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from torch.nn.utils.rnn import pad_sequence

from asr.audio import Audio, AudioSource, load
from asr.bundle import Bundle, default_bundle
from asr.decoding import DECODERS, transcript
from asr.errors import BadBundle, BadOption
from asr.runtime.engine import Engine
from asr.runtime.lattices import lattices
from asr.runtime.windows import Grid, batches
from asr.transcript import Transcript

DEVICES = ("auto", "cpu", "cuda")
_HELD_BATCHES = 4
"""Batches' worth of audio held at once: enough to sort by length, bounded for any list."""

Source = TypeVar("Source", bound=AudioSource | Audio)


@dataclass(frozen=True)
class Options:
    """How to transcribe; travels with each call."""

    decoder: str = "greedy"
    """Name of the decoder."""

    def __post_init__(self) -> None:
        if self.decoder not in list(DECODERS):
            raise BadOption(
                f"decoder {self.decoder!r} is not known; choose from {', '.join(DECODERS)}."
            )

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Options":
        """The options with these values; raises BadOption for a name that is none of them."""
        known = [field.name for field in fields(cls)]
        for name in values:
            if name not in known:
                raise BadOption(f"option {name!r} is not known; choose from {', '.join(known)}.")
        return cls(**values)


@dataclass(frozen=True)
class Recognizer:
    """A bundle on a device, ready to transcribe; immutable, safe to use from several threads."""

    bundle: Bundle
    engine: Engine

    @classmethod
    def load(
        cls, bundle: str | os.PathLike[str] | None = None, device: str = "auto"
    ) -> "Recognizer":
        """The recogniser of a bundle, the one that ships with earshot unless told otherwise.

        Args:
            device: "cpu" runs the ONNX graph, "cuda" the weights in torch on the GPU; "auto" is
                "cuda" where there is a GPU.

        Raises:
            BadBundle: the bundle is missing, damaged or of another version.
            BadOption: the device is unknown or not there.
        """
        opened = Bundle.open(default_bundle() if bundle is None else Path(bundle))
        try:
            Options.of(opened.info["decoding"])
        except BadOption as error:
            raise BadBundle(f"{opened.path} needs a newer earshot: its {error}") from error
        return cls(opened, _engine(opened, device))

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return self.engine.device

    @overload
    def transcribe(self, source: AudioSource | Audio, **options: Any) -> Transcript: ...

    @overload
    def transcribe(self, source: list[Source], **options: Any) -> list[Transcript]: ...

    def transcribe(
        self, source: AudioSource | Audio | list[Source], **options: Any
    ) -> Transcript | list[Transcript]:
        """The transcript of a recording, or of each in a list, in the list's order.

        Args:
            source: a path, the bytes of a file, `(samples, rate)`, or what `asr.audio.load` gave;
                of up to four hours. A list is fastest, since like lengths share batches.
            options: fields of `Options`; those left out are as the bundle says.

        Raises:
            BadAudio, TooLong: a source cannot be read; of a list the first such one.
            BadOption: an option is unknown or has a value that cannot be.
        """
        chosen = Options.of({**self.bundle.info["decoding"], **options})
        sources = source if isinstance(source, list) else [source]
        audios = (item if isinstance(item, Audio) else load(item) for item in sources)
        transcripts = [
            result
            for group in _groups(audios, _HELD_BATCHES * self.engine.batch_seconds)
            for result in self._transcribe(group, chosen)
        ]
        return transcripts if isinstance(source, list) else transcripts[0]

    def _transcribe(self, audios: Sequence[Audio], options: Options) -> list[Transcript]:
        grid = Grid.of(self.bundle)
        found = lattices(self.engine, [audio.samples for audio in audios], grid)
        decode = DECODERS[options.decoder]
        results: dict[int, Transcript] = {}
        frame_seconds = self.bundle.model.frame_seconds
        lengths = [len(lattice) for lattice in found]
        for batch in batches(lengths, self.engine.batch_seconds / frame_seconds):
            log_probs = pad_sequence([found[index] for index in batch], batch_first=True)
            frames = torch.tensor([lengths[index] for index in batch])
            for index, hypothesis in zip(batch, decode(log_probs, frames), strict=True):
                results[index] = transcript(
                    hypothesis, self.bundle.tokenizer, frame_seconds, audios[index].duration
                )
        return [results[index] for index in range(len(audios))]


def _groups(audios: Iterable[Audio], seconds: float) -> Iterator[list[Audio]]:
    """The recordings in groups that end once they hold `seconds` of audio."""
    group: list[Audio] = []
    held = 0.0
    for audio in audios:
        group.append(audio)
        held += audio.duration
        if held >= seconds:
            yield group
            group, held = [], 0.0
    if group:
        yield group


def _engine(bundle: Bundle, device: str) -> Engine:
    """The engine for a device; only that engine's libraries are loaded."""
    if device not in DEVICES:
        raise BadOption(f"device {device!r} is not known; choose from {', '.join(DEVICES)}.")
    if device == "cuda" and not torch.cuda.is_available():
        raise BadOption("device 'cuda' is not there: torch finds no GPU; choose 'cpu' or 'auto'.")
    if device == "cpu" or not torch.cuda.is_available():
        from asr.runtime.onnx_engine import OnnxEngine

        return OnnxEngine(bundle)
    from asr.runtime.torch_engine import TorchEngine

    return TorchEngine(bundle, "cuda")
