import pytest

from asr.errors import BadData
from asr.evaluation import aligned, score


def test_errors_are_counted_over_all_words() -> None:
    result = score(
        ["a", "b", "c"],
        ["the quick brown fox", "hello world", "one"],
        ["the quack brown", "hello big world", "one"],
    )
    assert (result.substitutions, result.deletions, result.insertions) == (1, 1, 1)
    assert result.words == 7
    assert result.wer == pytest.approx(3 / 7)
    assert [utterance.errors for utterance in result.utterances] == [2, 1, 0]
    assert [item.id for item in result.worst(5)] == ["a", "b"]


def test_errors_stand_under_each_other() -> None:
    (item,) = score(["a"], ["the quick brown fox ran"], ["quack brown fox ran off"]).worst(1)
    said, heard = aligned(item).splitlines()
    assert said.split() == ["said:", "THE", "QUICK", "brown", "fox", "ran", "***"]
    assert heard.split() in (
        ["heard:", "***", "QUACK", "brown", "fox", "ran", "OFF"],
        ["heard:", "QUACK", "*****", "brown", "fox", "ran", "OFF"],
    )
    assert said.index("fox") == heard.index("fox")


def test_an_empty_transcript_is_all_deletions() -> None:
    result = score(["a"], ["two words"], [""])
    assert (result.wer, result.deletions) == (1.0, 2)


def test_each_word_of_a_reference_is_right_or_not() -> None:
    (item,) = score(["a"], ["the quick brown fox"], ["the quack brown"]).utterances
    assert item.right == [True, False, True, False]
    assert item.words == 4


def test_nothing_to_score_is_refused() -> None:
    for references in ([], ["", ""]):
        with pytest.raises(BadData):
            score(["x"] * len(references), references, references)


def test_what_is_added_to_no_words_counts() -> None:
    result = score(["a", "b"], ["", "two words"], ["hum", "two words"])
    assert (result.words, result.insertions, result.wer) == (2, 1, 0.5)
