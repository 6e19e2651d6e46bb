"""The folder job: what it does again and what not, its lists, locks and shares."""

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from commands import ASR, asr
from folders import contents, files, journalled, many
from full_disk import full_disk

from asr.batch import Shard, workplace
from asr.errors import BadOption


@pytest.fixture
def folder(tmp_path: Path, clips: list[Path]) -> Path:
    """Two recordings, one of them silent, and one that is none."""
    (tmp_path / "in" / "deep").mkdir(parents=True)
    shutil.copy(clips[0], tmp_path / "in" / "deep" / "talk.flac")
    shutil.copy(clips[1], tmp_path / "in" / "talk.opus")
    (tmp_path / "in" / "bad.wav").write_text("no sound at all")
    return tmp_path / "in"


def transcribe(folder: Path, bundle: Path, *more: object) -> subprocess.CompletedProcess[str]:
    output = folder.parent / "out"
    return asr("transcribe", folder, "--bundle", bundle, "--output", output, *more)


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("most", "said"),
    [
        (4_000, ": make room or mend the disk.\n"),
        (60_000, ": 0 of 1,500 done; make room or mend the "),
    ],
)
def test_a_disk_too_full_for_the_journal_is_a_sentence_with_advice(
    most: int, said: str, tmp_path: Path, tiny_bundle: Path
) -> None:
    (tmp_path / "in").mkdir()
    for number in range(1500):
        (tmp_path / "in" / f"{number}.wav").write_bytes(b"no sound")
    command = ["transcribe", tmp_path / "in", "--bundle", tiny_bundle, "-o", tmp_path / "out"]
    with full_disk(most):
        done = subprocess.run([*ASR, *command], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert ".earshot/journal.sqlite cannot be written (" in done.stderr
    assert said in done.stderr and done.stderr.endswith(".\n")


def test_results_and_errors_are_listed(folder: Path, tiny_bundle: Path) -> None:
    output = folder.parent / "out"
    done = transcribe(folder, tiny_bundle, "--format", "json,srt", "--jsonl", output / "all.jsonl")
    assert done.returncode == 1
    deep, talk = lines(output / "results.jsonl")
    assert deep["file"] == str(folder / "deep" / "talk.flac")
    assert deep["outputs"] == ["deep/talk.json", "deep/talk.srt"]
    whole = json.loads((output / "talk.json").read_text())
    assert [talk[key] for key in ("text", "confidence", "duration", "no_speech")] == [
        whole[key] for key in ("text", "confidence", "duration", "no_speech")
    ]
    assert lines(output / "all.jsonl")[1] == {"file": str(folder / "talk.opus"), **whole}
    (error,) = lines(output / "errors.jsonl")
    assert error["file"] == str(folder / "bad.wav") and "is not a recording" in str(error["error"])
    said = done.stderr.splitlines()
    assert said[0].startswith(f"asr: {folder / 'bad.wav'} is not a recording")
    assert said[1].startswith(f"asr: 2 of 3 written to {output}: 9 s of audio in ")
    assert said[2:] == ["asr: 1 failed: is not a recording, by its content (1)"]


@pytest.mark.slow
def test_what_is_done_is_not_done_again(folder: Path, tiny_bundle: Path) -> None:
    output = folder.parent / "out"
    transcribe(folder, tiny_bundle)
    before = {path: path.stat() for path in output.rglob("*.txt")}
    again = transcribe(folder, tiny_bundle)
    assert again.returncode == 1 and "asr: 2 of them by an earlier run\n" in again.stderr
    assert {path: path.stat() for path in before} == before
    assert len(lines(output / "results.jsonl")) == 2 and len(lines(output / "errors.jsonl")) == 1


@pytest.mark.slow
def test_what_has_changed_is_done_again(
    folder: Path, tiny_bundle: Path, int8_bundle: Path, clips: list[Path]
) -> None:
    output = folder.parent / "out"

    def done_anew(*more: object, bundle: Path = tiny_bundle) -> list[str]:
        """The names of transcripts that a job has written."""
        for path in files(output):
            os.utime(path, (0, 0))
        transcribe(folder, bundle, *more)
        fresh = [path for path in files(output) if path.stat().st_mtime > 0]
        return [str(path.relative_to(output)) for path in fresh if path.suffix != ".jsonl"]

    both = ["deep/talk.txt", "talk.txt"]
    assert done_anew() == both
    assert done_anew() == []
    shutil.copy(clips[2], folder / "talk.opus")
    assert done_anew() == ["talk.txt"]
    os.utime(folder / "deep" / "talk.flac", (1, 1))
    assert done_anew() == ["deep/talk.txt"]
    (output / "talk.txt").unlink()
    assert done_anew() == ["talk.txt"]
    assert done_anew("--decoder", "beam", "--beam-size", 2) == both
    assert done_anew("--decoder", "beam", "--beam-size", 2) == []
    assert done_anew(bundle=int8_bundle) == both
    assert done_anew("--timestamps", bundle=int8_bundle) == both
    assert done_anew("--timestamps", "--format", "txt,json", bundle=int8_bundle) == [
        "deep/talk.json",
        "deep/talk.txt",
        "talk.json",
        "talk.txt",
    ]
    assert done_anew("--timestamps", "--overwrite", bundle=int8_bundle) == both
    (folder / "talk.wav").write_bytes((folder / "talk.opus").read_bytes())
    assert done_anew("--timestamps", bundle=int8_bundle) == ["talk.opus.txt", "talk.wav.txt"]
    assert not (output / "talk.txt").exists() and (output / "deep" / "talk.txt").exists()


def test_a_dry_run_names_what_is_left(folder: Path, tiny_bundle: Path) -> None:
    (folder / "bad.wav").unlink()
    transcribe(folder, tiny_bundle, "--exclude", "deep")
    left = transcribe(folder, tiny_bundle, "--dry-run")
    assert left.returncode == 0 and left.stdout == f"{folder / 'deep' / 'talk.flac'}\n"
    assert "asr: 1 recording, 5 s by their headers; nothing was written\n" in left.stderr
    assert "asr: 1 recording done already\n" in left.stderr
    assert len(journalled(folder.parent / "out")) == 1


def test_the_output_may_lie_among_the_recordings(folder: Path, tiny_bundle: Path) -> None:
    (folder / "bad.wav").unlink()
    (folder / "notes.txt").write_text("mine")
    arguments = ("transcribe", folder, "--bundle", tiny_bundle, "--output", folder)
    for _ in range(2):
        done = asr(*arguments, "--format", "all", "--jsonl", folder / "all.jsonl")
        assert done.returncode == 0 and "asr: 1 other file passed over (.txt 1)\n" in done.stderr
    assert (folder / "deep" / "talk.srt").exists() and (folder / "talk.opus").exists()


def test_what_no_job_wrote_is_not_replaced(folder: Path, tiny_bundle: Path) -> None:
    output = folder.parent / "out"
    mine = [output / "deep" / "talk.txt", output / "talk.txt", output / "results.jsonl"]
    mine[0].parent.mkdir(parents=True)
    for path in mine:
        path.write_text("by hand")
    for more in ((), ("--dry-run",)):
        done = transcribe(folder, tiny_bundle, *more)
        said = "is there already, and no job wrote it, nor 2 more files: choose another"
        assert done.returncode == 2 and said in done.stderr and not done.stdout, done.stderr
    mine.pop().unlink()
    full = folder.parent / "full.jsonl"
    full.write_text("by hand")
    as_json = ("--format", "json", "--jsonl", full)
    done = transcribe(folder, tiny_bundle, *as_json)
    assert done.returncode == 2 and f"{full} is there already, and no job" in done.stderr
    full.unlink()
    for _ in range(2):  # the second time all of it is the job's own
        assert transcribe(folder, tiny_bundle, *as_json).returncode == 1
    assert transcribe(folder, tiny_bundle).returncode == 2
    assert {path.read_text() for path in mine} == {"by hand"}
    assert transcribe(folder, tiny_bundle, "--overwrite").returncode == 1
    assert "by hand" not in {path.read_text() for path in mine}
    os.utime(folder / "talk.opus", (1, 1))
    done = transcribe(folder, tiny_bundle)
    assert done.returncode == 1 and "2 of 3 written" in done.stderr
    assert f"asr: {output / 'talk.json'} is of a recording that has changed since" in done.stderr


def test_what_an_older_earshot_wrote_is_the_jobs_own(folder: Path, tiny_bundle: Path) -> None:
    assert transcribe(folder, tiny_bundle).returncode == 1
    journal = folder.parent / "out" / ".earshot" / "journal.sqlite"
    with closing(sqlite3.connect(journal)) as base:
        base.execute("DROP TABLE written")
        base.execute("UPDATE files SET made = 'otherwise'")
        base.commit()
    for more in (("--dry-run",), ()):
        done = transcribe(folder, tiny_bundle, *more)
        assert ", and no job" not in done.stderr and done.returncode < 2, done.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="its file systems take no such names")
