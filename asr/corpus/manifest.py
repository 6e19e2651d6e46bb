"""Manifests: JSON lines, each with a recording and its text.

A line is an object with `audio` (a path, relative to the manifest's folder) and `text`, and
optionally `id`, `duration` (seconds), `speaker`, `corpus`, `agreement` (of a second recogniser),
`phones` (how it was said, with "|" between words); other keys are ignored. A stretch of a long
recording has `start` and `end` in its seconds, or `offset` and `duration`.
"""

import hashlib
import json
import math
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from asr.audio import Audio, load_stretch, read_header
from asr.corpus.findings import Finding, Kind
from asr.errors import BadAudio, BadData, BadOption, TooLong
from asr.files import is_text
from asr.text import Normaliser, normalise

_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Utterance:
    """One recording and its text; `line` counts from 1 in the manifest it came from."""

    id: str
    audio: Path
    text: str
    """Normalised; it may be empty, which `check_lines` reports."""
    line: int
    duration: float | None = None
    speaker: str | None = None
    corpus: str | None = None
    agreement: float = 1.0
    """Agreement of a second recogniser with a text from a recogniser, from 0 to 1."""
    phones: str | None = None
    """How it was said: phones, with "|" between words."""
    start: float = 0.0
    """Where it begins in the recording, in seconds."""
    end: float | None = None
    """Where it ends; None for the recording's end."""

    @property
    def is_part(self) -> bool:
        """Whether it is a stretch of its recording."""
        return self.start > 0 or self.end is not None

    def load(self) -> Audio:
        """Its sound; errors are those of `asr.audio.load_stretch`."""
        return load_stretch(self.audio, self.start, self.end)

    def heard(self) -> Audio | Finding:
        """Its sound, or the finding why its recording cannot be read."""
        try:
            return self.load()
        except (BadAudio, TooLong, BadOption) as error:
            kind: Kind = "undecodable audio" if os.path.isfile(self.audio) else "missing audio"
            return Finding(self.line, kind, str(error))


Unread: TypeAlias = Callable[[Path, Finding], None]
"""Told of a recording that cannot be read when its turn comes, and of its manifest."""


def refuse_unread(manifest: Path, why: Finding) -> None:
    """Lets no recording be left out: raises BadData, which names it."""
    raise BadData(f"{manifest}:{why.line}: {why.reason}.")


def read_manifest(
    path: Path, texts: bool = True, normal: Normaliser = normalise
) -> tuple[list[Utterance], list[Finding]]:
    """The utterances of a manifest, and a finding for each malformed line.

    Args:
        texts: whether a line must have a `text`; if not, a missing text is empty.
        normal: gives the texts their normal form, that of a language.

    Raises:
        BadData: the manifest itself cannot be read.
    """
    utterances: list[Utterance] = []
    findings: list[Finding] = []
    for number, line in read_lines(path):
        result, _ = read_line(line, number, path.parent, texts, normal)
        if isinstance(result, Finding):
            findings.append(result)
        else:
            utterances.append(result)
    return utterances, findings


