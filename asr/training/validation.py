"""What a development set has shown: every utterance, over all processes of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import jiwer
import torch
from torch import Tensor

from asr.corpus import Batch, Utterance
from asr.decoding import Hypothesis, greedy
from asr.model.lengths import valid_frames
from asr.text import BLANK, Tokenizer, normalise
from asr.training.objective import reachable_ctc

_TITLES = {"val": "development set", "old": "old development set", "test": "test set"}


def written(hypothesis: Hypothesis, tokenizer: Tokenizer) -> str:
    """The text of a hypothesis in normal form, as `asr evaluate` scores it."""
    return normalise(tokenizer.decode(hypothesis.units))


@dataclass(frozen=True)
class Heard:
    """One utterance as the model reads it."""

    utterance: Utterance
    text: str
    loss: float = 0.0
    """Nats; 0 where CTC cannot reach the text."""
    reachable: bool = True
    units: int = 0
    """Units of its text."""
    frames: int = 0
    blanks: int = 0
    """Frames whose best unit is the blank."""


@dataclass
class Tally:
    """The utterances of one development set so far, in any order."""

    heard: list[Heard] = field(default_factory=list)

    def add(self, log_probs: Tensor, lengths: Tensor, batch: Batch, tokenizer: Tokenizer) -> None:
        """Take in a batch read as `log_probs` `(B, U, V)`."""
        losses, reachable = reachable_ctc(log_probs, lengths, batch.units, batch.unit_lengths)
        best = log_probs.argmax(-1)  # (B, U)
        blanks = ((best == BLANK) & valid_frames(lengths, best.shape[1])).sum(1)
        columns = (losses, reachable, batch.unit_lengths, lengths, blanks)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        hypotheses = greedy(log_probs, lengths)
        for utterance, hypothesis, row in zip(batch.utterances, hypotheses, rows, strict=True):
            self.heard.append(Heard(utterance, written(hypothesis, tokenizer), *row))

    def gathered(self) -> "Tally":
        """The whole set, the same in every process and in the order of the manifest."""
        parts = [self.heard]
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            parts = [[]] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(parts, self.heard)
        # By line: an utterance that fills up another process's share counts once.
        by_line = {heard.utterance.line: heard for part in parts for heard in part}
        return Tally([by_line[line] for line in sorted(by_line)])

    @property
    def wer(self) -> float:
        """Word error rate."""
        return float(jiwer.wer(self.references, self.hypotheses))

    @property
    def cer(self) -> float:
        """Character error rate."""
        return float(jiwer.cer(self.references, self.hypotheses))

    @property
    def references(self) -> list[str]:
        return [heard.utterance.text for heard in self.heard]

    @property
    def hypotheses(self) -> list[str]:
        return [heard.text for heard in self.heard]

    @property
    def blank(self) -> float:
        """Share of frames that are blank."""
        return sum(heard.blanks for heard in self.heard) / max(1, sum(h.frames for h in self.heard))

    @property
    def unreachable(self) -> Sequence[Utterance]:
        """The utterances that CTC cannot spell in the frames there are."""
        return [heard.utterance for heard in self.heard if not heard.reachable]

    def loss(self, per_token: bool) -> float:
        """Nats per token or per utterance, of the texts within reach."""
        within = [heard for heard in self.heard if heard.reachable]
        count = sum(heard.units for heard in within) if per_token else len(within)
        return sum(heard.loss for heard in within) / max(1, count)

    def explain(self, stage: str) -> str:
        """The set in a few lines, for people."""
        lines = [
            f"{_TITLES[stage]}: WER {self.wer:.2%}, CER {self.cer:.2%}, blank {self.blank:.1%}",
            f"said:  {self.references[0]}",
            f"heard: {self.hypotheses[0]}",
        ]
        if self.unreachable:
            ids = ", ".join(utterance.id for utterance in self.unreachable[:8])
            lines.append(
                f"{len(self.unreachable)} texts need more frames than their audio has, and are "
                f"not in the loss: {ids}"
            )
        return "\n".join(lines)
