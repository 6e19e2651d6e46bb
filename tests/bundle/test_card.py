"""The model card, and the figures recorded in it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr.bundle import Bundle, Figure, TrainingInfo, record_figure
from asr.bundle.card import card
from asr.errors import BadBundle

FIGURE = Figure(
    manifest="dev-librispeech.jsonl",
    decoder="greedy",
    precision="int8",
    clips=2,
    words=40,
    wer=0.613,
    cer=0.25,
    command="asr evaluate dev-librispeech.jsonl",
    speed=201.4,
    device="CPU of 2 cores",
)


def figure(**changes: Any) -> Figure:
    return replace(FIGURE, **changes)


def test_the_card_is_rendered_from_the_info(tiny_bundle: Path) -> None:
    text = (tiny_bundle / "README.md").read_text()

    assert text == card(Bundle.open(tiny_bundle).info)
    assert text.startswith("# tiny\n")
    for part in ("none: random weights", "LSTM", "29 units", "## Limits", "## Not to be used for"):
        assert part in text


def test_what_was_added_after_export_is_said(tiny_bundle: Path) -> None:
    info = Bundle.open(tiny_bundle).info
    assert "language model (" not in card(info) and "is a guess of the model" in card(info)
    lm = {"sources": "a book (CC0)", "bytes": 2_000_000}
    text = card(replace(info, lm=lm, calibration={"beam": {}}))
    assert "language model (2.0 MB) was estimated from a book (CC0)." in text
    assert "was fitted to development speech" in text
    assert "It writes words in lower case" in text
    marks = {"sources": "books (CC0)", "bytes": 2_600_000, "words": 1_000}
    text = card(replace(info, punctuation=marks))
    assert "Marks, capitals and digits are guessed" in text and "lower case" not in text


def test_each_training_behind_the_weights_is_said(tiny_bundle: Path) -> None:
    info = Bundle.open(tiny_bundle).info
    first = {"epochs": 12, "steps": 700, "hours": 15.89}  # told before trainings were chained
    second = {"epochs": 3, "steps": 90, "hours": 2.0, "before": first}
    chained = TrainingInfo.of({"epochs": 1, "steps": 1, "hours": 0.5, "before": second})
    assert (
        "Trained on 0.5 hours of speech: 1 epoch, 1 step. Before that, the weights on 2 hours "
        "of speech: 3 epochs, 90 steps. Before that, the weights on 15.89 hours of speech: "
        "12 epochs, 700 steps." in card(replace(info, training=chained))
    )


def test_directions_are_said_and_are_two_in_older_bundles(tiny_bundle: Path) -> None:
    info = Bundle.open(tiny_bundle).info
    older = {key: value for key, value in info.model.items() if key != "directions"}
    assert "LSTM layers in both directions with CTC" in card(replace(info, model=older))
    assert "LSTM layers in one direction" in card(replace(info, model={**older, "directions": 1}))


def test_unmeasured_is_said(tiny_bundle: Path) -> None:
    assert "Not yet measured." in (tiny_bundle / "README.md").read_text()


def test_a_figure_is_recorded(bundle_copy: Path) -> None:
    record_figure(bundle_copy, figure())

    text = (bundle_copy / "README.md").read_text()
    assert (
        "| dev-librispeech.jsonl | greedy | int8 | 2 | 40 | 61.3 % | 25.0 % | "
        "201, CPU of 2 cores | `asr evaluate dev-librispeech.jsonl` |" in text
    )
    assert "Not yet measured" not in text
    assert Bundle.open(bundle_copy).info.figures == (figure(),)


def test_a_newer_figure_replaces_the_older(bundle_copy: Path) -> None:
    record_figure(bundle_copy, figure())
    record_figure(bundle_copy, figure(manifest="another.jsonl"))
    record_figure(bundle_copy, figure(precision="fp32"))

    record_figure(bundle_copy, figure(wer=0.5))

    figures = Bundle.open(bundle_copy).info.figures
    assert [(figure.manifest, figure.precision, figure.wer) for figure in figures] == [
        ("another.jsonl", "int8", 0.613),
        ("dev-librispeech.jsonl", "fp32", 0.613),
        ("dev-librispeech.jsonl", "int8", 0.5),
    ]


def test_a_bar_in_a_command_does_not_break_the_table(bundle_copy: Path) -> None:
    record_figure(bundle_copy, figure(command="asr evaluate dev | tail"))

    assert "`asr evaluate dev \\| tail`" in (bundle_copy / "README.md").read_text()


def test_a_figure_from_before_speeds_were_recorded_is_shown_without(tiny_bundle: Path) -> None:
    old = figure(speed=None, device=None)
    info = replace(Bundle.open(tiny_bundle).info, figures=(old,))
    assert "| 25.0 % |  | `asr evaluate" in card(info)


def test_a_figure_for_what_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(BadBundle):
        record_figure(tmp_path, figure())