def test_names_that_are_long_or_no_text_fail_alone_at_most(
    folder: Path, tiny_bundle: Path, clips: list[Path]
) -> None:
    output = folder.parent / "out"
    (folder / "bad.wav").unlink()
    raw, long = os.fsdecode(b"caf\xe9.flac"), f"{'n' * 250}.flac"
    for name in (raw, long):
        shutil.copy(clips[0], folder / name)
    done = transcribe(folder, tiny_bundle, "--format", "ctm", "--jsonl", output / "full.jsonl")
    assert done.returncode == 0 and (output / f"{'n' * 250}.ctm").is_file(), done.stderr
    named = "caf\\xe9.flac"
    for name in ("results.jsonl", "full.jsonl"):
        assert str(folder / named) in {line["file"] for line in lines(output / name)}
        (output / name).read_bytes().decode("utf-8")
        assert "\\ud" not in (output / name).read_text(encoding="utf-8")
    done = transcribe(folder, tiny_bundle, "--format", "textgrid")
    assert done.returncode == 1, done.stderr
    assert "asr: 1 failed: a transcript cannot be written (File name too long) (1)" in done.stderr
    printed = asr("transcribe", folder / raw, "--bundle", tiny_bundle, "--format", "ctm")
    assert printed.returncode == 0, printed.stderr


