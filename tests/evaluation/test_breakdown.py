"""Breakdowns: every clip is in one group of each; and words that training did not have."""

import json

import numpy as np
from clips import evaluation

from asr.evaluation import Analysis, breakdowns, lines
from asr.evaluation.evaluate import level

TEXTS = ["one word", "two more words", "the last of them all", "once again"]
HEARD = ["one word", "two more", "the last of the mall", "never again"]


def test_each_clip_is_in_one_group_of_each_breakdown() -> None:
    found = evaluation(
        TEXTS, HEARD, ["ann", "bob", "ann", "cat"], durations=[1, 2, 30, 5],
        traits=[{"accent": "x"}, {"accent": "y"}, {}, {"accent": "y"}],
    )  # fmt: skip
    parts = {part.by: part for part in breakdowns(found)}
    assert list(parts) == ["duration", "rate of speech", "speaker", "accent"]
    for part in parts.values():
        assert sum(row.clips for row in part.rows) == 4
        assert sum(row.words for row in part.rows) == found.score.words
        assert sum(row.errors for row in part.rows) == sum(
            item.errors for item in found.score.utterances
        )
    assert [row.group for row in parts["duration"].rows] == [
        "under 2 s", "2 to 5 s", "5 to 10 s", "20 s and more",
    ]  # fmt: skip
    accents = {row.group: row for row in parts["accent"].rows}
    assert list(accents) == ["y", "x", "not stated"]
    assert (accents["y"].clips, accents["y"].words, accents["y"].errors) == (2, 5, 2)
    assert accents["x"].interval is None  # one speaker


def test_a_manifest_that_says_nothing_of_its_speakers_is_broken_down_all_the_same() -> None:
    parts = breakdowns(evaluation(TEXTS, HEARD, durations=[1, 2, 30, 5]))
    assert [part.by for part in parts] == ["duration", "rate of speech"]


def test_words_that_training_lacks_are_counted_apart() -> None:
    found = evaluation(TEXTS, HEARD)
    analysis = Analysis.of(found, {"one", "word", "the", "last", "again", "all"})
    recall = analysis.recall
    assert recall is not None
    # Seen: one word / the last all / again; "all" was misheard.
    assert (recall.seen, recall.seen_right) == (6, 5)
    # Unseen: two more words / of them / once; two, more and of were right.
    assert (recall.unseen, recall.unseen_right) == (6, 3)


def test_levels_are_of_the_speech_and_not_of_the_pauses() -> None:
    tone = (0.1 * np.sin(np.arange(16000))).astype(np.float32)
    assert abs(level(tone) - 20 * np.log10(0.1 / np.sqrt(2))) < 0.1
    assert abs(level(np.concatenate([tone, np.zeros_like(tone)])) - level(tone)) < 0.2
    assert level(np.zeros(8000, np.float32)) == level(np.zeros(0, np.float32)) == -100


def test_a_terminal_shows_few_groups_and_a_file_has_all() -> None:
    count = 30
    found = evaluation(["a b"] * count, ["a"] * count, [f"s{index:02}" for index in range(count)],
                       traits=[{"accent": f"a{index:02}"} for index in range(count)])  # fmt: skip
    analysis = Analysis.of(found)
    shown = list(lines(analysis, "cpu", worst=0))
    assert max(map(len, shown)) <= 100
    assert len(shown) < 40
    assert any(line.startswith("  22 others") for line in shown)
    assert sum("worst: " in line for line in shown) == 3
    parts = json.loads(json.dumps(analysis.to_dict()))["breakdowns"]
    assert len(parts["speaker"]) == len(parts["accent"]) == count


def test_a_reference_of_fillers_alone_is_scored_without_words() -> None:
    found = evaluation(["um", "two words"], ["hum", "two words"], normaliser="english")
    assert found.score.words == 2 and found.score.insertions == 1
    assert Analysis.of(found).whole.wer == 0.5
