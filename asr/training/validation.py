"""The results of a development set: every utterance, over all processes of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jiwer
import torch
from torch import Tensor

from asr.corpus import Utterance
from asr.corpus.dataset import Batch
from asr.counting import counted
from asr.decoding import Hypothesis, greedy
from asr.model.lengths import valid_frames
from asr.scripts import tokens
from asr.text import BLANK, PhoneTokenizer, Tokenizer, normalise
from asr.training.objective import reachable_ctc

_TITLES = {"val": "development set", "old": "old development set", "test": "test set"}


def written(hypothesis: Hypothesis, tokenizer: Tokenizer) -> str:
    """The text of a hypothesis in normal form, as in `asr evaluate`."""
    return normalise(tokenizer.decode(hypothesis.units))


@dataclass(frozen=True)
class UtteranceResult:
    """The model's result for one utterance."""

    utterance: Utterance
    text: str
    loss: float = 0.0
    """In nats; 0 if CTC cannot reach the text."""
    reachable: bool = True
    units: int = 0
    """Units of its text."""
    frames: int = 0
    blanks: int = 0
    """Frames whose best unit is the blank."""
    phones: str = ""
    """The phones of the text, if the model has a head for them."""
    recognised_phones: str = ""


@dataclass
class Tally:
    """The results of one development set so far, in any order."""

    results: list[UtteranceResult] = field(default_factory=list)

    def add(self, log_probs: Tensor, lengths: Tensor, batch: Batch, tokenizer: Tokenizer) -> None:
        """Adds a batch, given its `log_probs` `(B, U, V)` of all heads."""
        spoken = _phones(log_probs[:, :, tokenizer.n_units :], lengths, batch, tokenizer)
        log_probs = log_probs[:, :, : tokenizer.n_units]
        losses, reachable = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
        best = log_probs.argmax(-1)  # (B, U)
        blanks = ((best == BLANK) & valid_frames(lengths, best.shape[1])).sum(1)
        columns = (losses, reachable, batch.unit_lengths, lengths, blanks)
        rows = zip(*(column.tolist() for column in columns), *spoken, strict=True)
        hypotheses = best_paths(log_probs, lengths)
        for utterance, hypothesis, row in zip(batch.utterances, hypotheses, rows, strict=True):
            self.results.append(UtteranceResult(utterance, written(hypothesis, tokenizer), *row))

    def gathered(self) -> "Tally":
        """The results of all processes, in the order of the manifest."""
        parts = [self.results]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts = [[]] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, self.results)
        # By line: an utterance that was repeated to fill up another process's share counts once.
        by_line = {result.utterance.line: result for part in parts for result in part}
        return Tally([by_line[line] for line in sorted(by_line)])

    @property
    def wer(self) -> float:
        """Word error rate."""
        return float(jiwer.wer(_spaced(self.references), _spaced(self.hypotheses)))

    @property
    def cer(self) -> float:
        """Character error rate."""
        return float(jiwer.cer(self.references, self.hypotheses))

    @property
    def per(self) -> float:
        """Phone error rate against the usual pronunciations, spaces left out."""
        spelled = [result for result in self.results if result.phones]
        references = [result.phones for result in spelled]
        return float(jiwer.wer(references, [result.recognised_phones for result in spelled]))

    @property
    def references(self) -> list[str]:
        return [result.utterance.text for result in self.results]

    @property
    def hypotheses(self) -> list[str]:
        return [result.text for result in self.results]

    @property
    def blank(self) -> float:
        """Share of frames that are blank."""
        frames = sum(result.frames for result in self.results)
        return sum(result.blanks for result in self.results) / max(1, frames)

    @property
    def unreachable(self) -> Sequence[Utterance]:
        """The utterances that CTC cannot spell in the available frames."""
        return [result.utterance for result in self.results if not result.reachable]

    def loss(self, per_token: bool) -> float:
        """Nats per token or per utterance, over the texts that can be reached."""
        within = [result for result in self.results if result.reachable]
        count = sum(result.units for result in within) if per_token else len(within)
        return sum(result.loss for result in within) / max(1, count)

    def explain(self, stage: str) -> str:
        """A summary in a few lines, for people."""
        lines = [
            f"{_TITLES[stage]}, greedy, without lexicon and language model: "
            f"WER {self.wer:.2%}, CER {self.cer:.2%}, blank {self.blank:.1%}"
            + (f", PER {self.per:.2%}" if any(result.phones for result in self.results) else ""),
            f"said:  {self.references[0]}",
            f"heard: {self.hypotheses[0]}",
        ]
        if self.unreachable:
            ids = ", ".join(utterance.id for utterance in self.unreachable[:8])
            lines.append(
                "not in the loss, as more frames are needed than the audio has: "
                f"{counted(len(self.unreachable), 'text')}: {ids}"
            )
        return "\n".join(lines)


def best_paths(log_probs: Tensor, lengths: Tensor) -> list[Hypothesis]:
    """The greedy hypotheses of a model's output `(B, U, V)` and lengths `(B,)`, on any device."""
    return greedy(log_probs.detach().float().cpu().numpy(), lengths.cpu().numpy())


def _phones(
    log_probs: Tensor, lengths: Tensor, batch: Batch, tokenizer: Tokenizer
) -> tuple[list[str], list[str]]:
    """The phones of each text of a batch and those recognised, without spaces; "" without a head.

    Args:
        log_probs: `(B, U, P)` of the head of phones.
    """
    if not isinstance(tokenizer, PhoneTokenizer) or batch.phones is None:
        return [""] * len(batch.wave), [""] * len(batch.wave)
    said = [tokenizer.phones_of(units) for units in batch.phones.tolist()]
    recognised = [tokenizer.phones_of(best.units) for best in best_paths(log_probs, lengths)]
    return _joined(said), _joined(recognised)


def _spaced(texts: Sequence[str]) -> list[str]:
    """Texts with a space after each word; scripts without spaces count by character."""
    return [" ".join(tokens(text)) for text in texts]


def _joined(rows: Sequence[Sequence[str]]) -> list[str]:
    return [" ".join(phone for phone in row if phone != "|") for row in rows]
