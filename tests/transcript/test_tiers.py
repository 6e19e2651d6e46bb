"""TextGrid and ELAN: what a reader of the format gets back."""

import re
from itertools import pairwise
from xml.etree import ElementTree

from asr.transcript import Layout, Transcript, Word, write

SAID = Transcript(
    'a "b" <c> d',
    (
        Word("a", 0.5, 1.0, 1.0, 1),
        Word('"b"', 1.0, 1.25, 1.0, 1),
        Word("<c>", 3.0, 3.5, 1.0, 1),
        Word("d", 2.0, 4.0, 1.0, 2),
    ),
    1.0,
    5.0,
    False,
)
SPEAKERS = Layout(speakers='left=Ann "A",right=Bob')


def tiers(text: str) -> dict[str, list[tuple[float, float, str]]]:
    """The intervals of each tier of a TextGrid, as Praat reads them."""
    found = {}
    for item in re.split(r"^    item \[\d+\]:$", text, flags=re.M)[1:]:
        name = re.search(r'name = "(.*)"', item)
        assert name
        rows = re.findall(r'xmin = (\S+)\n +xmax = (\S+)\n +text = "(.*)"', item)
        size = re.search(r"intervals: size = (\d+)", item)
        assert size and int(size[1]) == len(rows)
        undoubled = [(float(a), float(b), label.replace('""', '"')) for a, b, label in rows]
        found[name[1].replace('""', '"')] = undoubled
    return found


def test_the_intervals_of_a_textgrid_fill_their_tiers() -> None:
    found = tiers(write(SAID, "textgrid", layout=SPEAKERS))
    assert list(found) == ['Ann "A" segments', 'Ann "A" words', "Bob segments", "Bob words"]
    for intervals in found.values():
        assert intervals[0][0] == 0.0 and intervals[-1][1] == 5.0
        assert all(before[1] == after[0] for before, after in pairwise(intervals))
    labels = [(start, end, text) for start, end, text in found['Ann "A" words'] if text]
    assert labels == [(0.5, 1.0, "a"), (1.0, 1.25, '"b"'), (3.0, 3.5, "<c>")]
    assert [text for *_, text in found["Bob segments"]] == ["", "d", ""]


def test_elan_gets_words_within_their_segments() -> None:
    root = ElementTree.fromstring(write(SAID, "eaf").encode())
    times = {
        slot.get("TIME_SLOT_ID"): int(slot.get("TIME_VALUE", "")) for slot in root.iter("TIME_SLOT")
    }
    found = {
        tier.get("TIER_ID"): [
            (times[one.get("TIME_SLOT_REF1")], times[one.get("TIME_SLOT_REF2")], one.findtext("*"))
            for one in tier.iter("ALIGNABLE_ANNOTATION")
        ]
        for tier in root.iter("TIER")
    }
    assert found == {
        "left segments": [(500, 1250, 'a "b"'), (3000, 3500, "<c>")],
        "left words": [(500, 1000, "a"), (1000, 1250, '"b"'), (3000, 3500, "<c>")],
        "right segments": [(2000, 4000, "d")],
        "right words": [(2000, 4000, "d")],
    }
    parents = [tier.get("PARENT_REF") for tier in root.iter("TIER")]
    assert parents == [None, "left segments", None, "right segments"]
    ids = [one.get("ANNOTATION_ID") for one in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(set(ids)) == len(ids)


def test_silence_has_empty_tiers_and_no_character_breaks_the_xml() -> None:
    silence = Transcript("", (), 0.0, 5.0, True)
    assert tiers(write(silence, "textgrid")) == {
        "segments": [(0.0, 5.0, "")],
        "words": [(0.0, 5.0, "")],
    }
    odd = Transcript("a\0b", (Word("a\0b", 0.0, 1.0, 1.0),), 1.0, 5.0, False)
    for transcript in (silence, odd):
        ElementTree.fromstring(write(transcript, "eaf").encode())
