"""The recogniser: recordings in, transcripts out.

    recognizer = Recognizer.load()
    print(recognizer.transcribe("talk.flac").text)

Shapes: B batch, U frames, V units.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, overload

import torch
from torch import Tensor

from asr.audio import Audio, AudioSource, load
from asr.bundle import Bundle, default_bundle
from asr.decoding import BeamSearch, Calibration, NGram
from asr.decoding.hotwords import automaton
from asr.errors import BadBundle, BadData, BadOption
from asr.runtime.engine import Engine, Wave
from asr.runtime.lattices import join, lattices, rows
from asr.runtime.options import Options
from asr.runtime.reader import Heard, Reader
from asr.runtime.windows import Grid, Window, cut
from asr.transcript import Transcript

DEVICES = ("auto", "cpu", "cuda")
_HELD_BATCHES = 4
"""Batches' worth of audio held at once: enough to sort by length, bounded for any list."""

Source = TypeVar("Source", bound=AudioSource | Audio)


@dataclass(frozen=True)
class Recognizer:
    """A bundle on a device, ready to transcribe; immutable, safe to use from several threads."""

    bundle: Bundle
    engine: Engine
    lm: Path | None = None
    """File of the n-gram language model in use."""

    @classmethod
    def load(
        cls,
        bundle: str | os.PathLike[str] | None = None,
        device: str = "auto",
        lm: str | os.PathLike[str] | None = None,
    ) -> "Recognizer":
        """The recogniser of a bundle, the one that ships with earshot unless told otherwise.

        Args:
            device: "cpu" runs the ONNX graph, "cuda" the weights in torch on the GPU; "auto" is
                "cuda" where there is a GPU.
            lm: an n-gram model that `asr lm build` wrote, in place of the bundle's.

        Raises:
            BadBundle: the bundle is missing, damaged or of another version.
            BadOption: the device is unknown or not there, or the language model of other units.
            BadData: the language model cannot be read.
        """
        opened = Bundle.open(default_bundle() if bundle is None else Path(bundle))
        try:
            Options.of(opened.info["decoding"])
        except BadOption as error:
            raise BadBundle(f"{opened.path} needs a newer earshot: its {error}") from error
        given = None if lm is None else Path(lm)
        recognizer = cls(opened, _engine(opened, device), given or opened.lm)
        try:
            _ = recognizer._calibrations
        except BadData as error:
            raise BadBundle(f"bundle {opened.path}: {error} Export it again.") from error
        if given is not None:
            _ = recognizer._search  # what is wrong with it is said now
        return recognizer

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
        chosen = self.options(**options)
        sources = source if isinstance(source, list) else [source]
        audios = (item if isinstance(item, Audio) else load(item) for item in sources)
        transcripts = [
            result
            for group in _groups(audios, _HELD_BATCHES * self.engine.batch_seconds)
            for result in self.read(
                self.lattices(group), [audio.duration for audio in group], chosen
            )
        ]
        return transcripts if isinstance(source, list) else transcripts[0]

    def options(self, **values: Any) -> Options:
        """How a call with these values is answered: what they leave out is as the bundle says.

        The decoder is `beam` where there is a language model or hot words are given, else as the
        bundle says, unless told.

        Raises:
            BadOption: an option is unknown, has a value that cannot be, or would have no effect.
        """
        stored = dict(self.bundle.info["decoding"])
        if self.lm is not None or values.get("hotwords"):
            stored["decoder"] = "beam"
        chosen = Options.of(stored).given(values)
        if self.lm is None:
            for name in ("lm_weight", "word_bonus", "unknown_price", "prior_weight"):
                if values.get(name):
                    raise BadOption(
                        f"{name} has no effect, as this bundle has no language model; give one "
                        "with lm."
                    )
        if values.get("hotword_boost") is not None and not chosen.hotwords:
            raise BadOption("hotword_boost has no effect without hot words; give hotwords too.")
        if chosen.hotwords:  # those that cannot be spelled are named before any work
            automaton(chosen.hotwords, self.bundle.tokenizer, None, chosen.beam_settings())
        return chosen

    def lattices(self, audios: Sequence[Audio]) -> list[Tensor]:
        """`(U, V)` log-probabilities of each recording, on the engine's device."""
        return lattices(self.engine, [audio.samples for audio in audios], self._grid)

    def windows(self, samples: int) -> list[Window]:
        """Where a recording of so many samples is cut for the engine, in order."""
        return cut(samples, self._grid)

    def run(self, waves: Sequence[Wave]) -> list[Tensor]:
        """`(U, V)` log-probabilities of each window, on the engine's device; one call of it."""
        return rows(self.engine, waves)

    def join(self, windows: Sequence[Window], rows: Sequence[Tensor]) -> Tensor:
        """The `(U, V)` lattice of a recording from what `run` gave for each of its windows."""
        return join(windows, rows)

    def read(
        self, lattices: Sequence[Tensor], durations: Sequence[float], options: Options
    ) -> list[Transcript]:
        """The transcripts of lattices `(U, V)`, whose recordings last so many seconds.

        Args:
            options: of `self.options`.
        """
        return self._reader(options).read(lattices, durations, options)

    def hear(self, lattices: Sequence[Tensor], options: Options) -> list[Heard]:
        """What `read` makes its transcripts of: words in frames, before any calibration."""
        return self._reader(options).hear(lattices, options)

    def calibration(self, decoder: str) -> Calibration:
        """What the bundle has learnt of the words of a decoder."""
        return self._calibrations.get(decoder, Calibration())

    def _reader(self, options: Options) -> Reader:
        frame_seconds = self.bundle.model.frame_seconds
        return Reader(
            tokenizer=self.bundle.tokenizer,
            frame_seconds=frame_seconds,
            batch_frames=self.engine.batch_seconds / frame_seconds,
            search=None if options.decoder == "greedy" else self._search,
            calibrations=self._calibrations,
        )

    @cached_property
    def _calibrations(self) -> dict[str, Calibration]:
        stored = self.bundle.info.get("calibration", {})
        return {decoder: Calibration.of(values) for decoder, values in stored.items()}

    @cached_property
    def _grid(self) -> Grid:
        return Grid.of(self.bundle)

    @cached_property
    def _search(self) -> BeamSearch:
        """Made when first needed: `greedy` does without a language model's seconds and memory."""
        lm = None if self.lm is None else NGram.load(self.lm)
        return BeamSearch(self.bundle.tokenizer, lm, self.device)


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
