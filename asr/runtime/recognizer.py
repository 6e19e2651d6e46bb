"""The recogniser: recordings in, transcripts out.

    recognizer = Recognizer.load()
    print(recognizer.transcribe("talk.flac").text)

Shapes: B batch, U frames, V units.
"""

import hashlib
import heapq
import inspect
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, Unpack, get_type_hints, overload

from asr.audio import Audio, Recording, levelled
from asr.bundle import Bundle, default_bundle
from asr.bundle.session import session
from asr.decoding import Calibration
from asr.errors import BadBundle, BadData, BadOption
from asr.files import as_path
from asr.machine import usable_cores
from asr.options import LM_OPTIONS, MIX, Options, OptionValues, Selection
from asr.punctuation import GivenForms, Punctuator
from asr.runtime.alignment import Token, align_text, tokens
from asr.runtime.devices import open_engine
from asr.runtime.engine import Engine, LogProbs, Wave
from asr.runtime.kept import KeptRow
from asr.runtime.lattices import join, lattice_parts, lattices, rows
from asr.runtime.reader import Decoded, Length, Partial, Reader, joined
from asr.runtime.sources import Source, are_several, checked, in_groups, open_sources, selected
from asr.runtime.windows import Grid, Window, cut
from asr.text import without_accents
from asr.transcript import Segment, Transcript, Word

if TYPE_CHECKING:
    from asr.decoding.beam import BeamSearch

_HELD_BATCHES = 4
"""Batches' worth of audio held at once: enough to sort by length, bounded for any list."""

SomeSource = TypeVar("SomeSource", bound=Source)
Function = TypeVar("Function", bound=Callable[..., Any])


class _Left:
    """How `help()` shows the value of an option that is left out."""

    def __repr__(self) -> str:
        return "<as the bundle says>"


def _shows_options(function: Function) -> Function:
    """Makes `help()` list the options that are taken as keywords."""
    signature = inspect.signature(function)
    *ours, _ = signature.parameters.values()
    keyword = inspect.Parameter.KEYWORD_ONLY
    options = [
        inspect.Parameter(name, keyword, default=_Left(), annotation=hint)
        for name, hint in get_type_hints(OptionValues).items()
    ]
    shown = signature.replace(parameters=[*ours, *options])
    function.__signature__ = shown  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True, repr=False, eq=False)