def test_two_jobs_refuse_each_other(folder: Path, tiny_bundle: Path) -> None:
    output = folder.parent / "out"
    with workplace(output, Shard()):
        done = transcribe(folder, tiny_bundle)
        assert done.returncode == 2
        assert done.stderr == (
            f"asr: another job writes to {output}: wait until it has ended, or choose another "
            "folder.\n"
        )
    with workplace(output, Shard(0, 2)), workplace(output, Shard(1, 2)):
        for other in (Shard(), Shard(1, 2), Shard(0, 3)):
            with pytest.raises(BadOption, match="another job writes to"), workplace(output, other):
                pass
    with workplace(output, Shard()):
        pass


def test_an_output_that_is_a_file_is_refused(folder: Path, tiny_bundle: Path) -> None:
    (folder.parent / "out").write_text("mine")
    done = transcribe(folder, tiny_bundle)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "cannot be written (Not a directory): choose another folder." in done.stderr
    assert (folder.parent / "out").read_text() == "mine"


def test_a_damaged_journal_is_one_sentence(folder: Path, tiny_bundle: Path) -> None:
    journal = folder.parent / "out" / ".earshot" / "journal.sqlite"
    journal.parent.mkdir(parents=True)
    journal.write_text("no database " * 100)
    done = transcribe(folder, tiny_bundle)
    assert done.returncode == 2 and done.stderr == (
        f"asr: {journal} is no journal of a job (file is not a database): delete it, and add "
        "--overwrite to do all anew.\n"
    )


def test_a_transcript_that_cannot_be_written_fails_alone(folder: Path, tiny_bundle: Path) -> None:
    (folder.parent / "out" / "talk.txt" / "full").mkdir(parents=True)
    done = transcribe(folder, tiny_bundle)
    assert done.returncode == 1 and "out/talk.txt cannot be written (Is a directory)" in done.stderr
    assert (folder.parent / "out" / "deep" / "talk.txt").exists()


