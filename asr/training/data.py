"""The data of a training run: manifests -> checked utterances -> bucketed batches."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

import lightning as L
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import Progress
from torch.utils.data import DataLoader

from asr.audio import SAMPLE_RATE
from asr.corpus import (
    Batch,
    Buckets,
    Example,
    SpeechDataset,
    Survey,
    Utterance,
    collate,
    explain,
    read_manifest,
    survey,
)
from asr.errors import BadData, BadOption
from asr.model import AcousticModel
from asr.text import Tokenizer, Units

ROOT_VARIABLE = "EARSHOT_DATA"


@dataclass(frozen=True)
class Part:
    """One manifest, ready to be read: a dataset and the samples of each of its clips."""

    dataset: SpeechDataset
    lengths: npt.NDArray[np.int64]

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return float(self.lengths.sum()) / SAMPLE_RATE / 3600


class SpeechData(L.LightningDataModule):
    """Manifests of a corpus folder as batches of speech.

    Args:
        root: The corpus folder; without it, the variable EARSHOT_DATA.
        train: Manifest to train on, relative to `root`.
        dev: Manifest that is validated on after each epoch; never filtered, never augmented.
        test: Manifest of `asr test`.
        corpora: Train only on lines whose `corpus` is one of these; without it, on all.
        units: The units that the model spells in.
        bad_lines: Whether a training line that cannot be used stops the run (refuse) or is named
            and left out (drop).
        batch_seconds: Padded seconds of audio in a batch: its size times its longest clip.
        short_first: Epochs at the start that go from short clips to long ones.
        cache: Folder for decoded audio (115 MB an hour); without it each epoch decodes its clips.
        workers: Processes that load batches.
        seed: Seed of the order of batches.
        sources: What the data is and its licences, in words; goes into the model card.
    """

    def __init__(
        self,
        root: str | None = None,
        train: str = "train.jsonl",
        dev: str = "dev.jsonl",
        test: str | None = None,
        corpora: list[str] | None = None,
        units: Units = Units(),
        bad_lines: Literal["refuse", "drop"] = "refuse",
        batch_seconds: float = 200.0,
        short_first: int = 1,
        cache: str | None = None,
        workers: int = 0,
        seed: int = 0,
        sources: str = "",
    ) -> None:
        super().__init__()
        self.root = _corpus_folder(root)
        self.names = {"train": train, "dev": dev, "test": test}
        self.corpora = corpora
        self.units = units
        self.bad_lines = bad_lines
        self.batch_seconds = batch_seconds
        self.short_first = short_first
        self.cache = None if cache is None else Path(cache)
        self.workers = workers
        self.seed = seed
        self.sources = sources
        self.parts: dict[str, Part] = {}
        self._tokenizer: Tokenizer | None = None

    @property
    def tokenizer(self) -> Tokenizer:
        """The units; learnt from the training texts if they are subwords."""
        if self._tokenizer is None:
            self._tokenizer = self.units.tokenizer(self._texts())
        return self._tokenizer

    def adopt(self, tokenizer: Tokenizer, checkpoint: Path) -> None:
        """Go on with the units of a checkpoint; BadOption where the config names others."""
        state = tokenizer.state()
        same = state["kind"] == self.units.kind and tokenizer.n_units == self.units.count()
        if same and self.units.kind == "characters":
            same = state["alphabet"] == self.units.alphabet
        if not same:
            raise BadOption(
                f"{checkpoint} spells in {tokenizer.n_units} {state['kind']}, the config has other "
                f"units ({self.units}): give those that it was trained with, or start a new run."
            )
        self._tokenizer = tokenizer

    def _texts(self) -> Iterator[str]:
        utterances, _ = read_manifest(self._manifest("train"))
        yield from (u.text for u in utterances if u.text and self._is_meant(u))

    def _is_meant(self, utterance: Utterance) -> bool:
        return self.corpora is None or utterance.corpus in self.corpora

    def setup(self, stage: str) -> None:
        """Read and check the manifests that the stage needs; BadData names every bad line."""
        wanted = {"fit": ("train", "dev"), "validate": ("dev",), "test": ("test",)}[stage]
        for name in wanted:
            if name not in self.parts:
                self.parts[name] = self._read(name)

    def _manifest(self, name: str) -> Path:
        manifest = self.names[name]
        if manifest is None:
            raise BadData(f"data.{name} is not set: name the manifest, relative to {self.root}.")
        return self.root / manifest

    def _read(self, name: str) -> Part:
        path = self._manifest(name)
        training = name == "train"
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"reading {path.name}", total=None)
            found = survey(
                path,
                self.tokenizer,
                lambda done, total: bar.update(task, completed=done, total=total),
                frames=self._network.config.frames if training else None,
                unheard=self._unheard() if training else None,
                keep=self._is_meant if training else lambda _: True,
                cache=self.cache,
            )
        self._settle(path, name, found)
        dataset = SpeechDataset(found.usable, found.samples, self.tokenizer.encode)
        part = Part(dataset, found.lengths)
        rank_zero_info(f"{path}: {len(dataset)} clips, {part.hours:.2f} hours")
        return part

    def _unheard(self) -> Path | None:
        """The development manifest, unless it is the training manifest itself."""
        dev = self._manifest("dev")
        return None if dev.resolve() == self._manifest("train").resolve() else dev

    def _settle(self, path: Path, name: str, found: Survey) -> None:
        """Name what is wrong; BadData where it must not be passed over."""
        lines = len({finding.line for finding in found.errors})
        if lines and (name != "train" or self.bad_lines == "refuse"):
            raise BadData(
                f"{path} has {lines} lines that cannot be used; mend them"
                + (", or set data.bad_lines to drop." if name == "train" else ".")
                + "\n"
                + explain(path, found.errors, most=20)
            )
        if found.findings:
            rank_zero_info(explain(path, found.findings))
        if lines:
            rank_zero_info(f"{path}: {lines} lines left out")
        if not found.usable:
            raise BadData(f"{path}: no line is left to use; check data.{name} and data.corpora.")
        longest = int(found.lengths.argmax())
        seconds = float(found.lengths[longest]) / SAMPLE_RATE
        if seconds > self.batch_seconds:
            raise BadOption(
                f"{path}:{found.usable[longest].line}: its {seconds:.1f} s are more than a whole "
                f"batch; raise data.batch_seconds, which is {self.batch_seconds:g}."
            )

    @property
    def _network(self) -> AcousticModel:
        if self.trainer is None:
            raise RuntimeError("SpeechData is read by a Trainer: call trainer.fit(model, data)")
        return cast(AcousticModel, self.trainer.lightning_module.network)

    def train_dataloader(self) -> DataLoader[Example]:
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> DataLoader[Example]:
        return self._loader("dev", shuffle=False)

    def test_dataloader(self) -> DataLoader[Example]:
        return self._loader("test", shuffle=False)

    def _loader(self, name: str, shuffle: bool) -> DataLoader[Example]:
        if self.trainer is not None and self.trainer.world_size > 1:
            raise BadOption(
                "training on several devices at once is not built yet: set trainer.devices to 1."
            )
        part = self.parts[name]
        batches = Buckets(
            part.lengths,
            most=int(self.batch_seconds * SAMPLE_RATE),
            seed=self.seed,
            epoch=lambda: self._epoch(len(batches)),
            shuffle=shuffle,
            short_first=self.short_first,
        )
        return DataLoader(
            part.dataset, batch_sampler=batches, collate_fn=collate, num_workers=self.workers
        )

    def _epoch(self, batches: int) -> int:
        """Epochs begun, from the training batches seen in all parts of the run.

        `trainer.current_epoch` lags behind where worker processes fetch ahead after a resume.
        """
        if self.trainer is None:
            return 0
        seen = self.trainer.fit_loop.epoch_loop.batch_progress.total.ready
        return int(seen // max(1, min(batches, self.trainer.num_training_batches)))

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        return batch.to(device)


def _corpus_folder(root: str | None) -> Path:
    named = root or os.environ.get(ROOT_VARIABLE)
    if not named:
        raise BadData(
            "the corpus folder is not set: give --data.root FOLDER or the variable "
            f"{ROOT_VARIABLE}; it is the folder of your manifests, JSON lines with `audio` and "
            "`text`."
        )
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise BadData(
            f"there is no corpus folder {folder}; make it, with manifests of JSON lines "
            "(`audio`, a path relative to the manifest, and `text`), or correct data.root."
        )
    return folder
