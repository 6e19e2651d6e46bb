import json
import os
from pathlib import Path

import pytest

from asr.corpus import check_lines, explain, read_manifest
from asr.corpus.check import check_files, check_ids, check_spelling
from asr.errors import BadData
from asr.evaluation.evaluate import json_lines
from asr.text import CharacterTokenizer, frames_needed

SAMPLE = Path(__file__).parents[2] / "samples" / "1272-141231-0000.flac"


def manifest(tmp_path: Path, *lines: object) -> Path:
    path = tmp_path / "m.jsonl"
    path.write_text(
        "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines),
        encoding="utf-8",
    )
    return path


def test_lines_are_normalised_and_audio_is_relative_to_the_manifest(tmp_path: Path) -> None:
    path = manifest(tmp_path, {"audio": "a/b.wav", "text": "HELLO, World", "speaker": "s"})
    (utterance,), findings = read_manifest(path)
    assert findings == []
    assert (utterance.text, utterance.audio) == ("hello world", tmp_path / "a/b.wav")
    assert (utterance.id, utterance.line, utterance.duration) == ("a/b.wav", 1, None)


def test_a_speaker_is_a_name_or_a_number_and_empty_is_none(tmp_path: Path) -> None:
    """Numbers are compared with names, as other manifests may write the same speaker."""
    speakers: list[object] = ["ann", 7, 0, "", None, ["ann"], 1.5]
    given = [{"audio": "a.wav", "text": "a", "speaker": one} for one in speakers]
    utterances, findings = read_manifest(manifest(tmp_path, *given))
    assert [one.speaker for one in utterances] == ["ann", "7", "0", None, None]
    assert [finding.line for finding in findings] == [6, 7]
    assert "`speaker` ['ann'] is no name" in findings[0].reason


def test_half_a_character_is_a_finding(tmp_path: Path) -> None:
    path = manifest(
        tmp_path,
        {"audio": "caf\udce9.wav", "text": "fine"},
        {"audio": "\U0001f600.wav", "text": "fine"},
    )
    (utterance,), (finding,) = read_manifest(path)
    assert utterance.line == 2 and finding.line == 1 and "half a character" in finding.reason


def test_a_byte_order_mark_loses_no_line(tmp_path: Path) -> None:
    """Some programs write one before a file, and files are joined."""
    lines = [json.dumps({"audio": f"{name}.wav", "text": "fine"}) for name in "abc"]
    path = tmp_path / "m.jsonl"
    path.write_text(f"\ufeff{lines[0]}\n\n{lines[1]}\n\ufeff{lines[2]}\n", encoding="utf-8")
    utterances, findings = read_manifest(path)
    assert findings == []
    assert [(utterance.id, utterance.line) for utterance in utterances] == [
        ("a.wav", 1),
        ("b.wav", 3),
        ("c.wav", 4),
    ]
    assert json_lines(path)[1]["audio"] == "a.wav"


def test_every_bad_line_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "x.wav").touch()
    path = manifest(
        tmp_path,
        {"audio": "x.wav", "text": "fine"},
        "",
        "{broken",
        '"text"',
        {"text": "no audio"},
        {"audio": "x.wav"},
        {"audio": "x.wav", "text": "…", "id": "7"},
        {"audio": "x.wav", "text": "naïve 3", "id": "8"},
        {"audio": "gone.wav", "text": "fine"},
        {"audio": "x.wav", "text": "fine", "duration": "long"},
        {"audio": "x.wav", "text": "said twice"},
        {"audio": "x.wav", "text": "50% rock & roll", "id": "9"},
        {"audio": "x.wav", "text": 5},
        {"audio": ["x.wav"], "text": "fine"},
        {"audio": ".", "text": "fine"},
        {"audio": f"{'x' * 300}.wav", "text": "fine"},
        {"audio": "pipe.wav", "text": "fine"},
        {"audio": "x.wav", "text": "fine", "id": "10", "corpus": ["x"]},
        {"audio": "x.wav", "text": "fine", "id": "11", "phones": 5},
    )
    os.mkfifo(tmp_path / "pipe.wav")
    utterances, findings = read_manifest(path)
    findings += [*check_lines(utterances), *check_ids(utterances), *check_files(utterances)]
    findings += check_spelling(utterances, CharacterTokenizer())
    lines = explain(path, findings).splitlines()
    expected = {
        3: "not JSON",
        4: "not an object",
        5: "no `audio`",
        6: "no `text`",
        7: "text is empty",
        8: "cannot spell '3', 'ï'",
        9: "no file",
        10: "`duration` 'long'",
        11: "the id 'x.wav' is that of line 1",
        12: "cannot spell '%', '&', '0', '5'",
        13: "`text` 5 is not a string",
        14: "`audio` ['x.wav'] is not a string",
        15: f"{tmp_path} is a folder: name a recording",
        16: "no file",
        17: f"{tmp_path}/pipe.wav is not a regular file: save the recording to a file first",
        18: "`corpus` ['x'] is no name",
        19: "`phones` 5 is not a string",
    }
    assert len(lines) == len(expected)
    for line, (number, reason) in zip(lines, expected.items(), strict=True):
        assert line.startswith(f"{path}:{number}: error: ")
        assert reason in line


def test_a_long_list_of_findings_ends_with_its_number(tmp_path: Path) -> None:
    path = manifest(tmp_path, *["{"] * 30)
    _, findings = read_manifest(path)
    assert explain(path, findings, most=5).splitlines()[-1] == f"{path}: and 25 more lines"


def test_a_missing_manifest_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadData, match="one JSON line per clip"):
        read_manifest(tmp_path / "none.jsonl")


def test_a_manifest_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_bytes(b'{"audio": "x.wav", "text": "fine"}\n{"audio": "x.wav", "text": "caf\xe9"}\n')
    with pytest.raises(BadData, match=r"m\.jsonl:2: the line cannot be read, as it is not UTF-8"):
        read_manifest(path)
    path.write_text('{"audio": "x.wav", "text": "fine"}\n', encoding="utf-16")  # as of PowerShell
    with pytest.raises(BadData, match=r"1: the line .* by `iconv -f utf-16 -t utf-8`"):
        read_manifest(path)


def test_a_recording_in_place_of_a_manifest_is_called_one() -> None:
    with pytest.raises(BadData, match=r"0000\.flac is a recording: name a manifest"):
        read_manifest(SAMPLE)


def test_equal_neighbours_need_a_blank_between_them() -> None:
    encode = CharacterTokenizer().encode
    assert frames_needed(encode("abc")) == 3
    assert frames_needed(encode("aabbb")) == 8
    assert frames_needed([]) == 0


def test_a_manifest_is_no_folder_and_no_pipe(tmp_path: Path) -> None:
    with pytest.raises(BadData, match=f"{tmp_path} is a folder: name a manifest, such as"):
        read_manifest(tmp_path)
    os.mkfifo(tmp_path / "m.jsonl")  # which nobody writes to
    with pytest.raises(BadData, match="is a pipe or a device, and a manifest is read several"):
        read_manifest(tmp_path / "m.jsonl")
