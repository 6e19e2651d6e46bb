"""The data of a training run: manifests -> checked utterances -> bucketed batches."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import Progress
from torch.nn import functional as F
from torch.utils.data import DataLoader

from asr.audio import SAMPLE_RATE
from asr.corpus import (
    Batch,
    Buckets,
    Example,
    Source,
    SpeechDataset,
    Utterance,
    collate,
    locate,
    measures_file,
    read_utterances,
    survey,
)
from asr.errors import AsrError, BadData, BadOption
from asr.model import AcousticModel
from asr.text import Tokenizer, Units
from asr.training.effects import lengths_at
from asr.training.folder import corpus_folder
from asr.training.loader import Place, ResumableLoader, plan_of
from asr.training.parts import Part, settle


class SpeechData(L.LightningDataModule):
    """Manifests of a corpus folder as batches of speech.

    Args:
        root: The corpus folder; without it, the variable EARSHOT_DATA.
        train: Manifest to train on, relative to `root`; or shards, by their folder or by an
            address as s3://bucket/train/{000000..000280}.
        dev: Manifest that is validated on after each epoch; never filtered, never augmented.
        old_dev: Manifest of what the model of `model.init_from` knew: read before training and
            after each epoch, so that a run says what it forgot.
        test: Manifest of `asr test`.
        corpora: Train only on lines whose `corpus` is one of these; without it, on all.
        units: The units that the model spells in; null keeps those of `model.init_from`.
        bad_lines: Whether a training line that cannot be used stops the run (refuse) or is named
            and left out (drop).
        most_dropped: Share of the training lines, or of their hours, that may be left out before
            that stops the run too.
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
        old_dev: str | None = None,
        test: str | None = None,
        corpora: list[str] | None = None,
        units: Units | None = Units(),
        bad_lines: Literal["refuse", "drop"] = "refuse",
        most_dropped: float = 0.1,
        batch_seconds: float = 200.0,
        short_first: int = 1,
        cache: str | None = None,
        workers: int = 0,
        seed: int = 0,
        sources: str = "",
    ) -> None:
        super().__init__()
        if batch_seconds <= 0 or short_first < 0 or workers < 0:
            raise BadOption(
                f"data cannot have batch_seconds {batch_seconds}, short_first {short_first} and "
                f"workers {workers}: give more than 0 seconds, and the others not below 0."
            )
        if not 0 <= most_dropped <= 1:
            raise BadOption(f"data.most_dropped {most_dropped} is no share: give one from 0 to 1.")
        self.root = corpus_folder(root)
        self.old_dev = old_dev
        self.names = {"train": train, "dev": dev, "old": old_dev, "test": test}
        self.corpora = corpora
        self.units = units
        self.bad_lines = bad_lines
        self.most_dropped = most_dropped
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
            if self.units is None:
                raise BadOption("data.units is null, and no model gives its own: set them.")
            self._tokenizer = self.units.tokenizer(self._texts())
        return self._tokenizer

    def adopt(self, tokenizer: Tokenizer, checkpoint: Path) -> None:
        """Go on with the units of a checkpoint; BadOption where the config names others."""
        state, units = tokenizer.state(), self.units
        if units is not None:
            same = state["kind"] == units.kind and tokenizer.n_units == units.count()
            if same and units.kind == "characters":
                same = state["alphabet"] == units.alphabet
            if not same:
                raise BadOption(
                    f"{checkpoint} spells in {tokenizer.n_units} {state['kind']}, the config has "
                    f"other units ({units}): give those that it was trained with, or start a new "
                    "run."
                )
        self._tokenizer = tokenizer

    def _texts(self) -> Iterator[str]:
        utterances, _ = read_utterances(self._manifest("train"))
        yield from (u.text for u in utterances if u.text and self._is_meant(u))

    def _is_meant(self, utterance: Utterance) -> bool:
        return self.corpora is None or utterance.corpus in self.corpora

    def setup(self, stage: str) -> None:
        """Read and check the manifests that the stage needs; BadData names every bad line."""
        wanted = {"fit": ("train", "dev", "old"), "validate": ("dev",), "test": ("test",)}[stage]
        for name in wanted:
            if name not in self.parts and (name != "old" or self.old_dev is not None):
                self.parts[name] = self._read_in_turn(name)

    def _read_in_turn(self, name: str) -> Part:
        """The part, read by the first process before the others, which find its audio decoded."""
        if self.trainer is None or self.trainer.world_size == 1:
            return self._read(name)
        part, problem = None, None
        if self.trainer.is_global_zero:
            try:
                part = self._read(name)
            except AsrError as error:
                problem = error
        problem = self.trainer.strategy.broadcast(problem)
        if problem is not None:
            if self.trainer.is_global_zero:
                raise problem
            sys.exit(2)  # said once is enough
        return part or self._read(name)

    def _manifest(self, name: str) -> Source:
        manifest = self.names[name]
        if manifest is None:
            raise BadData(f"data.{name} is not set: name the manifest, relative to {self.root}.")
        return locate(self.root, manifest)

    def _read(self, name: str) -> Part:
        path = self._manifest(name)
        training = name == "train"
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"reading {self.names[name]}", total=None)
            found = survey(
                path,
                self.tokenizer,
                lambda done, total: bar.update(task, completed=done, total=total),
                frames=self._network.config.frames if training else None,
                unheard=self._unheard() if training else None,
                keep=self._is_meant if training else lambda _: True,
                cache=self.cache,
                measures=measures_file(),
            )
        may_drop = training and self.bad_lines == "drop"
        most_dropped = self.most_dropped if may_drop else None
        settle(found, path, name, most_dropped, self.batch_seconds)
        dataset = SpeechDataset(found.usable, found.samples, self.tokenizer.encode)
        part = Part(dataset, found.lengths, found.pools)
        rank_zero_info(f"{path}: {len(dataset)} clips, {part.hours:.2f} hours")
        return part

    def _unheard(self) -> Source | None:
        """The development manifest, unless it is the training manifest itself."""
        dev = self._manifest("dev")
        return None if Path(dev).resolve() == Path(self._manifest("train")).resolve() else dev

    @property
    def _network(self) -> AcousticModel:
        if self.trainer is None:
            raise RuntimeError("SpeechData is read by a Trainer: call trainer.fit(model, data)")
        return cast(AcousticModel, self.trainer.lightning_module.network)

    def train_dataloader(self) -> ResumableLoader:
        part, trainer = self.parts["train"], self.trainer
        ranks, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        place = Place.of_run(trainer, lambda: len(batches))
        batches = self._buckets(
            part,
            epoch=lambda: place()[0],
            start=lambda: place()[1],
            ranks=ranks,
            rank=rank,
            short_first=self.short_first,
        )
        settings = (self._most, self.seed, self.short_first, ranks, place.per_epoch())
        plan = plan_of(part.lengths, part.pools, *settings)
        return ResumableLoader(part.dataset, batches, self.workers, place, plan)

    def val_dataloader(self) -> list[DataLoader[Example]]:
        return [
            self._still_loader(self.parts[name]) for name in ("dev", "old") if name in self.parts
        ]

    def test_dataloader(self) -> DataLoader[Example]:
        return self._still_loader(self.parts["test"])

    def worst_batch(self, speed: float = 1.0) -> Batch:
        """The clips of the costliest training batch, as long as they get when played at `speed`."""
        part = self.parts["train"]
        batch = collate([part.dataset[index] for index in self._buckets(part).costliest()])
        lengths = lengths_at(batch.wave_lengths, speed)
        longer = int(lengths.max()) - batch.wave.shape[1]
        return replace(batch, wave=F.pad(batch.wave, (0, longer)), wave_lengths=lengths)

    def old_batches(self) -> Iterator[Batch]:
        """This process's share of the old development set, as much as validation reads of it."""
        loader = self._still_loader(self.parts["old"])
        limit = 1.0 if self.trainer is None else self.trainer.limit_val_batches
        most = limit if isinstance(limit, int) else int(limit * len(loader))
        yield from islice(loader, most)

    def _still_loader(self, part: Part) -> DataLoader[Example]:
        """The same batches in the same mixed order every time."""
        trainer = self.trainer
        ranks, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        batches = self._buckets(part, shuffle=False, ranks=ranks, rank=rank)
        return DataLoader(
            part.dataset, batch_sampler=batches, collate_fn=collate, num_workers=self.workers
        )

    @property
    def _most(self) -> int:
        return int(self.batch_seconds * SAMPLE_RATE)

    def _buckets(self, part: Part, **settings: Any) -> Buckets:
        return Buckets(part.lengths, most=self._most, seed=self.seed, pools=part.pools, **settings)

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        return batch.to(device)
