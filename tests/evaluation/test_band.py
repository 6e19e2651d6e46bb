"""The bundle that ships reads a few real clips as well as it did when its figure was recorded."""

from pathlib import Path

import pytest

from asr.evaluation import evaluate
from asr.runtime import Recognizer

MANIFEST = Path(__file__).parents[1] / "data" / "clips" / "check-clips.jsonl"
BAND = 0.04
"""How far the word error rate may be from the recorded one: eight words of 190, for int8 is not
the same on every CPU."""
RECORD = "asr evaluate tests/data/clips/check-clips.jsonl --record"


@pytest.mark.slow
def test_the_shipped_bundle_reads_as_it_was_recorded(shipped_bundle: Path) -> None:
    recognizer = Recognizer.load(shipped_bundle, "cpu")
    kind = (MANIFEST.name, recognizer.options().decoder, recognizer.bundle.precision)
    recorded = {figure.key: figure.wer for figure in recognizer.bundle.info.figures}
    assert kind in recorded, f"{shipped_bundle} has no figure of {kind}: `{RECORD}`"
    wer = evaluate(recognizer, MANIFEST).score.wer
    assert abs(wer - recorded[kind]) <= BAND, (
        f"WER {wer:.1%}, recorded {recorded[kind]:.1%}; if it is meant to be another: `{RECORD}`"
    )
