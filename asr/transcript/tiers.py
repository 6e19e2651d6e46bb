"""Transcripts for linguists: tiers of words and segments for Praat and ELAN."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.etree import ElementTree

from asr.transcript.layout import Layout
from asr.transcript.segments import Seconds, Segment, Word
from asr.transcript.transcript import Transcript

_EPOCH = "1970-01-01T00:00:00Z"  # ELAN wants a date, and the same transcript is the same file
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_INCLUDED = (
    "Time alignable annotations within the parent annotation's time interval, gaps are allowed"
)


class _Tier(NamedTuple):
    name: str
    entries: Sequence[Segment | Word]
    parent: str | None


def _tiers(transcript: Transcript, layout: Layout) -> Iterator[_Tier]:
    """The segments of each channel, and their words."""
    for channel in dict.fromkeys(segment.channel for segment in transcript.segments) or (None,):
        said = [segment for segment in transcript.segments if segment.channel == channel]
        speaker = layout.speaker(channel)
        name = f"{speaker} segments".strip()
        yield _Tier(name, said, None)
        yield _Tier(f"{speaker} words".strip(), [word for one in said for word in one.words], name)


def textgrid(transcript: Transcript, _name: str, layout: Layout) -> str:
    """Praat's long text format (https://praat.org/manual/TextGrid_file_formats.html).

    The intervals of a tier fill it; those without a label are silent.
    """
    tiers = list(_tiers(transcript, layout))
    start = transcript.start
    end = max([transcript.end, *(entry.end for tier in tiers for entry in tier.entries)])
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]
    lines += [f"xmin = {start:.6f}", f"xmax = {end:.6f}", "tiers? <exists>"]
    lines += [f"size = {len(tiers)}", "item []:"]
    for number, tier in enumerate(tiers, start=1):
        intervals = list(_filled(tier.entries, start, end))
        lines += [f"    item [{number}]:", '        class = "IntervalTier"']
        lines += [f"        name = {_quoted(tier.name)}"]
        lines += [f"        xmin = {start:.6f}", f"        xmax = {end:.6f}"]
        lines += [f"        intervals: size = {len(intervals)}"]
        for index, (begin, stop, text) in enumerate(intervals, start=1):
            lines += [f"        intervals [{index}]:", f"            xmin = {begin:.6f}"]
            lines += [f"            xmax = {stop:.6f}", f"            text = {_quoted(text)}"]
    return "".join(f"{line}\n" for line in lines)


def _filled(
    entries: Sequence[Segment | Word], start: Seconds, end: Seconds
) -> Iterator[tuple[Seconds, Seconds, str]]:
    """The entries, with silent intervals between them; one without length has no place."""
    now = start
    for entry in entries:
        if entry.end <= entry.start:
            continue
        if entry.start > now:
            yield now, entry.start, ""
        yield entry.start, entry.end, entry.text
        now = entry.end
    if now < end or not entries:
        yield now, end, ""


def _quoted(text: str) -> str:
    doubled = " ".join(text.split()).replace('"', '""')
    return f'"{doubled}"'


def eaf(transcript: Transcript, _name: str, layout: Layout) -> str:
    """ELAN's format (https://www.mpi.nl/tools/elan/EAF_Annotation_Format_3.0_and_ELAN.pdf)."""
    root = ElementTree.Element(
        "ANNOTATION_DOCUMENT", AUTHOR="", DATE=_EPOCH, FORMAT="3.0", VERSION="3.0"
    )
    root.set("xmlns:xsi", "http://www.w3.org/2001/XMLSchema-instance")
    root.set("xsi:noNamespaceSchemaLocation", _SCHEMA)
    ElementTree.SubElement(root, "HEADER", MEDIA_FILE="", TIME_UNITS="milliseconds")
    times = ElementTree.SubElement(root, "TIME_ORDER")
    number = 0
    for tier in _tiers(transcript, layout):
        kind = "segments" if tier.parent is None else "words"
        made = ElementTree.SubElement(root, "TIER", LINGUISTIC_TYPE_REF=kind, TIER_ID=tier.name)
        if tier.parent is not None:
            made.set("PARENT_REF", tier.parent)
        for entry in tier.entries:
            number += 1
            _annotate(made, times, number, entry)
    _add_types(root)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _annotate(
    tier: ElementTree.Element, times: ElementTree.Element, number: int, entry: Segment | Word
) -> None:
    slots = f"ts{2 * number - 1}", f"ts{2 * number}"
    for slot, seconds in zip(slots, (entry.start, entry.end), strict=True):
        value = str(round(1000 * seconds))
        ElementTree.SubElement(times, "TIME_SLOT", TIME_SLOT_ID=slot, TIME_VALUE=value)
    annotation = ElementTree.SubElement(
        ElementTree.SubElement(tier, "ANNOTATION"),
        "ALIGNABLE_ANNOTATION",
        ANNOTATION_ID=f"a{number}",
        TIME_SLOT_REF1=slots[0],
        TIME_SLOT_REF2=slots[1],
    )
    # XML has no place for control characters, however they are written.
    text = "".join(char if char.isprintable() else " " for char in entry.text)
    ElementTree.SubElement(annotation, "ANNOTATION_VALUE").text = text


def _add_types(root: ElementTree.Element) -> None:
    for kind, constraint in (("segments", None), ("words", "Included_In")):
        made = ElementTree.SubElement(
            root, "LINGUISTIC_TYPE", GRAPHIC_REFERENCES="false", LINGUISTIC_TYPE_ID=kind,
            TIME_ALIGNABLE="true",
        )  # fmt: skip
        if constraint:
            made.set("CONSTRAINTS", constraint)
    ElementTree.SubElement(root, "CONSTRAINT", DESCRIPTION=_INCLUDED, STEREOTYPE="Included_In")
