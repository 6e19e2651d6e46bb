"""The bootstrap: intervals over speakers, and two systems on the same samples."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from clips import evaluation
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import BadData
from asr.evaluation import Analysis, compare, in_order, lines, read_saved, score
from asr.evaluation.bootstrap import REPLICATES, Clusters, rate_intervals

WORDS = ["alpha", "bravo", "charlie", "delta", "echo"]


def noisy(rate: float, clips: int, random: np.random.Generator) -> tuple[list[str], list[str]]:
    """Texts of ten words, and the same with words wrong at a rate of each clip's own."""
    texts, heard = [], []
    for _ in range(clips):
        words = random.choice(WORDS, 10)
        wrong = random.random(10) < rate * random.uniform(0, 2)
        texts.append(" ".join(words))
        heard.append(" ".join(np.where(wrong, "zulu", words)))
    return texts, heard


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 8), st.integers(0, 2**16))
def test_the_rate_lies_in_its_interval_and_draws_are_fixed(speakers: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    texts, heard = noisy(0.3, 24, random)
    found = evaluation(texts, heard, [f"s{index % speakers}" for index in range(24)])
    interval = Analysis.of(found).whole.interval
    assert interval is not None
    assert interval[0] - 1e-9 <= found.score.wer <= interval[1] + 1e-9
    assert Analysis.of(found).whole.interval == interval


def test_draws_equal_a_loop_over_speakers() -> None:
    found = evaluation(["a b", "c", "d e f"], ["a", "c", "x"], ["ann", "bob", "ann"])
    clusters = Clusters.of(found.clips)
    errors, words = np.array([1.0, 0, 3]), np.array([2.0, 1, 3])
    alone = np.zeros(3, np.intp)
    drawn = clusters.replicates(
        np.concatenate([clusters.sums(v, alone, 1) for v in (errors, words)], axis=1)
    )
    assert drawn.shape == (REPLICATES, 2)
    # Two speakers drawn twice: (4 of 5) twice, (0 of 1) twice, or one of each.
    assert {tuple(row) for row in drawn.tolist()} == {(8.0, 10.0), (0.0, 2.0), (4.0, 6.0)}
    shares = [(drawn[:, 0] == value).mean() for value in (8, 4, 0)]
    assert shares == pytest.approx([0.25, 0.5, 0.25], abs=0.05)


def test_whole_speakers_make_wider_intervals_than_clips_alone() -> None:
    """Clips of one speaker that are wrong together are not independent."""
    texts = ["a b c d"] * 40
    heard = ["a b c d" if index < 20 else "x y z w" for index in range(40)]
    by_speaker = Analysis.of(evaluation(texts, heard, [f"s{index // 10}" for index in range(40)]))
    by_clip = Analysis.of(evaluation(texts, heard))
    widths = [
        item.whole.interval[1] - item.whole.interval[0]
        for item in (by_speaker, by_clip)
        if item.whole.interval is not None
    ]
    assert widths[0] > 1.5 * widths[1]
    assert (by_speaker.drawn_by.by, by_clip.drawn_by.by) == ("speaker", "clip")


@pytest.mark.slow
def test_the_interval_holds_the_truth_about_as_often_as_it_says() -> None:
    held = 0
    for seed in range(100):
        random = np.random.default_rng(seed)
        texts, heard = noisy(0.3, 80, random)
        interval = Analysis.of(evaluation(texts, heard)).whole.interval
        assert interval is not None
        held += interval[0] <= 0.3 <= interval[1]
    assert 85 <= held <= 100


def test_a_group_of_one_speaker_has_no_interval() -> None:
    clusters = Clusters(np.array([0, 1]), 2, "speaker")
    found = rate_intervals(clusters, np.array([[1.0, 0], [1, 1]]), np.array([[2.0, 0], [2, 2]]))
    assert found[0] is not None and found[1] is None


def test_speakers_that_are_not_named_stand_alone() -> None:
    found = evaluation(["a"] * 5, ["a"] * 5, ["ann", "ann", "bob", None, None])
    assert Clusters.of(found.clips).count == 4
    assert Clusters.of(evaluation(["a"] * 3, ["a"] * 3, ["ann"] * 3).clips).by == "clip"


def test_a_system_against_itself_shows_nothing() -> None:
    random = np.random.default_rng(1)
    found = evaluation(*noisy(0.3, 30, random))
    same = compare(found, [clip.hypothesis for clip in found.clips], "itself")
    assert (same.difference, same.interval, same.p) == (0.0, (0.0, 0.0), 1.0)
    assert (same.better, same.worse) == (0, 0)


def test_a_clear_difference_is_told_from_luck() -> None:
    random = np.random.default_rng(2)
    texts, heard = noisy(0.3, 60, random)
    found = evaluation(texts, heard, [f"s{index % 12}" for index in range(60)])
    better = compare(found, ["zulu"] * 60, "worse")
    assert better.difference < 0 and better.interval[1] < 0 and better.p < 0.01
    one_word = [*heard[:-1], "zulu"]
    luck = compare(found, one_word, "nearly itself")
    assert luck.p > 0.2 and luck.interval[1] >= 0
    # From the other side the same: sign turned, p the same.
    back = compare(evaluation(texts, one_word, [c.speaker for c in found.clips]), heard, "back")
    assert back.difference == pytest.approx(-luck.difference)
    assert back.p == pytest.approx(luck.p)


def test_results_of_other_clips_are_refused() -> None:
    assert in_order({"1": "y", "0": "x"}, ["0", "1"], "file") == ["x", "y"]
    with pytest.raises(BadData, match="lacks 1 of the 2 clips, the first '1'"):
        in_order({"0": "x"}, ["0", "1"], "file")


def test_one_clip_says_nothing_about_chance() -> None:
    """It is the same in every replicate, which is no evidence."""
    found = evaluation(["the cat sat"], ["the cat"])
    compared = compare(found, ["a dog"], "other")
    assert (compared.interval, compared.p) == (None, None) and compared.difference < 0
    shown = "\n".join(lines(Analysis.of(found, None, compared), "cpu", 0))
    assert "-66.67 points, without an interval: a single clip" in shown
    assert not re.search(r"^p ", shown, re.MULTILINE)
    assert Analysis.of(found, None, compared).to_dict()["comparison"]["p"] is None


@pytest.mark.parametrize(
    ("clips", "named"),
    [
        ([{"id": "a", "heard": None}], "`heard` of 'a' is None"),
        ([{"id": "a", "heard": "x"}, {"id": "a", "heard": "y"}], "two texts of 'a'"),
    ],
)
def test_a_file_of_texts_says_one_of_each_clip(
    clips: list[dict[str, object]], named: str, tmp_path: Path
) -> None:
    path = tmp_path / "other.json"
    path.write_text(json.dumps({"clips": clips}), encoding="utf-8")
    with pytest.raises(BadData, match=named):
        read_saved(path)


def test_rates_are_those_of_the_score() -> None:
    found = evaluation(["the cat sat", "on it"], ["the cat", "on that it"], ["a", "b"])
    by_hand = score(["0", "1"], ["the cat sat", "on it"], ["the cat", "on that it"])
    assert found.score.wer == by_hand.wer == Analysis.of(found).whole.wer
