"""Printed output: one line stays one line, and a stdout that fails gives one sentence."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from commands import ASR, asr

from asr.cli.output import one_line


def shell(line: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """A line of the shell in which `"$@"` is the command `asr` with these arguments."""
    command = [*ASR, *map(str, arguments)]
    shown = subprocess.run(
        ["sh", "-c", line, "sh", *command], capture_output=True, text=True, timeout=240
    )
    assert "Traceback" not in shown.stderr and "Exception ignored" not in shown.stderr
    return shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [["--version"], ["key", "ann"], pytest.param(["transcribe", "CLIP"], marks=pytest.mark.slow)],
)
@pytest.mark.parametrize(
    ("line", "reason"),
    [('"$@" >&-', "it is closed"), ('"$@" >/dev/full', "No space left on device")],
)
def test_where_nothing_can_be_printed(
    line: str, reason: str, arguments: list[str], tiny_bundle: Path, clips: list[Path]
) -> None:
    given = [str(clips[0]) if one == "CLIP" else one for one in arguments]
    if given[0] == "transcribe":
        given += ["--bundle", str(tiny_bundle), "--device", "cpu"]
    done = shell(line, *given)
    assert done.returncode == 2
    said = f"asr: the results cannot be written to standard output ({reason}); check where they go."
    assert done.stderr.splitlines()[-1] == said


@pytest.mark.slow
def test_files_are_written_without_a_stdout(
    tiny_bundle: Path, clips: list[Path], tmp_path: Path
) -> None:
    options = ["--bundle", tiny_bundle, "--device", "cpu", "--output", tmp_path]
    done = shell('"$@" >&-', "transcribe", clips[0], *options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{clips[0].stem}.txt").read_text("utf-8")


def test_without_any_stream_the_code_alone_tells() -> None:
    assert shell('"$@" >&- 2>&-', "--version").returncode == 2
    assert shell('"$@" 2>&-', "--version").returncode == 0


def test_a_reader_may_leave() -> None:
    assert shell('"$@" | true', "--version").stderr == ""


@pytest.mark.slow
def test_a_line_stays_a_line(tiny_bundle: Path, clips: list[Path], tmp_path: Path) -> None:
    names = ["plain.opus", "two\nlines\r.opus", "caf\u00e9 \U0001f600.opus", "\x1b[31m\u2028.opus"]
    for name in names:
        (tmp_path / name).write_bytes(clips[1].read_bytes())
    (tmp_path / os.fsdecode(b"no\xfftext.opus")).write_bytes(clips[1].read_bytes())
    (tmp_path / "no\nsound.wav").write_text("words")
    options = ["--bundle", tiny_bundle, "--device", "cpu"]

    done = asr("transcribe", tmp_path, *options)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert len(lines) == 5 and all(line.count("\t") == 1 for line in lines)
    assert {line.split("\t")[0].removeprefix(f"{tmp_path}/") for line in lines} == {
        "plain.opus",
        "two\\nlines\\r.opus",
        "caf\u00e9 \U0001f600.opus",
        "\\x1b[31m\\u2028.opus",
        "no\\xfftext.opus",
    }
    assert [line for line in done.stderr.splitlines() if "no\\nsound.wav" in line]

    done = asr("transcribe", tmp_path, *options, "--format", "json")
    found = [json.loads(line)["file"] for line in done.stdout.split("\n")[:-1]]
    assert {name.removeprefix(f"{tmp_path}/") for name in found} == {*names, "no\\xfftext.opus"}


def test_an_error_of_a_command_is_one_line(tmp_path: Path) -> None:
    done = asr("evaluate", tmp_path / "no\nsuch.jsonl")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no\\nsuch.jsonl" in done.stderr


def test_details_of_an_error_are_lines_of_their_own(clips: list[Path], tmp_path: Path) -> None:
    folder = tmp_path / "no\ntexts"
    folder.mkdir()
    for clip in clips[:2]:
        (folder / clip.name).write_bytes(clip.read_bytes())
    done = asr("data", "folder", folder, tmp_path / "out.jsonl")
    assert done.returncode == 2
    first, *details = done.stderr.splitlines()
    assert first.startswith("asr: no line of") and first.endswith("so it is not written.")
    assert len(details) == 2 and all("it has no text beside it" in line for line in details)
    assert all("no\\ntexts" in line for line in details)


def test_texts_of_any_script_are_left_alone() -> None:
    for text in ("a b", "\u00e9\u3042\U0001f600", "zero\u200dwidth", "no\u00a0break"):
        assert one_line(text) == text