def test_fail_fast_stops_at_the_first_failure(
    folder: Path, tiny_bundle: Path, clips: list[Path]
) -> None:
    many(folder, clips, 150)
    done = transcribe(folder, tiny_bundle, "--fail-fast")
    assert done.returncode == 1 and "done; the same command goes on\n" in done.stderr
    assert len(journalled(folder.parent / "out")) < 152


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out/talk.txt", "is a file of the job's own: give it another name"),
        ("out/results.jsonl", "is a file of the job's own"),
        ("in/deep", "is a folder: name a file"),
        ("in/talk.opus/list.jsonl", "list.jsonl cannot be written ("),
    ],
)
def test_the_file_of_all_transcripts_is_tried_before_any_work(
    folder: Path, tiny_bundle: Path, name: str, said: str
) -> None:
    done = transcribe(folder, tiny_bundle, "--jsonl", folder.parent / name)
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert not list((folder.parent / "out").rglob("*.txt"))


def test_an_input_is_never_replaced_by_a_list(folder: Path, tiny_bundle: Path) -> None:
    done = transcribe(folder, tiny_bundle, "--jsonl", folder / "talk.opus")
    assert done.returncode == 2 and "is an input and would be replaced" in done.stderr


@pytest.mark.slow
def test_the_transcript_of_another_recording_is_not_replaced(
    folder: Path, tiny_bundle: Path
) -> None:
    output = folder.parent / "out"
    transcribe(folder, tiny_bundle)
    other = shutil.copytree(folder, folder.parent / "other")
    arguments = ("transcribe", other, "--bundle", tiny_bundle, "--output", output)
    done = asr(*arguments)
    assert done.returncode == 2 and done.stderr == (
        f"asr: {output} has the transcript of {folder / 'deep' / 'talk.flac'} where that of "
        f"{other / 'deep' / 'talk.flac'} would be: choose another folder, or add --overwrite.\n"
    )
    folder.rename(folder.parent / "gone")  # then it is the same recordings at another place
    assert asr(*arguments).returncode == 1
    found = lines(output / "results.jsonl")
    assert [line["file"] for line in found] == [
        str(other / "deep" / "talk.flac"),
        str(other / "talk.opus"),
    ]


@pytest.mark.parametrize("option", [("--jsonl", "x"), ("--overwrite",), ("--shard", "0/2")])
def test_what_needs_an_output_says_so(folder: Path, option: tuple[str, ...]) -> None:
    done = asr("transcribe", folder, *option)
    assert done.returncode == 2
    assert done.stderr == (
        f"asr: {option[0]} has no effect on what is printed: add a folder with --output.\n"
    )


