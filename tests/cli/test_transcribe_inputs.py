"""What `asr transcribe` is given: lists, patterns, formats, and what is refused before any work."""

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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no recordings are named"),
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
