"""Spellings of units, in files that separate units by spaces."""

from asr.text import CharacterTokenizer, SubwordTokenizer


def test_every_unit_has_a_spelling_and_the_blank_an_empty_one() -> None:
    characters = CharacterTokenizer("' ab")
    assert characters.spellings == ("", "'", "▁", "a", "b")
    subwords = SubwordTokenizer.learn(["a cat sat on the mat", "the cat"] * 20, 13)
    assert len(subwords.spellings) == subwords.n_units == 13 and subwords.spellings[0] == ""
    units = subwords.encode("the cat sat")
    assert "".join(subwords.spellings[unit] for unit in units) == "▁the▁cat▁sat"
