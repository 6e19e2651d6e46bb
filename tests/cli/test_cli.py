"""The command line as a user meets it: output, messages, exit codes."""

import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from commands import ASR, asr
from typer.main import get_command

from asr.cli.app import app


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, clips: list[Path]) -> Path:
    """Two clips, one of them deeper, and one file that is no audio."""
    folder = tmp_path_factory.mktemp("in")
    (folder / "deep").mkdir()
    (folder / clips[0].name).write_bytes(clips[0].read_bytes())
    (folder / "deep" / clips[1].name).write_bytes(clips[1].read_bytes())
    (folder / "bad.wav").write_text("not audio at all", encoding="utf-8")
    return folder


@pytest.mark.slow
def test_one_file_prints_its_words_alone(clips: list[Path], tiny_bundle: Path) -> None:
    """In a process of its own, as a user has it."""
    command = [*ASR, "transcribe", clips[0], "--bundle", tiny_bundle, "--decoder", "greedy"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.count("\n") == 1


def test_json_is_one_object_with_the_promised_keys(clips: list[Path], tiny_bundle: Path) -> None:
    done = asr("transcribe", clips[0], "--bundle", tiny_bundle, "--format", "json")
    transcript = json.loads(done.stdout)
    keys = ["text", "words", "confidence", "duration", "no_speech", "segments"]
    assert list(transcript) == keys
    assert list(transcript["words"][0]) == ["text", "start", "end", "confidence"]


def test_a_bad_file_is_named_and_stops_nothing(folder: Path, tiny_bundle: Path) -> None:
    done = asr("transcribe", folder, "--bundle", tiny_bundle)
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    assert all("\t" in line for line in done.stdout.splitlines())
    assert "bad.wav" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_output_has_a_file_for_each_input_by_its_path(
    folder: Path, tiny_bundle: Path, tmp_path: Path, clips: list[Path]
) -> None:
    done = asr(
        "transcribe", folder, "--bundle", tiny_bundle, "--format", "json", "--output", tmp_path
    )
    assert done.returncode == 1 and done.stdout == ""
    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.json")}
    assert written == {f"{clips[0].stem}.json", f"deep/{clips[1].stem}.json"}
    alone = asr("transcribe", clips[0], "--bundle", tiny_bundle, "--format", "json").stdout
    assert (tmp_path / f"{clips[0].stem}.json").read_text(encoding="utf-8") == alone


@pytest.mark.slow
def test_nothing_done_is_exit_code_2(folder: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (folder / "bad.wav", empty, tmp_path / "missing.wav"):
        done = asr("transcribe", path, "--bundle", tiny_bundle)
        assert done.returncode == 2 and done.stdout == ""
        assert path.name in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--format", "docx"], "docx"),
        (["--decoder", "psychic"], "psychic"),
        (["--device", "abacus"], "abacus"),
        (["--bundle", "nowhere"], "nowhere"),
        (["--formt", "json"], "--formt"),
    ],
)
def test_an_option_that_cannot_be_is_one_sentence(
    arguments: list[str], named: str, clips: list[Path]
) -> None:
    done = asr("transcribe", clips[0], *arguments)
    assert done.returncode == 2 and done.stdout == ""
    assert named in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["fit", "validate", "test"])
def test_training_without_arguments_asks_for_a_config(command: str) -> None:
    done = asr(command)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and "--config FILE" in done.stderr


