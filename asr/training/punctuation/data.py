"""The data of a run: written texts, and speech whose written form is known."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

import lightning as L
import numpy as np
from lightning.pytorch.utilities import rank_zero_info
from torch.utils.data import DataLoader

from asr.counting import counted
from asr.errors import BadOption
from asr.punctuation.lines import read_lines
from asr.training.data.folder import corpus_folder
from asr.training.data.loader import Place
from asr.training.punctuation.texts import (
    Text,
    Vocabulary,
    mixed_forms,
    plain_text,
    spoken_text,
    written_text,
)
from asr.training.punctuation.windows import Drawer, Windows, batch, cut

_CHECKED_WORDS = 192
"""Of a window of validation."""


@dataclass(frozen=True)
class TextSource:
    """A text to learn from, a paragraph a line."""

    file: str
    """A UTF-8 text, also `.xz`, relative to the corpus folder."""
    share: float = 1.0
    """How often windows are drawn from it, beside the shares of the others."""
    apart: bool = False
    """Whether its lines have nothing to do with each other, as single sentences."""
    plain: bool = False
    """Whether its lines are sentences in plain words: they teach where sentences end."""

    def __post_init__(self) -> None:
        if self.share <= 0:
            raise BadOption(f"data.texts: the share {self.share} of {self.file} must be above 0.")


@dataclass(frozen=True)
class Spoken:
    """Clips whose written form and times are known, from `asr punctuation listen`."""

    file: str
    """Relative to the corpus folder."""
    share: float = 0.1
    """How often windows are drawn from it, beside the shares of the texts."""


class PunctuationData(L.LightningDataModule):
    """Written texts of a corpus folder as batches of windows of words.

    Args:
        root: The corpus folder; without it, the variable EARSHOT_DATA.
        texts: What to learn from.
        spoken: Speech, which shows the pauses at marks; without it, marks are learnt by words
            alone.
        held_out: Share of each text, at its end, that is validated on and never trained on.
        batch_words: Words in a batch, padding included.
        longest: The most words of a window.
        mistakes: Share of words that are wrong in some of the windows, as a recogniser may be.
        heard: Share of windows of written text that get the pauses of `spoken`.
        epoch_words: Words of one epoch.
        seed: Seed of the windows.
        sources: What the data is and its licences, in words; goes into the model card.
    """

    def __init__(
        self,
        root: str | None = None,
        texts: list[TextSource] | None = None,
        spoken: Spoken | None = None,
        held_out: float = 0.05,
        batch_words: int = 8_192,
        longest: int = 192,
        mistakes: float = 0.1,
        heard: float = 0.4,
        epoch_words: int = 4_000_000,
        seed: int = 0,
        sources: str = "",
    ) -> None:
        super().__init__()
        if not texts:
            raise BadOption("data.texts names no text: give at least one, as [{file: books.txt}].")
        if not 0 < held_out < 1 or not 0 <= mistakes < 1 or not 0 <= heard <= 1:
            raise BadOption(
                f"data cannot have held_out {held_out}, mistakes {mistakes} and heard {heard}: "
                "give shares from 0 to 1, of held_out above 0."
            )
        if longest < 8 or batch_words < longest or epoch_words < batch_words:
            raise BadOption(
                f"data cannot have longest {longest}, batch_words {batch_words} and epoch_words "
                f"{epoch_words}: give at least 8, and each no less than the one before."
            )
        self.root = corpus_folder(root)
        self.texts, self.spoken, self.held_out = texts, spoken, held_out
        self.batch_words, self.longest = batch_words, longest
        self.mistakes, self.heard, self.epoch_words = mistakes, heard, epoch_words
        self.seed, self.sources = seed, sources
        self.rows = 0
        """Of the model's table; set before `setup`."""
        self.forms: dict[str, str] = {}
        """The words written in a form of their own."""

    def setup(self, stage: str) -> None:  # noqa: ARG002
        """Reads the texts."""
        if self.forms or hasattr(self, "_drawer"):
            return
        vocabulary = Vocabulary()
        train, checked, shares = list[Text](), list[Text](), list[float]()
        for source in (text for text in self.texts if not text.plain):
            path = self.root / source.file
            for wanted, into in ((False, train), (True, checked)):
                lines = read_lines(path, self.held_out, wanted)
                into.append(written_text(lines, vocabulary, source.apart))
            shares.append(source.share)
        for source in (text for text in self.texts if text.plain):
            lines = read_lines(self.root / source.file, 0.0, False)
            train.append(plain_text(lines, vocabulary, checked))
            shares.append(source.share)
        if self.spoken is not None:
            text, _ = spoken_text(self.root / self.spoken.file, vocabulary)
            train.append(text)
            shares.append(self.spoken.share)
        if not all(map(len, train)) or not any(map(len, checked)):
            raise BadOption("a text of data has no words to learn from: give a longer one.")
        self.forms = mixed_forms(train)
        self._table = vocabulary.pieces(self.rows)
        self._drawer = Drawer(
            train,
            shares,
            self._table,
            self.batch_words,
            self.longest,
            self.mistakes,
            self.heard,
        )
        self._checked = checked
        self.n_words = sum(map(len, train))
        rank_zero_info(
            f"{counted(self.n_words, 'word')} to learn from, {sum(map(len, checked)):,} held out, "
            f"{counted(len(self.forms), 'word')} of mixed letters"
        )

    def measured(self) -> dict[str, Any]:
        """Of each file: its hash, and its share of the windows."""
        files: list[TextSource | Spoken] = list(self.texts)
        files += [] if self.spoken is None else [self.spoken]
        return {
            source.file: {"sha256": sha256((self.root / source.file).read_bytes()).hexdigest()}
            | asdict(source)
            for source in files
        }

    def train_dataloader(self) -> "DrawnLoader":
        batches = self.epoch_words // self.batch_words
        place = Place.of_run(self.trainer, lambda: batches)

        def draw(epoch: int, number: int) -> Windows:
            return self._drawer.draw(np.random.default_rng((self.seed, epoch, number)))

        return DrawnLoader(draw, batches, place)

    def val_dataloader(self) -> DataLoader[Windows]:
        windows = [window for text in self._checked for window in cut(text, _CHECKED_WORDS)]
        windows.sort(key=len)
        size = max(1, self.batch_words // _CHECKED_WORDS)
        groups = [windows[at : at + size] for at in range(0, len(windows), size)]
        batches = [batch(group, [None] * len(group), self._table) for group in groups]
        return DataLoader(batches, batch_size=None, collate_fn=_as_it_is)  # type: ignore[arg-type]

    def transfer_batch_to_device(self, batch: Windows, device: Any, dataloader_idx: int) -> Windows:  # noqa: ARG002
        return batch.to(device)


def _as_it_is(batch: Windows) -> Windows:
    return batch


class DrawnLoader:
    """Batches that depend on their epoch and number alone; Lightning keeps the place in it."""

    def __init__(self, draw: Callable[[int, int], Windows], batches: int, place: Place) -> None:
        self._draw, self._batches, self._place = draw, batches, place

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Windows]:
        epoch, first = self._place()
        for number in range(first, self._batches):
            yield self._draw(epoch, number)

    def state_dict(self) -> dict[str, Any]:
        epoch, number = self._place()
        return {"epoch": epoch, "batch": number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a checkpoint's place."""
        self._place.begin(state_dict["epoch"], state_dict["batch"])
