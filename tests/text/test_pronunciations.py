"""Files of pronunciations, and pronunciations from dictionary, form and model."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import BadData, BadOption
from asr.text.pronunciations import ARPABET, Pronunciations, pronounce, read

PART = Path(__file__).parents[1] / "data" / "lexicon" / "cmudict-part.dict"
PHONES = st.lists(st.sampled_from(sorted(ARPABET)), min_size=1, max_size=6).map(tuple)
WORDS = st.from_regex(r"[a-zé][a-zé']{0,6}[a-zé]|[a-zé]", fullmatch=True)
ENTRIES = st.dictionaries(WORDS, st.lists(PHONES, min_size=1, max_size=3), min_size=1, max_size=8)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "own.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_cmudict_is_read_as_it_stands(tmp_path: Path) -> None:
    found = Pronunciations.load(PART)
    assert set(found.phones) == ARPABET
    assert found.of("a") == (("AH",), ("EY",))
    assert found.of("nothing-such") == ()
    lines = written(tmp_path, ";;; a comment", "'em AH0 M", "aalto AA1 L T OW2 # name, finnish")
    assert dict(Pronunciations.load(lines)) == {
        "em": (("AH", "M"),),
        "aalto": (("AA", "L", "T", "OW"),),
    }


def test_stress_that_alone_differs_makes_one_pronunciation(tmp_path: Path) -> None:
    path = written(tmp_path, "record R AH0 K AO1 R D", "record(2) R AH1 K AO0 R D")
    assert len(Pronunciations.load(path).of("record")) == 1
    stressed = Pronunciations.load(path, ("R", "AH0", "AH1", "K", "AO0", "AO1", "D"))
    assert stressed.of("record")[1] == ("R", "AH1", "K", "AO0", "R", "D")


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(ENTRIES)
def test_a_file_keeps_words_order_and_pronunciations(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, list[tuple[str, ...]]]
) -> None:
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.txt"
    one = Pronunciations(entries)
    one.save(path)
    again = Pronunciations.load(path)
    assert list(again.items()) == list(one.items())
    assert again.words == one.words and again.phones == one.phones


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("", "it is empty"),
        ("cat", "'cat' has no phones"),
        ("cat\t", "'cat' has no phones"),
        ("\tK AE T", "'' is no word"),
        ("wi-fi\tW AY F AY", "'wi-fi' is 2 words as texts are read"),
        ("cat\tK AE Q", "'cat' has the unknown phone 'Q'"),
        ("dog\tD AO G", "'dog' is said so above"),
        ("long\t" + "L " * 600, "over 1000 characters"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, reason: str) -> None:
    path = written(tmp_path, "dog\tD AO G", line, "fish\tF IH SH")
    with pytest.raises(BadData, match=r"own\.txt, line 2: ") as raised:
        Pronunciations.load(path, ARPABET)
    assert reason in str(raised.value) and "\n" not in str(raised.value)
    good, faults = read(path, ARPABET)
    assert good.words == ("dog", "fish") and [fault.line for fault in faults] == [2]


def test_what_is_no_file_of_pronunciations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="cannot be read"):
        Pronunciations.load(tmp_path / "none.txt")
    with pytest.raises(BadData, match="it is empty"):
        Pronunciations.load(written(tmp_path))
    (tmp_path / "own.txt").write_bytes(b"caf\xe9\tK AE\n")
    with pytest.raises(BadData, match="not UTF-8"):
        Pronunciations.load(tmp_path / "own.txt")
    (tmp_path / "file").touch()
    with pytest.raises(BadOption, match="cannot be written"):
        Pronunciations({"a": [["AH"]]}).save(tmp_path / "file" / "out.txt")


def test_the_first_dictionary_says_how_a_word_is_said() -> None:
    own = Pronunciations({"tomato": [["T", "AH"]], "new": [["N"]]})
    shipped = Pronunciations({"tomato": [["T", "EY"]], "old": [["OW"]]})
    merged = own.merged(shipped)
    assert merged.of("tomato") == (("T", "AH"),)
    assert merged.of("new") == (("N",),) and merged.of("old") == (("OW",),)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("day's", "D EY Z"),
        ("work's", "W ER K S"),
        ("place's", "P L EY S IH Z"),
        ("hills", "HH IH L Z"),
        ("churches", "CH ER CH IH Z"),
        ("fancies", "F AE N S IY Z"),
        ("look'd", "L UH K T"),
        ("unheard", ""),
        ("is", ""),
    ],
)
def test_a_form_is_said_as_its_word(word: str, said: str) -> None:
    words = ["day", "work", "place", "hill", "church", "fancy", "i"]
    spoken = ["D EY", "W ER K", "P L EY S", "HH IH L", "CH ER CH", "F AE N S IY", "AY"]
    entries = {word: [phones.split()] for word, phones in zip(words, spoken, strict=True)}
    entries["looked"] = [["L", "UH", "K", "T"]]
    (found,) = pronounce([word], Pronunciations(entries), None)
    assert [" ".join(phones) for phones in found.said] == ([said] if said else [])
    assert (found.source == "form") == bool(said)


def test_forms_are_those_of_english_alone() -> None:
    foreign = Pronunciations({"hund": [["h", "ʊ", "n", "t"]]})
    (found,) = pronounce(["hund's"], foreign, None)
    assert found.said == ()
