"""The data of a training run: manifests -> checked utterances -> bucketed batches."""

import hashlib
import sys
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from rich.console import Console
from rich.progress import Progress
from torch.nn import functional as F
from torch.utils.data import ConcatDataset, DataLoader

from asr.audio import SAMPLE_RATE
from asr.bundle import Bundle, default_bundle
from asr.corpus import (
    Source,
    Utterance,
    is_apart,
    locate,
    measurement_file,
    read_utterances,
    survey,
)
from asr.corpus.buckets import Buckets
from asr.corpus.dataset import Batch, Example, SpeechDataset, collate
from asr.corpus.mixture import Mixture
from asr.counting import counted
from asr.durations import spoken
from asr.errors import AsrError, BadData, BadOption
from asr.model import AcousticModel
from asr.text import (
    DEFAULT_LANGUAGE,
    PLAIN,
    Normaliser,
    PhoneTokenizer,
    Pronouncer,
    Tokenizer,
    Units,
    normaliser,
)
from asr.text.languages import language_code
from asr.text.pronunciations import Pronunciations, WithGuesses
from asr.training.augmentation.effects import lengths_at
from asr.training.data.folder import corpus_folder
from asr.training.data.loader import Place, ResumableLoader, plan_of
from asr.training.data.splits import Split, refuse_faults


