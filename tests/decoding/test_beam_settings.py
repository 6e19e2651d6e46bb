"""Settings of the beam search."""

from dataclasses import fields
from typing import Any, get_type_hints

import pytest

from asr.errors import BadOption
from asr.options import NAMES, BeamSettings, Options, OptionValues, described


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 0}, "size 0 is out of range; choose 1 to 2048."),
        ({"size": 5000}, "size 5000 is out of range; choose 1 to 2048."),
        ({"size": 16.0}, "size 16.0 is not a whole number; correct it."),
        ({"size": True}, "size True is not a whole number"),
        ({"lm_weight": -0.1}, "lm_weight -0.1 is out of range; choose 0 to 10."),
        ({"lm_weight": float("nan")}, "lm_weight nan is out of range; choose 0 to 10."),
        ({"word_bonus": float("inf")}, "word_bonus inf is out of range; choose -20 to 20."),
        ({"unknown_price": "2"}, "unknown_price '2' is not a number; correct it."),
        ({"hotword_boost": None}, "hotword_boost None is not a number"),
        ({"blank_skip": 0.2}, "blank_skip 0.2 is out of range; choose 0.5 to 1."),
        ({"choices": 0}, "choices 0 is out of range; choose 1 to 65536."),
        ({"reach": 0}, "reach 0 is out of range; choose 1 to 10000."),
    ],
)
def test_refusals(values: dict[str, Any], message: str) -> None:
    with pytest.raises(BadOption) as refused:
        BeamSettings(**values)
    assert message in str(refused.value)


def test_whole_numbers_are_numbers() -> None:
    assert BeamSettings(lm_weight=1, unknown_price=0).lm_weight == 1


def test_each_option_is_described_with_the_type_that_callers_are_told() -> None:
    assert set(NAMES) == {option.name for option in fields(Options)}
    hints = get_type_hints(OptionValues)
    for name in NAMES:
        option = described(name)
        assert option.help.endswith(".") and getattr(Options(), name) == option.default
        assert name == "hotwords" or hints[name] is option.kind
    assert described("beam_size")[1:4] == (BeamSettings().size, 1, 2_048)
