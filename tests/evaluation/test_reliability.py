"""Measures of confidence, on cases computed by hand."""

import math

import numpy as np
import pytest

from asr.evaluation import Reliability


def reliability(*pairs: tuple[float, bool]) -> Reliability:
    return Reliability.of(np.array([one for one, _ in pairs]), np.array([two for _, two in pairs]))


def test_auc_counts_the_pairs_in_order() -> None:
    assert reliability((0.9, True), (0.8, False), (0.7, True), (0.1, False)).auc == 0.75
    assert reliability((0.5, True), (0.5, False)).auc == 0.5
    assert reliability((0.9, True), (0.1, False)).auc == 1.0


def test_ece_is_the_gap_between_said_and_true() -> None:
    found = reliability((0.95, True), (0.95, False), (0.25, False), (0.25, False))
    assert found.ece == pytest.approx(0.5 * 0.45 + 0.5 * 0.25)
    assert reliability((1.0, True), (0.0, False)).ece == 0.0


def test_nce_is_zero_for_the_share_of_right_words_and_one_for_the_truth() -> None:
    assert reliability((0.5, True), (0.5, False)).nce == pytest.approx(0.0)
    assert reliability((1.0, True), (0.0, False)).nce == pytest.approx(1.0, abs=1e-5)
    assert reliability((0.1, True), (0.9, False)).nce < 0.0


def test_without_a_wrong_word_nothing_can_be_told() -> None:
    found = reliability((0.9, True), (0.5, True))
    assert math.isnan(found.auc) and math.isnan(found.nce)
    assert found.ece == pytest.approx(0.3)