@dataclass(frozen=True)
class Share:
    """Another corpus besides the main one: its clips make up a share of the batches."""

    manifest: str
    """Manifest, relative to the corpus folder."""
    share: float
    """Share of all batches."""
    synthetic: bool = False
    """Whether speech is synthetic: its clips always get noise and reverberation, if `model.augment`
    has them."""
    least_agreement: float = 0.0
    """Lines with a lower `agreement` of a second recogniser are left out."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1 or not 0 <= self.least_agreement <= 1:
            raise BadOption(
                f"data.shares cannot have share {self.share} and least_agreement "
                f"{self.least_agreement} of {self.manifest}: give a share between 0 and 1, and an "
                "agreement from 0 to 1."
            )


_BINS = 30  # of the histogram of lengths
SHIPPED = "shipped"
"""The value of `data.lexicon` that stands for the bundle that ships."""


class SpeechData(L.LightningDataModule):
    """Manifests of a corpus folder as batches of speech.

    Args:
        root: The corpus folder; without it, the variable EARSHOT_DATA.
        train: Manifest to train on, relative to `root`; or shards, by their folder or by an
            address such as s3://bucket/train/{000000..000280}.
        dev: Manifest for validation after each epoch; never filtered, never augmented.
        old_dev: Manifest for which the model of `model.init_from` was trained: measured before
            training and after each epoch, to report what is forgotten.
        test: Manifest of `asr test`.
        test_share: Share of the speakers of `dev`, about, who are set apart for `asr test`, in
            place of `test`: a hash of their names decides, and no run is validated on them.
        shares: Other corpora to train on, such as pseudo-labelled or synthetic speech.
        alone_last: Share of the epochs, at the end, that use only `train`.
        lexicon: For units of kind phones: a file of pronunciations relative to `root`, a line
            `word<TAB>phones` each, or the folder of a bundle, or `shipped` for the one that ships:
            a bundle's model of pronunciations also says the words that its lexicon lacks.
            Without it, the bundle in `model.init_from`.
        corpora: Train only on lines whose `corpus` is one of these; without it, on all.
        language: The language of the texts, by its code; it goes into the bundle. Without it, that
            of `model.init_from`, else English.
        units: The units that the model spells in; null keeps those of `model.init_from`.
        bad_lines: Whether a training line that cannot be used stops the run (refuse) or is named
            and left out (drop).
        most_dropped: Largest share of the training lines, or of their hours, that may be left out
            without stopping the run.
        shared_speakers: Whether a training line whose speaker is also in `dev` is an error
            (refuse), so that `dev` measures unknown voices, or is used (allow), for example to
            fine-tune on one voice.
        batch_seconds: Padded seconds of audio in a batch: its size times its longest clip.
        short_first: Epochs at the start that are ordered from short clips to long ones.
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
        test_share: float = 0.0,
        shares: list[Share] | None = None,
        alone_last: float = 0.2,
        lexicon: str | None = None,
        corpora: list[str] | None = None,
        language: str | None = None,
        units: Units | None = Units(),
        bad_lines: Literal["refuse", "drop"] = "refuse",
        most_dropped: float = 0.1,
        shared_speakers: Literal["refuse", "allow"] = "refuse",
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
        if sum(share.share for share in shares or []) >= 1 or not 0 <= alone_last <= 1:
            raise BadOption(
                "data.shares must leave a share to data.train, and data.alone_last lie from 0 to "
                "1: lower them."
            )
        if not 0 <= most_dropped <= 1:
            raise BadOption(f"data.most_dropped {most_dropped} is no share: give one from 0 to 1.")
        if not 0 <= test_share < 1 or (test_share and test is not None):
            raise BadOption(
                f"data.test_share {test_share} of the speakers of data.dev cannot be set apart"
                f"{f' beside data.test {test}' if test else ''}: give a share below 1 alone, or 0."
            )
        self.root = corpus_folder(root)
        self.old_dev = old_dev
        self.test_share = test_share
        self.names = {"train": train, "dev": dev, "old": old_dev}
        self.names["test"] = dev if test_share else test
        self.names |= {f"shares.{at}": share.manifest for at, share in enumerate(shares or [])}
        self.shares = shares or []
        self.alone_last = alone_last
        self.lexicon = lexicon
        self.corpora = corpora
        self._language = None if language is None else language_code(language)
        self.units = units
        self.bad_lines = bad_lines
        self.most_dropped = most_dropped
        self.shared_speakers = shared_speakers
        self.batch_seconds = batch_seconds
        self.short_first = short_first
        self.cache = None if cache is None else Path(cache)
        self.workers = workers
        self.seed = seed
        self.sources = sources
        self.splits: dict[str, Split] = {}
        self._tokenizer: Tokenizer | None = None

    @property
    def language(self) -> str:
        """The code of the language of the texts."""
        return self._language or DEFAULT_LANGUAGE

    @property
    def normal(self) -> Normaliser:
        """Gives texts their normal form."""
        return normaliser(PLAIN, self.language)

    @property
    def tokenizer(self) -> Tokenizer:
        """The units; subwords are learnt from the training texts."""
        if self._tokenizer is None:
            if self.units is None:
                raise BadOption("data.units is null, and no model gives its own: set them.")
            self._tokenizer = self.units.tokenizer(self._texts())
        return self._tokenizer

    def adopt_language(self, language: str) -> None:
        """Uses a trained model's language, unless the config has one."""
        self._language = self._language or language

    def measured(self) -> dict[str, Any]:
        """Of each manifest: its hash, its size, and the lengths of its clips."""
        return {name: self._measured(name, split) for name, split in self.splits.items()}

    def _measured(self, name: str, split: Split) -> dict[str, Any]:
        seconds = split.lengths / SAMPLE_RATE
        counts, edges = np.histogram(seconds, bins=_BINS)
        path = self.root / str(self.names[name])
        return {
            "manifest": str(self.names[name]),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None,
            "clips": len(seconds),
            "hours": round(split.hours, 3),
            "lengths": {"counts": counts.tolist(), "edges": np.round(edges, 3).tolist()},
        }

    def adopt(self, tokenizer: Tokenizer, checkpoint: Path) -> None:
        """Uses the units of a checkpoint; BadOption if the config has others."""
        state, units = tokenizer.state(), self.units
        if units is not None:
            same = state["kind"] == units.kind and tokenizer.n_units == units.count()
            if same and units.kind != "sentencepiece":
                same = state == units.tokenizer([]).state()
            if not same:
                told = f"{tokenizer.n_units} units of kind {state['kind']}"
                own = f"{units.count()} units of kind {units.kind}"
                raise BadOption(
                    f"{checkpoint} spells in {told}, the config has "
                    f"{own if own != told else 'others'}: give those that it was trained with, or "
                    "start a new run."
                )
        self._tokenizer = tokenizer

    @cached_property
    def pronouncer(self) -> Pronouncer | None:
        """Spells texts in phones, for a model with a phone head.

        Raises:
            BadOption: there is a phone head but no lexicon, neither here nor in the bundle of
                `model.init_from`; or a lexicon but no phone head.
            BadData: the lexicon cannot be read.
            BadBundle: it is a bundle that cannot be read.
        """
        if not isinstance(self.tokenizer, PhoneTokenizer):
            if self.lexicon is not None:
                raise BadOption("data.lexicon has no effect unless data.units.kind is phones.")
            return None
        if self.lexicon not in (None, SHIPPED) and not Path(self.lexicon).is_dir():
            path = self.root / self.lexicon
            return Pronouncer(self.tokenizer, Pronunciations.load(path, self.tokenizer.phones))
        bundle = self._lending_bundle()
        if bundle is None or bundle.lexicon is None:
            raise BadOption(
                "units of kind phones need data.lexicon: name a file with a line "
                "`word<TAB>phones` for each pronunciation, or a bundle that has a lexicon."
            )
        if getattr(bundle.tokenizer, "phones", None) != self.tokenizer.phones:
            raise BadOption(
                f"the lexicon of {bundle.path} is in other phones than data.units: give a lexicon "
                "in those, or leave data.units.phones out."
            )
        return Pronouncer(self.tokenizer, WithGuesses.load(bundle.lexicon, bundle.g2p))

    def _lending_bundle(self) -> Bundle | None:
        """The bundle whose lexicon is used: a named one, or that which training starts from."""
        if self.lexicon is not None:
            return Bundle.open(default_bundle() if self.lexicon == SHIPPED else Path(self.lexicon))
        module = None if self.trainer is None else self.trainer.lightning_module
        path = getattr(module, "init_from", None)
        return Bundle.open(path) if path is not None and Path(path).is_dir() else None

    def _texts(self) -> Iterator[str]:
        return texts_of(self._manifest("train"), self.corpora, self.normal)

    def _is_meant(self, utterance: Utterance) -> bool:
        return self.corpora is None or utterance.corpus in self.corpora

    def setup(self, stage: str) -> None:
        """Reads and checks the manifests that the stage needs; BadData names every bad line."""
        others = [name for name in self.names if name.startswith("shares.")]
        wanted = {
            "fit": ["train", *others, "dev", "old"],
            "validate": ["dev"],
            "test": ["test"],
        }[stage]
        for name in wanted:
            if name not in self.splits and (name != "old" or self.old_dev is not None):
                self.splits[name] = self._read_in_turn(name)

    def _read_in_turn(self, name: str) -> Split:
        """Reads the split in the first process before the others, to decode its audio once."""
        if self.trainer is None or self.trainer.world_size == 1:
            return self._read(name)
        split, problem = None, None
        if self.trainer.is_global_zero:
            try:
                split = self._read(name)
            except AsrError as error:
                problem = error
        problem = self.trainer.strategy.broadcast(problem)
        if problem is not None:
            if self.trainer.is_global_zero:
                raise problem
            sys.exit(2)  # one process has reported it
        return split or self._read(name)

    def _manifest(self, name: str) -> Source:
        manifest = self.names[name]
        if manifest is None:
            raise BadData(f"data.{name} is not set: name the manifest, relative to {self.root}.")
        return locate(self.root, manifest)

    def _read(self, name: str) -> Split:
        path = self._manifest(name)
        share = self.shares[int(name.removeprefix("shares."))] if "shares." in name else None
        training = name == "train" or share is not None
        with Progress(console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task(f"reading {self.names[name]}", total=None)
            surveyed = survey(
                path,
                self.tokenizer,
                lambda done, total: bar.update(task, completed=done, total=total),
                frames=self._network.config.frames if training else None,
                pronounce=self.pronouncer,
                unheard=self._unheard() if training else None,
                keep=self._kept(name, share),
                cache=self.cache,
                measures=measurement_file(),
                normal=self.normal,
            )
        may_drop = training and self.bad_lines == "drop"
        most_dropped = self.most_dropped if may_drop else None
        hint = self.units.hint if self.units is not None else ""
        refuse_faults(surveyed, path, name, most_dropped, self.batch_seconds, hint)
        dataset = SpeechDataset(
            surveyed.usable,
            surveyed.samples,
            self.tokenizer.encode,
            self.pronouncer,
            synthetic=share is not None and share.synthetic,
        )
        split = Split(dataset, surveyed.lengths, surveyed.pools)
        rank_zero_info(f"{path}: {counted(len(dataset), 'clip')}, {spoken(split.hours * 3600)}")
        return split

    def _kept(self, name: str, share: Share | None) -> Callable[[Utterance], bool]:
        """Selects the utterances of a manifest that are meant."""
        if share is not None:
            return _agreed(share.least_agreement)
        if name == "train":
            return self._is_meant
        if name in ("dev", "test") and self.test_share:
            return lambda one: (
                is_apart(str(one.speaker or one.id), self.test_share) == (name == "test")
            )
        return lambda _: True

    def _unheard(self) -> Source | None:
        """The development manifest, whose speakers must not be trained on.

        None if they may be, or if it is the training manifest itself.
        """
        if self.shared_speakers == "allow":
            return None
        dev = self._manifest("dev")
        return None if Path(dev).resolve() == Path(self._manifest("train")).resolve() else dev

    @property
    def _network(self) -> AcousticModel:
        if self.trainer is None:
            raise RuntimeError("SpeechData is read by a Trainer: call trainer.fit(model, data)")
        return cast(AcousticModel, self.trainer.lightning_module.network)

    def train_dataloader(self) -> ResumableLoader:
        split, trainer = self.splits["train"], self.trainer
        ranks, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        place = Place.of_run(trainer, lambda: len(batches))
        dealt = {
            "epoch": lambda: place()[0],
            "start": lambda: place()[1],
            "ranks": ranks,
            "rank": rank,
        }
        batches: Buckets | Mixture
        if not self.shares:
            batches = self._buckets(split, short_first=self.short_first, **dealt)
        else:
            batches = self._mixture(**dealt)
        settings = (self._most, self.seed, self.short_first, ranks, place.per_epoch())
        plan = plan_of(split.lengths, split.pools, *settings, *self._alone_from())
        splits = [split, *self._others]
        dataset = (
            ConcatDataset([other.dataset for other in splits]) if self.shares else split.dataset
        )
        return ResumableLoader(dataset, batches, self.workers, place, plan)

    @property
    def _others(self) -> list[Split]:
        return [split for name, split in self.splits.items() if name.startswith("shares.")]

    def _mixture(self, **dealt: Any) -> Mixture:
        """The batches of the main corpus and of the corpora with a share."""
        splits = [self.splits["train"], *self._others]
        return Mixture(
            [
                self._buckets(self.splits["train"], short_first=self.short_first),
                *(self._buckets(split) for split in self._others),
            ],
            [len(split.dataset) for split in splits],
            [share.share for share in self.shares],
            alone_from=next(iter(self._alone_from()), None),
            **dealt,
        )

    def _alone_from(self) -> list[int]:
        """The first epoch with only the main corpus, if there are others."""
        epochs = self.trainer.max_epochs if self.trainer else None
        if not self.shares or epochs is None or epochs < 1:
            return []
        return [epochs - round(self.alone_last * epochs)]

    def val_dataloader(self) -> list[DataLoader[Example]]:
        return [
            self._still_loader(self.splits[name]) for name in ("dev", "old") if name in self.splits
        ]

    def test_dataloader(self) -> DataLoader[Example]:
        return self._still_loader(self.splits["test"])

    def worst_batch(self, speed: float = 1.0) -> Batch:
        """The most expensive training batch, its clips as long as when played at `speed`."""
        split = self.splits["train"]
        batch = collate([split.dataset[index] for index in self._buckets(split).costliest()])
        lengths = lengths_at(batch.wave_lengths, speed)
        longer = int(lengths.max()) - batch.wave.shape[1]
        return replace(batch, wave=F.pad(batch.wave, (0, longer)), wave_lengths=lengths)

    def old_batches(self) -> Iterator[Batch]:
        """This process's share of the old development set, up to validation's limit."""
        loader = self._still_loader(self.splits["old"])
        limit = 1.0 if self.trainer is None else self.trainer.limit_val_batches
        most = limit if isinstance(limit, int) else int(limit * len(loader))
        yield from islice(loader, most)

    def _still_loader(self, split: Split) -> DataLoader[Example]:
        """The same batches in the same mixed order every time."""
        trainer = self.trainer
        ranks, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        batches = self._buckets(split, shuffle=False, ranks=ranks, rank=rank)
        return DataLoader(
            split.dataset, batch_sampler=batches, collate_fn=collate, num_workers=self.workers
        )

    @property
    def _most(self) -> int:
        return int(self.batch_seconds * SAMPLE_RATE)

    def _buckets(self, split: Split, **settings: Any) -> Buckets:
        return Buckets(
            split.lengths, most=self._most, seed=self.seed, pools=split.pools, **settings
        )

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        return batch.to(device)


def texts_of(
    manifest: Source, corpora: Collection[str] | None, normal: Normaliser
) -> Iterator[str]:
    """The texts of a manifest to train on, of all corpora or those named."""
    utterances, _ = read_utterances(manifest, normal)
    return (u.text for u in utterances if u.text and (corpora is None or u.corpus in corpora))


def _agreed(least: float) -> Callable[[Utterance], bool]:
    """A filter for utterances whose texts have at least this agreement."""
    return lambda utterance: utterance.agreement >= least
