"""What `asr transcribe` is given: lists, patterns, formats, and what is refused before any work."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from commands import ASR, asr

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_a_list_on_standard_input_is_read(clips: list[Path], tiny_bundle: Path) -> None:
    command = [*ASR, "transcribe", "-", "--bundle", str(tiny_bundle), "-0"]
    paths = b"\0".join(str(clip).encode() for clip in clips[:2])
    done = subprocess.run(command, input=paths, capture_output=True)
    assert done.returncode == 0, done.stderr
    heard = [line.split("\t")[0] for line in done.stdout.decode().splitlines()]
    assert heard == [str(clip) for clip in clips[:2]]


def test_several_formats_are_written_at_once(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    names = tmp_path / "list.txt"
    names.write_text("\n".join(clip.name for clip in clips))
    done = asr(
        *("transcribe", "--files-from", names, "--limit", 2, "--format", "json,srt,vtt"),
        *("--bundle", tiny_bundle, "--output", tmp_path / "out"),
        cwd=clips[0].parent,
    )
    assert done.returncode == 0, done.stderr
    written = sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_file())
    transcripts = [name for name in written if not name.endswith(".jsonl")]
    assert transcripts == sorted(
        f"{clip.stem}.{ending}" for clip in clips[:2] for ending in ("json", "srt", "vtt")
    )


def test_a_dry_run_lists_and_adds_up_and_writes_nothing(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    done = asr(
        *("transcribe", ROOT / "samples", "--exclude", "*.wav", "--output", tmp_path / "out"),
        *("--dry-run", "--bundle", tiny_bundle),
    )
    assert done.returncode == 0
    chosen = [clip for clip in clips if clip.suffix != ".wav"]
    assert done.stdout.splitlines() == [str(clip) for clip in chosen]
    said = rf"asr: {len(chosen)} recordings, \d+ s by their headers, some \d+ s of work here; "
    assert re.match(f"{said}nothing was written\n", done.stderr)
    assert f"asr: {len(clips) - len(chosen)} recording" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_dry_run_names_what_has_no_length(
    clips: list[Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp3").touch()
    (tmp_path / "b.mp3").write_bytes(b"\xff\xfb\x90\x00" + bytes(30))
    done = asr("transcribe", clips[0], "a.mp3", "b.mp3", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "asr: 3 recordings, 5 s by their headers; nothing was written",
        "asr: 2 of them have headers that tell no length, as of empty, broken or unfinished files: "
        "a.mp3, b.mp3; only headers are read",
    ]
    assert capfd.readouterr() == ("", "")


def test_a_dry_run_names_what_cannot_be_opened(clips: list[Path], tmp_path: Path) -> None:
    (tmp_path / "link.mp3").symlink_to(tmp_path / "nothing.mp3")
    os.mkfifo(tmp_path / "pipe.wav")
    done = asr("transcribe", clips[0], tmp_path, "--dry-run")
    assert done.returncode == 0 and done.stdout == f"{clips[0]}\n"
    assert done.stderr.splitlines() == [
        f"asr: {tmp_path / 'link.mp3'} does not exist: check the path",
        f"asr: {tmp_path / 'pipe.wav'} is not a regular file: save the recording to a file first",
        "asr: 1 recording, 5 s by their headers; nothing was written",
    ]
    assert asr("transcribe", tmp_path, "--dry-run").returncode == 2


@pytest.mark.parametrize("more", [(), ("--output", "out"), ("--output", "out", "--dry-run")])
def test_what_is_all_excluded_is_told(
    tiny_bundle: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    given = ("transcribe", ROOT / "samples", "--exclude", "*", "--bundle", tiny_bundle, *more)
    done = asr(*given, cwd=tmp_path)
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert done.stderr.startswith("asr: --exclude leaves nothing of 6 recordings: exclude less\n")


def test_other_files_are_told_by_their_suffixes(clips: list[Path], tmp_path: Path) -> None:
    for name in ("a.TXT", "b.txt", "c.gsm", "README", ".hidden"):
        (tmp_path / name).touch()
    told = "asr: 4 other files passed over (.txt 2, .gsm 1, without suffix 1)\n"
    done = asr("transcribe", tmp_path)
    assert done.returncode == 2
    assert done.stderr == f"asr: {tmp_path} holds no recordings: give another folder\n{told}"
    for number in range(9):
        (tmp_path / f"x.{'long' * number}{number}").touch()
    told = "(.txt 2, .0 1, .gsm 1, .long1 1, .longlong2 1, without suffix 1, of other kinds 6)\n"
    assert asr("transcribe", clips[0], tmp_path, "--dry-run").stderr.endswith(told)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no recordings are named"),
        (("a.wav", "--duration", "0"), "duration 0.0 is out of range; choose 0.001 or more."),
        (("--files-from", "none.txt"), "the list none.txt cannot be read (No such file"),
        (("empty",), "empty holds no recordings: give another folder"),
        (("*.wav",), "*.wav matches no file: correct it"),
        (("a.wav", "-0"), "-0 has no effect without a list"),
        (("a.wav", "b.wav", "--format", "json,srt"), "several formats are several files"),
        (("a.wav", "--format", ","), "--format is empty"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    tmp_path: Path, tiny_bundle: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "empty").mkdir()
    done = asr("transcribe", *arguments, "--bundle", tiny_bundle, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == ""
    assert said in done.stderr and done.stderr.count("\n") == 1