@pytest.mark.slow
def test_shares_make_the_whole_and_the_whole_takes_them_over(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    made = many(tmp_path / "in", clips, 40)
    arguments = ("transcribe", tmp_path / "in", "--bundle", tiny_bundle, "--format", "json")
    shared, whole = tmp_path / "shared", tmp_path / "whole"
    for index in range(3):
        done = asr(*arguments, "--output", shared, "--shard", f"{index}/3")
        assert done.returncode == 0
    parts = [lines(shared / f"results.{index}-of-3.jsonl") for index in range(3)]
    assert sorted(str(line["file"]) for part in parts for line in part) == sorted(map(str, made))
    assert all(parts)
    done = asr(*arguments, "--output", shared)  # nothing is left to do
    assert done.returncode == 0 and "asr: 40 of them by an earlier run\n" in done.stderr
    asr(*arguments, "--output", whole)
    assert contents(shared) == contents(whole)
    again = asr(*arguments, "--output", shared, "--shard", "0/2")
    assert "of them by an earlier run\n" in again.stderr and "of audio" not in again.stderr


@pytest.mark.parametrize(
    ("text", "environ", "shard"),
    [
        ("0/1", {}, Shard()),
        ("3/8", {}, Shard(3, 8)),
        ("auto/8", {"JOB_COMPLETION_INDEX": "7"}, Shard(7, 8)),
        ("auto", dict(zip(("MIN", "MAX", "ID"), ("1", "8", "3"), strict=True)), Shard(2, 8)),
    ],
)
def test_a_share_is_named_or_found(text: str, environ: dict[str, str], shard: Shard) -> None:
    slurm = {f"SLURM_ARRAY_TASK_{name}": value for name, value in environ.items() if len(name) < 4}
    assert Shard.parse(text, slurm or environ) == shard


@pytest.mark.parametrize(
    ("text", "environ", "said"),
    [
        ("8/8", {}, "shard 8/8 does not exist: choose 0/8 to 7/8"),
        ("0/0", {}, "shard 0/0 does not exist"),
        ("-1/8", {}, "is not understood: write 0/8 to 7/8, or auto"),
        ("three", {}, "is not understood"),
        ("auto/many", {}, "is not understood: write auto/8"),
        ("auto", {}, "needs the variables of a SLURM array or of an Indexed Job"),
        ("auto", {"JOB_COMPLETION_INDEX": "0"}, "write auto/8 for `completions: 8`"),
    ],
)
def test_a_share_that_cannot_be_is_refused(text: str, environ: dict[str, str], said: str) -> None:
    with pytest.raises(BadOption) as refused:
        Shard.parse(text, environ)
    assert said in str(refused.value)


def test_the_status_names_what_is_missing_and_the_line_that_does_it(
    folder: Path, tiny_bundle: Path
) -> None:
    output = folder.parent / "out"
    arguments = ("transcribe", "in", "--bundle", tiny_bundle, "--output", "out")
    asr(*arguments, cwd=folder.parent)
    said = asr("transcribe", "--status", output)
    assert said.returncode == 1
    path, _, reason = said.stdout.partition("\t")
    assert path == str(folder / "bad.wav") and "is not a recording" in reason
    counts, line = said.stderr.splitlines()
    assert counts == "asr: 2 done, 1 failed, 0 not yet done"
    assert line == f"cd {folder.parent} && asr {shlex.join(map(str, arguments))}"
    (folder / "bad.wav").unlink()
    asr(*arguments, cwd=folder.parent)
    said = asr("transcribe", "--status", "out", cwd=folder.parent)
    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr == "asr: 2 done, 0 failed, 0 not yet done\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "named"), [(("in",), "PATH"), (("--plain",), "--plain"), (("-o", "x"), "--output")]
)
def test_the_status_takes_nothing_else(tmp_path: Path, more: tuple[str, ...], named: str) -> None:
    done = asr("transcribe", "--status", tmp_path, *more)
    assert done.returncode == 2 and f"{named} has no effect beside --status" in done.stderr


def test_the_status_knows_parts_that_have_not_begun(folder: Path, tiny_bundle: Path) -> None:
    (folder / "bad.wav").unlink()
    transcribe(folder, tiny_bundle, "--shard", "1/3")
    said = asr("transcribe", "--status", folder.parent / "out")
    assert said.returncode == 1
    first, second, third, *commands = said.stderr.splitlines()
    assert (first, third) == ("asr: part 0/3: not begun", "asr: part 2/3: not begun")
    assert second.startswith("asr: part 1/3: ") and second.endswith("0 failed, 0 not yet done")
    assert [line.rpartition(" ")[2] for line in commands] == ["0/3", "2/3"]
    for line in commands:  # they do what they say
        subprocess.run([*ASR, *shlex.split(line)[1:]], check=True, capture_output=True)
    assert asr("transcribe", "--status", folder.parent / "out").returncode == 0


def test_a_folder_without_a_job_has_no_status(tmp_path: Path) -> None:
    said = asr("transcribe", "--status", tmp_path)
    assert said.returncode == 2
    assert said.stderr == f"asr: no job has written to {tmp_path}: name the folder of --output.\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--exclude", "*"), "--exclude leaves nothing of 3 recordings: exclude less"),
        (("gone",), "gone does not exist: check the path"),
    ],
)
def test_every_part_says_why_there_is_nothing_to_do(
    folder: Path, arguments: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    given = [folder, *arguments] if arguments[0] == "--exclude" else arguments
    for index in range(3):
        done = asr("transcribe", *given, "-o", tmp_path / "out", "--shard", f"{index}/3")
        assert done.returncode == 2 and f"asr: {said}" in done.stderr, done.stderr
    assert not (tmp_path / "out").exists()


def test_a_part_without_recordings_says_so(folder: Path, tiny_bundle: Path) -> None:
    (folder / "bad.wav").unlink()
    said = [transcribe(folder, tiny_bundle, "--shard", f"{index}/16") for index in range(16)]
    nothing = [done for done in said if "so there was nothing to do\n" in done.stderr]
    assert len(nothing) >= 14 and not any(done.returncode for done in said)
    assert nothing[0].stderr.startswith("asr: no recording is in part ")
