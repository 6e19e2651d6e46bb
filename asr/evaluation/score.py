"""Error rates of transcripts against references, and where the errors are."""

from collections.abc import Sequence
from dataclasses import dataclass

import jiwer

from asr.errors import BadData
from asr.scripts import tokens


@dataclass(frozen=True)
class Scored:
    """One utterance's normalised reference and hypothesis, and their alignment.

    Words have spaces between them; of scripts that write none, each character is one.
    """

    id: str
    reference: str
    hypothesis: str
    chunks: tuple[jiwer.AlignmentChunk, ...]
    """jiwer's alignment: runs of equal, substituted, deleted or inserted words."""

    @property
    def words(self) -> int:
        """Words in the reference."""
        return len(self.reference.split())

    @property
    def errors(self) -> int:
        """Words substituted, deleted and inserted."""
        return sum(_errors(chunk) for chunk in self.chunks)

    @property
    def wer(self) -> float:
        """Word error rate of this utterance; a reference without words counts as one word."""
        return self.errors / max(1, self.words)

    @property
    def right(self) -> list[bool]:
        """For each word of the reference, whether it was recognised in its place."""
        right = [False] * self.words
        for chunk in self.chunks:
            if chunk.type == "equal":
                right[chunk.ref_start_idx : chunk.ref_end_idx] = [True] * (
                    chunk.ref_end_idx - chunk.ref_start_idx
                )
        return right


@dataclass(frozen=True)
class Score:
    """Error rates over a set of utterances: all errors over all words."""

    wer: float
    cer: float
    words: int
    """Words in the references."""
    substitutions: int
    deletions: int
    insertions: int
    utterances: tuple[Scored, ...]

    @property
    def errors(self) -> int:
        """Words substituted, deleted and inserted."""
        return self.substitutions + self.deletions + self.insertions

    def worst(self, most: int) -> list[Scored]:
        """The utterances with the highest word error rate; if equal, those with the most errors."""
        wrong = [utterance for utterance in self.utterances if utterance.errors]
        return sorted(wrong, key=lambda item: (-item.wer, -item.errors, item.id))[:most]


def score(ids: Sequence[str], references: Sequence[str], hypotheses: Sequence[str]) -> Score:
    """The score of normalised hypotheses against normalised references, in the same order.

    Words are aligned by the fewest errors, each of weight 1 (Levenshtein), as jiwer and Kaldi do.
    For a reference without words after normalisation, insertions count.

    Raises:
        BadData: there is nothing to score.
    """
    if not any(references):
        raise BadData("there is nothing to score: no utterance has a text; check the manifest.")
    spaced = [[" ".join(tokens(text)) for text in texts] for texts in (references, hypotheses)]
    words = jiwer.process_words(spaced[0], spaced[1])
    utterances = tuple(
        Scored(id=name, reference=reference, hypothesis=hypothesis, chunks=tuple(chunks))
        for name, reference, hypothesis, chunks in zip(ids, *spaced, words.alignments, strict=True)
    )
    return Score(
        wer=float(words.wer),
        cer=float(jiwer.cer(list(references), list(hypotheses))),
        words=words.hits + words.substitutions + words.deletions,
        substitutions=words.substitutions,
        deletions=words.deletions,
        insertions=words.insertions,
        utterances=utterances,
    )


def aligned(scored: Scored) -> str:
    """The reference above the hypothesis, words aligned; errors in capitals, gaps as asterisks."""
    reference, hypothesis = scored.reference.split(), scored.hypothesis.split()
    columns: list[tuple[str, str]] = []
    for chunk in scored.chunks:
        left = reference[chunk.ref_start_idx : chunk.ref_end_idx]
        right = hypothesis[chunk.hyp_start_idx : chunk.hyp_end_idx]
        if chunk.type == "equal":
            columns += zip(left, right, strict=True)
            continue
        for index in range(max(len(left), len(right))):
            over = left[index].upper() if index < len(left) else ""
            under = right[index].upper() if index < len(right) else ""
            columns.append((over or "*" * len(under), under or "*" * len(over)))
    widths = [max(map(len, column)) for column in columns]
    reference_line, hypothesis_line = (
        " ".join(column[row].ljust(width) for column, width in zip(columns, widths, strict=True))
        for row in range(2)
    )
    return f"said:  {reference_line}".rstrip() + "\n" + f"heard: {hypothesis_line}".rstrip()


def _errors(chunk: jiwer.AlignmentChunk) -> int:
    if chunk.type == "equal":
        return 0
    return int(
        max(chunk.ref_end_idx - chunk.ref_start_idx, chunk.hyp_end_idx - chunk.hyp_start_idx)
    )