class Recognizer:
    """A bundle on a device, ready to transcribe; immutable, safe to use from several threads.

    It may be used in processes that are forked from this one, unless it is on a GPU; fork while no
    other thread is using it, since a lock that is held then stays held in the new process. Pickled,
    and so sent to a process that was spawned, it is its bundle's path, and loaded there anew.
    """

    bundle: Bundle
    engine: Engine
    lm: Path | None = None
    """File of the n-gram language model in use."""
    threads: int | None = None
    """As `load` was told."""

    @classmethod
    def load(
        cls,
        bundle: str | os.PathLike[str] | None = None,
        device: str = "auto",
        lm: str | os.PathLike[str] | None = None,
        threads: int | None = None,
    ) -> "Recognizer":
        """The recogniser of a bundle, the one that ships with earshot unless told otherwise.

        Args:
            device: "cpu" runs the ONNX graph, "cuda" the weights in torch on the GPU; "auto" is
                "cuda" where there is a GPU.
            lm: an n-gram model that `asr lm build` wrote, in place of the bundle's.
            threads: of the acoustic model on the CPU, and of the search; one for each usable core
                unless told.

        Raises:
            BadBundle: the bundle is missing, damaged or of another version.
            BadOption: the device is unknown or not there, the language model of other units, a path
                is none, or the number of threads cannot be.
            BadData: the language model cannot be read.
        """
        opened = Bundle.open(default_bundle() if bundle is None else as_path(bundle, "the bundle"))
        try:
            Options.of(opened.info.decoding)
        except BadOption as error:
            raise BadBundle(f"{opened.path} needs a newer earshot: its {error}") from error
        given = None if lm is None else as_path(lm, "the language model")
        recognizer = cls(opened, open_engine(opened, device, threads), given or opened.lm, threads)
        try:
            _ = recognizer._calibrations
        except BadData as error:
            raise BadBundle(f"bundle {opened.path}: {error} Export it again.") from error
        if given is not None:
            _ = recognizer._search  # what is wrong with it is said now
        return recognizer

    def __repr__(self) -> str:
        return f"Recognizer({str(self.bundle.path)!r}, device={self.device!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        lm = None if self.lm == self.bundle.lm or self.lm is None else self.lm.resolve()
        return Recognizer.load, (self.bundle.path.resolve(), self.device, lm, self.threads)

    @property
    def device(self) -> str:
        """Where it runs: "cpu" or "cuda"."""
        return self.engine.device

    @property
    def precision(self) -> str:
        """Of the weights in use: a GPU runs them as they were trained, in "fp32"."""
        return "fp32" if self.device == "cuda" else self.bundle.precision

    @overload
    def transcribe(  # type: ignore[overload-overlap]  # a file is an iterator of bytes
        self,
        source: Source,
        *,
        track: int | None = None,
        channels: str | int = MIX,
        start: float = 0.0,
        duration: float = math.inf,
        **options: Unpack[OptionValues],
    ) -> Transcript: ...

    @overload
    def transcribe(
        self,
        source: Iterable[SomeSource],
        *,
        track: int | None = None,
        channels: str | int = MIX,
        start: float = 0.0,
        duration: float = math.inf,
        **options: Unpack[OptionValues],
    ) -> list[Transcript]: ...

    @_shows_options
    def transcribe(
        self,
        source: Source | Iterable[SomeSource],
        *,
        track: int | None = None,
        channels: str | int = MIX,
        start: float = 0.0,
        duration: float = math.inf,
        **options: Unpack[OptionValues],
    ) -> Transcript | list[Transcript]:
        """The transcript of a recording, or of each of several, in their order.

        Args:
            source: a path, the bytes of a file, a file opened for reading them, `(samples, rate)`,
                or what `asr.audio.load` gave; of up to four hours, in a file of up to 24, where its
                header says how long it is. Several come in a list, a tuple or an iterator, and
                are read as they are needed; that is fastest, since like lengths share batches.
            track: the sound track of a film, from 1; by default the one that is marked so.
            channels: "mix" reads the mean of all channels, "split" each by itself into one
                transcript, whose words and segments say in which channel they were; a number reads
                that channel alone, from 1.
            start: seconds that are skipped; times count from the start of the recording anyway.
            duration: the most seconds that are read.
            options: fields of `Options`; those left out are as the bundle says.

        Raises:
            BadAudio, TooLong: a source cannot be read; of several the first such one.
            BadOption: an option is unknown or has a value that cannot be, or a source has no such
                track or channel, or ends before the start.
        """
        chosen = self.options(**options)
        selection = selected(track, channels, start, duration, chosen)
        several = are_several(source)
        sources: Any = source if several else [source]
        recordings = open_sources(sources, selection, several)
        transcripts = [
            Transcript.together(channels_said, start)
            for group in in_groups(recordings, _HELD_BATCHES * self.engine.batch_seconds)
            for channels_said in self._said(group, chosen)
        ]
        return transcripts if several else transcripts[0]

    @_shows_options
    def stream(
        self,
        source: Source,
        *,
        track: int | None = None,
        channels: str | int = MIX,
        start: float = 0.0,
        duration: float = math.inf,
        **options: Unpack[OptionValues],
    ) -> Iterator[Segment]:
        """The segments of a recording of any length, while the rest of it is still to be read.

        Together they are those of `transcribe`. Memory does not depend on the recording's length.
        The first segments come after six minutes of sound for each thread have been read, or all of
        it. Arguments and errors are those of `transcribe`; those of a damaged source come where it
        is damaged.
        """
        chosen = self.options(**options)
        selection = selected(track, channels, start, duration, chosen)
        if chosen.nbest > 1:
            raise BadOption("nbest has no effect on a stream of segments; call transcribe.")
        recording = checked(source, selection)
        count = recording.channels() if selection.is_split else 1
        streams = (
            self._segments(recording, index, chosen, index + 1 if count > 1 else None)
            for index in range(count)
        )
        return heapq.merge(*streams, key=lambda segment: segment.start)

    def align(
        self,
        source: Source,
        text: str,
        *,
        track: int | None = None,
        channels: str | int = MIX,
        start: float = 0.0,
        duration: float = math.inf,
    ) -> Transcript:
        """The times of a known text in a recording of any length, with a confidence for each word.

        Words are as the text writes them. Those that are not said, or cannot be spelled in the
        model's letters (digits), are in `unsaid`; sound that the text does not have is left out.

        Args:
            text: what is said, in order; it may have more or less than the recording.
            track, channels, start, duration: as in `transcribe`, but channels cannot be split.

        Raises:
            BadAudio, TooLong: the source cannot be read.
            BadOption: the text has no word that the model can spell, or a value cannot be.
        """
        selection = Selection(track=track, channels=str(channels), start=start, duration=duration)
        if selection.is_split:
            raise BadOption("a text has one channel: choose channels mix, or a channel's number.")
        written = tokens(text, self.bundle.tokenizer, self.bundle.spelling)
        recording = checked(source, selection)
        length = Length()
        parts = lattice_parts(self.engine, length.of(recording.channel(0)), self._grid)
        return Transcript.together([self._aligned(parts, length, written)], start)

    def align_lattice(self, lattice: LogProbs, duration: float, text: str) -> Transcript:
        """As `align`, of a recording of so many seconds from its lattice `(U, V)`."""
        written = tokens(text, self.bundle.tokenizer, self.bundle.spelling)
        return self._aligned([[lattice]], Length(duration), written)

    def _aligned(
        self, parts: Iterable[Sequence[LogProbs]], length: Length, written: Sequence[Token]
    ) -> Transcript:
        frame_seconds = self.bundle.model.frame_seconds
        end_offset = self.calibration("greedy").end_offset
        tokenizer = self.bundle.tokenizer
        return align_text(parts, length, written, tokenizer, frame_seconds, end_offset)

    def _segments(
        self, recording: Recording, index: int, options: Options, channel: int | None
    ) -> Iterator[Segment]:
        """The segments of one channel of a recording, which name the channel as told."""
        length = Length()
        partial = self.partial(options, recording.selection.start, channel)
        waves = length.of(recording.channel(index))
        for together in lattice_parts(self.engine, waves, self._grid):
            yield from partial.add(together)
        yield from partial.end(length.seconds)

    def _said(
        self, group: "Recording | Sequence[Sequence[Audio]]", options: Options
    ) -> list[list[Transcript]]:
        """The transcripts of each recording's channels."""
        if isinstance(group, Recording):
            channels = map(group.channel, range(group.channels()))
            return [[self.read_waves(waves, options) for waves in channels]]
        audios = [audio for channels in group for audio in channels]
        durations = [audio.duration for audio in audios]
        found = iter(self.read(self.lattices(audios), durations, options))
        return [[next(found) for _ in channels] for channels in group]

    @_shows_options
    def options(self, **values: Unpack[OptionValues]) -> Options:
        """How a call with these values is answered: what they leave out is as the bundle says.

        The decoder is `beam` where there is a language model or hot words are given, else as the
        bundle says, unless told.

        Raises:
            BadOption: an option is unknown, has a value that cannot be, or would have no effect.
        """
        stored = dict(self.bundle.info.decoding)
        if self.lm is not None or values.get("hotwords"):
            stored["decoder"] = "beam"
        stored["written"] = self.bundle.punctuation is not None
        chosen = Options.of(stored).given(values)
        if chosen.written and self.bundle.punctuation is None:
            raise BadOption(
                "written has no effect, as this bundle has no model of marks; add one with "
                "`asr punctuation add`."
            )
        if values.get("digits") is not None and not chosen.written:
            raise BadOption("digits has no effect on plain text; leave it out, or ask for written.")
        if self.lm is None:
            for name in LM_OPTIONS:
                if values.get(name):
                    raise BadOption(
                        f"{name} has no effect, as this bundle has no language model; give one "
                        "with lm."
                    )
        if values.get("hotword_boost") is not None and not chosen.hotwords:
            raise BadOption("hotword_boost has no effect without hot words; give hotwords too.")
        if chosen.hotwords:  # those that cannot be spelled are named before any work
            from asr.decoding.beam.hotwords import phrases

            phrases(chosen.hotwords, self.bundle.tokenizer, self.bundle.spelling)
        return chosen

    def lattices(self, audios: Sequence[Audio]) -> list[LogProbs]:
        """`(U, V)` log-probabilities of each recording.

        One that is too quiet to be read is made louder first (`asr.audio.level`).
        """
        return lattices(self.engine, [levelled(audio.samples) for audio in audios], self._grid)

    def windows(self, samples: int) -> list[Window]:
        """Where a recording of so many samples is cut for the engine, in order.

        Whoever cuts it has brought it to its level before: see `asr.audio.Meter`.
        """
        return cut(samples, self._grid)

    def run(self, waves: Sequence[Wave]) -> list[LogProbs]:
        """`(U, V)` log-probabilities of each window; one call of the engine."""
        return rows(self.engine, waves)

    def join(self, windows: Sequence[Window], rows: Sequence[LogProbs]) -> LogProbs:
        """The `(U, V)` lattice of a recording from what `run` gave for each of its windows."""
        return join(windows, rows)

    def read(
        self, lattices: Sequence[LogProbs], durations: Sequence[float], options: Options
    ) -> list[Transcript]:
        """The transcripts of lattices `(U, V)`, whose recordings last so many seconds.

        Args:
            options: of `self.options`.
        """
        return self._reader(options).read(lattices, durations, options)

    def read_waves(
        self,
        waves: Iterable[Wave],
        options: Options,
        kept: Callable[[int], KeptRow] | None = None,
        heard: Callable[[Transcript], None] | None = None,
    ) -> Transcript:
        """The transcript of a recording whose samples come in pieces, in bounded memory.

        Args:
            waves: at their level, as of `asr.audio.Recording.channel`.
            options: of `self.options`.
            kept: the file in which a window's log-probabilities are kept, by its place.
            heard: called with the transcript of what was said so far, each time that more is known;
                never if there are alternatives, which no word is known of before the end.
        """
        length = Length()
        parts = lattice_parts(self.engine, length.of(waves), self._grid, kept)
        if options.nbest > 1:
            reader = self._reader(options)
            decoded = joined(reader.decode_parts(parts, options), options.nbest)
            return reader.transcript(decoded, length.seconds, options)
        partial, words = self.partial(options), list[Word]()
        for together in parts:
            words += (word for segment in partial.add(together) for word in segment.words)
            if heard is not None and words:
                heard(Transcript.of(words, words[-1].end))
        words += (word for segment in partial.end(length.seconds) for word in segment.words)
        return Transcript.of(words, length.seconds)

    def kept(self, prefix: Path, window: int) -> KeptRow:
        """The file of a window's log-probabilities; another bundle or device has another one."""
        made = repr((sorted(self.bundle.info.checksums.items()), self.device))
        digest = hashlib.sha256(made.encode()).hexdigest()[:16]
        return KeptRow(prefix.with_name(f"{prefix.name}.{window}.{digest}.npy"))

    def partial(self, options: Options, start: float = 0.0, channel: int | None = None) -> Partial:
        """The transcript of a recording whose lattice comes in parts; it has no alternatives.

        Args:
            options: of `self.options`.
            start: seconds that were skipped before the first part.
            channel: what its words name as theirs.
        """
        return Partial(
            self._reader(options),
            options,
            lambda word: replace(word.later(start), channel=channel),
        )

    def decode(self, lattices: Sequence[LogProbs], options: Options) -> list[Decoded]:
        """The words of each lattice in frames, before any calibration; `read` uses them."""
        return self._reader(options).decode(lattices, options)

    def calibration(self, decoder: str) -> Calibration:
        """What the bundle has learnt of the words of a decoder."""
        return self._calibrations.get(decoder, Calibration())

    def _reader(self, options: Options) -> Reader:
        frame_seconds = self.bundle.model.frame_seconds
        search = None if options.decoder == "greedy" else self._search
        letters = self.bundle.tokenizer.n_units
        by_sound = search is not None and search.tokenizer is None
        hotwords, given = self._hot_words(options.hotwords)
        return Reader(
            tokenizer=self.bundle.tokenizer,
            frame_seconds=frame_seconds,
            batch_frames=self.engine.batch_seconds / frame_seconds,
            search=search,
            columns=slice(letters, None) if by_sound else slice(letters),
            calibrations=self._calibrations,
            threads=self.threads or usable_cores(),
            punctuator=self.punctuator if options.written else None,
            language=self.bundle.info.language,
            hotwords=hotwords,
            given=given,
        )

    @cached_property
    def _hot_words(self) -> "Callable[[tuple[str, ...]], tuple[list[str], GivenForms | None]]":
        """Hot words in normal form, and how they are written; of the last few lists it is kept."""
        return lru_cache(4)(self._read_hot_words)

    def _read_hot_words(self, hotwords: tuple[str, ...]) -> tuple[list[str], GivenForms | None]:
        if not hotwords:
            return [], None
        from asr.decoding.beam.hotwords import phrases

        normal = self.bundle.spelling
        written = map(without_accents(self.bundle.tokenizer), hotwords)
        given = GivenForms(written, normal, self._search.knows)
        return phrases(hotwords, self.bundle.tokenizer, normal), given

    @cached_property
    def _calibrations(self) -> dict[str, Calibration]:
        stored = self.bundle.info.calibration
        return {decoder: Calibration.of(values) for decoder, values in stored.items()}

    @cached_property
    def punctuator(self) -> Punctuator | None:
        """The bundle's model of marks and capitals, if it has one."""
        path = self.bundle.punctuation
        return None if path is None else Punctuator(session(path))

    @cached_property
    def _grid(self) -> Grid:
        return Grid.of(self.bundle)

    @cached_property
    def _search(self) -> "BeamSearch":
        """Made when first needed: `greedy` does without a language model's seconds and memory."""
        from asr.runtime.search import load_search  # and without the compiler's

        return load_search(self.bundle, self.lm)