def read_recordings(path: Path) -> list[Utterance]:
    """The utterances of a manifest whose lines need no text.

    Raises:
        BadData: the manifest cannot be read, has a malformed line, or has no lines.
    """
    utterances, findings = read_manifest(path, texts=False)
    if findings:
        raise BadData(f"{path}:{findings[0].line}: {findings[0].reason}; mend the line.")
    if not utterances:
        raise BadData(f"{path} has no lines; write one for each recording.")
    return utterances


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a manifest that are not empty, with their numbers; BadData as above."""
    if os.path.isdir(path):  # pathlib fails where a name is too long
        raise BadData(f"{path} is a folder: name a manifest, such as {path / 'train.jsonl'}.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise BadData(
            f"{path} is a pipe or a device, and a manifest is read several times: save it to a "
            "file first."
        )
    try:
        # What is not UTF-8 comes as surrogates, so that its line can be named.
        with path.open(encoding="utf-8", errors="surrogateescape") as file:
            for number, line in enumerate(file, start=1):
                line.encode("utf-8")
                # Some programs write it at the start of files, and files are concatenated.
                line = line.removeprefix(_BYTE_ORDER_MARK)
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise BadData(
            f"{path}: there is no such manifest; write one JSON line per clip "
            '({"audio": "clip.wav", "text": "what is said"}).'
        ) from None
    except UnicodeEncodeError as error:
        with path.open("rb") as raw:
            wide = raw.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE)
        if not wide and read_header(path).seconds:
            raise BadData(
                f"{path} is a recording: name a manifest, with one JSON line per clip "
                '({"audio": "clip.wav", "text": "what is said"}).'
            ) from error
        raise BadData(
            f"{path}:{number}: the line cannot be read, as it is not UTF-8: convert the manifest, "
            f"such as by `iconv -f {'utf-16' if wide else 'latin1'} -t utf-8`."
        ) from error
    except OSError as error:
        raise BadData(f"{path}: the manifest cannot be read ({error}).") from error


def read_line(
    line: str, number: int, folder: Path, texts: bool = True, normal: Normaliser = normalise
) -> tuple[Utterance | Finding, dict[str, Any]]:
    """The utterance of a manifest line, or the finding why there is none; and all its keys."""
    try:
        values = json.loads(line)
        if "\\u" in line and not is_text(json.dumps(values, ensure_ascii=False)):
            raise ValueError("it has half a character, as a name that is no UTF-8: rename the file")
        return _utterance(values, number, folder, texts, normal), values
    except json.JSONDecodeError as error:
        reason = f"not JSON ({error.msg} at column {error.colno})"
        return Finding(number, "malformed", reason), {}
    except ValueError as error:
        return Finding(number, "malformed", str(error)), {}


def is_apart(speaker: str, share: float) -> bool:
    """Whether a speaker is one of a share who are set apart: a hash of the name alone decides."""
    digest = hashlib.sha256(speaker.encode("utf-8")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _utterance(values: Any, line: int, folder: Path, texts: bool, normal: Normaliser) -> Utterance:
    if not isinstance(values, dict):
        raise ValueError("not an object with `audio` and `text`")
    audio, text = values.get("audio"), values.get("text", None if texts else "")
    if audio is None or audio == "":
        raise ValueError("no `audio`, the path of the recording")
    if text is None:
        raise ValueError("no `text`")
    for key, value in (("audio", audio), ("text", text)):
        if not isinstance(value, str):
            raise ValueError(f"`{key}` {value!r} is not a string: put it in quotation marks")
    duration = _seconds(values, "duration")
    start, end = _stretch(values, duration)
    corpus, phones = _name(values, "corpus"), values.get("phones")
    if phones is not None and not isinstance(phones, str):
        raise ValueError(f"`phones` {phones!r} is not a string: put them in quotation marks")
    part = "" if start is None else f" {start:g}-{'' if end is None else f'{end:g}'}"
    agreement = values.get("agreement", 1.0)
    if not isinstance(agreement, int | float) or not 0 <= agreement <= 1:
        raise ValueError(f"`agreement` {agreement!r} is not a number from 0 to 1")
    return Utterance(
        id=str(values.get("id", f"{audio}{part}")),
        audio=folder / audio,
        text=normal(text),
        line=line,
        duration=duration if start is None or end is None else end - start,
        speaker=_name(values, "speaker"),
        corpus=corpus,
        agreement=float(agreement),
        phones=phones,
        start=start or 0.0,
        end=end,
    )


def _stretch(
    values: Mapping[str, Any], duration: float | None
) -> tuple[float | None, float | None]:
    """Start and end of a line's stretch; no start for a whole recording."""
    start, offset, end = (_seconds(values, key) for key in ("start", "offset", "end"))
    if start is not None and offset is not None and start != offset:
        raise ValueError("it has both `start` and `offset`; give one of them")
    start = offset if start is None else start
    if end is not None:
        start = start or 0.0
    elif start is not None and duration is not None:
        end = start + duration
    if start is not None and end is not None and end <= start:
        raise ValueError(f"its end {end:g} s is not after its start {start:g} s")
    return start, end


def _name(values: Mapping[str, Any], key: str) -> str | None:
    """A name, which may be a number; None where it is empty, as tables leave it."""
    value = values.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"`{key}` {value!r} is no name: give a string or a whole number")
    return str(value)


def _seconds(values: Mapping[str, Any], key: str) -> float | None:
    value = values.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise ValueError(f"`{key}` {value!r} is not a number of seconds")
    return float(value)