@pytest.mark.slow
def test_other_files_are_counted_and_another_track_is_read(
    tiny_bundle: Path, tmp_path: Path
) -> None:
    film = Path(__file__).parents[1] / "data" / "files" / "second_track_default.mp4"
    for name in ("film.mp4", "notes.txt", "in/cover.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(film.read_bytes())
    texts = []
    for track in ((), ("--track", "1")):
        done = asr("transcribe", tmp_path, "--bundle", tiny_bundle, *track)
        assert done.returncode == 0
        assert done.stderr.splitlines()[-1] == "asr: 2 other files passed over (.jpg 1, .txt 1)"
        texts.append(done.stdout)
    assert texts[0] != texts[1]


def test_an_empty_path_is_not_the_folder_you_are_in(clips: list[Path]) -> None:
    done = asr("transcribe", "", clips[0])
    assert done.returncode == 2 and done.stdout == ""
    assert "a path is empty" in done.stderr


@pytest.mark.slow
def test_words_on_their_way_to_a_file_get_there_from_a_terminal(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    """stderr is a terminal, where a progress bar is drawn; stdout is a file."""
    out = tmp_path / "words.txt"
    terminal, ours = pty.openpty()
    with out.open("wb") as file:
        command = [*ASR, "transcribe", str(clips[0]), "--bundle", str(tiny_bundle)]
        subprocess.run(command, stdout=file, stderr=ours, check=True, timeout=120)
    os.close(ours)
    os.close(terminal)
    assert out.read_text(encoding="utf-8").strip()


@pytest.mark.slow
def test_debug_shows_the_traceback(clips: list[Path]) -> None:
    command = [*ASR, "--debug", "transcribe", clips[0], "--bundle", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and "Traceback" in done.stderr


def test_evaluate_states_rates_and_aligned_errors(tiny_bundle: Path, clips: list[Path]) -> None:
    manifest = clips[0].parent / "transcripts.jsonl"
    done = asr("evaluate", manifest, "--bundle", tiny_bundle, "--worst", 2)
    assert done.returncode == 0, done.stderr
    for name in ("WER", "CER", "substitutions", "deletions", "insertions", "speed"):
        assert f"\n{name}" in done.stdout
    assert done.stdout.count("said: ") == 2


@pytest.mark.slow
def test_evaluate_records_its_figure_in_the_card(
    tiny_checkpoint: Path, tmp_path: Path, clips: list[Path]
) -> None:
    bundle = tmp_path / "bundle"
    done = asr("export", tiny_checkpoint, bundle)
    assert done.returncode == 0
    assert re.search(
        r"\nint8: 0\.0\d+ nats a frame from fp32, as where it was exported", done.stdout
    )
    manifest = clips[0].parent / "transcripts.jsonl"
    done = asr("evaluate", manifest, "--bundle", bundle, "--record")
    assert done.returncode == 0 and f"recorded in {bundle}" in done.stderr
    assert "| transcripts.jsonl | greedy | int8 | 6 |" in (bundle / "README.md").read_text("utf-8")


def test_evaluate_names_the_lines_that_cannot_be_scored(tmp_path: Path, tiny_bundle: Path) -> None:
    manifest = tmp_path / "m.jsonl"
    manifest.write_text('{"audio": "gone.wav", "text": "x"}\n{"audio": "a"}\n', encoding="utf-8")
    done = asr("evaluate", manifest, "--bundle", tiny_bundle)
    assert done.returncode == 2
    assert f"{manifest}:1: error: there is no file" in done.stderr
    assert f"{manifest}:2: error: no `text`" in done.stderr


def commands(command: Any, name: str = "asr") -> Iterator[tuple[str, Any]]:
    """Every command of the command line, by its words."""
    inner = getattr(command, "commands", {})
    yield from [] if inner else [(name, command)]
    for word, one in inner.items():
        yield from commands(one, f"{name} {word}")


def test_o_is_short_for_every_output() -> None:
    found = [
        (name, option.opts)
        for name, command in commands(get_command(app))
        for option in command.params
        if {"--out", "--output"} & set(option.opts)
    ]
    assert len(found) > 8
    assert [name for name, opts in found if "-o" not in opts] == []


def test_help_needs_no_heavy_import() -> None:
    code = (
        "import sys; from asr.cli.app import app; import typer.main;"
        "typer.main.get_command(app);"
        "print({'torch', 'lightning', 'onnxruntime', 'fastapi', 'av'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
