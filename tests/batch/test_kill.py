"""Folder jobs that are killed, stopped, or run out of disk, and go on at another time."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import ASR, asr
from folders import contents, files, harmful, journalled, many

from asr.batch import Input, Journal, OutputLost

pytestmark = pytest.mark.slow


def command(folder: Path, bundle: Path, output: Path) -> list[str]:
    made = ["--format", "json,srt", "--jsonl", str(output / "all.jsonl"), "--output", str(output)]
    return ["transcribe", str(folder), "--bundle", str(bundle), *made]


def started(arguments: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen([*ASR, *arguments], stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], process: "subprocess.Popen[str]") -> None:
    """Until it holds, or the process has ended."""
    while not condition() and process.poll() is None:
        time.sleep(0.01)


def written(output: Path) -> int:
    return sum(path.suffix == ".json" for path in files(output))


def in_journal(output: Path) -> int:
    return len(journalled(output))


def reached(output: Path, goal: int, count: Callable[[Path], int]) -> Callable[[], bool]:
    """Whether a job has begun and so many transcripts are there."""
    return lambda: (output / ".earshot").exists() and count(output) >= goal


MOMENTS = (
    (written, 0, 0.0), (written, 0, 0.7), (written, 1, 0.0), (written, 1, 0.2),
    (written, 6, 0.05), (written, 9, 0.15), (in_journal, 1, 0.0), (in_journal, 20, 0.1),
)  # fmt: skip
"""When a job is killed: so many seconds after there are so many more transcripts."""


def never_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The last file of a folder, with which a job does not end by itself."""
    path = harmful(folder.parent, "time.sleep(600)", monkeypatch)
    monkeypatch.setenv("PYTHONPATH", str(folder.parent / "hook"), prepend=os.pathsep)
    (folder / "the last").mkdir()
    return path.rename(folder / "the last" / path.name)


def test_a_job_killed_at_eight_moments_ends_as_one_that_was_not(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    """Every file once and only once, and every byte as in an undisturbed run."""
    folder, output = tmp_path / "in", tmp_path / "out"
    made = many(folder, clips, 240)
    (folder / "broken.wav").write_text("no sound")
    arguments = command(folder, tiny_bundle, output)
    kept: dict[Path, tuple[int, int]] = {}
    for count, more, seconds in MOMENTS:
        process = started(arguments)
        wait_for(reached(output, count(output) + more, count), process)
        time.sleep(seconds)
        process.kill()
        process.communicate()
        for line in journalled(output):
            for name in json.loads(line)["outputs"]:
                path = output / name
                about = path.stat()
                assert kept.setdefault(path, (about.st_ino, about.st_mtime_ns)) == (
                    about.st_ino,
                    about.st_mtime_ns,
                ), f"{path} was written again"
    assert kept
    done = asr(*arguments)
    assert (
        done.returncode == 1 and "1 failed: is not a recording, by its content (1)" in done.stderr
    )
    for path, about in kept.items():
        assert (path.stat().st_ino, path.stat().st_mtime_ns) == about, f"{path} was written again"
    undisturbed = tmp_path / "undisturbed"
    asr(*command(folder, tiny_bundle, undisturbed))
    found = contents(output)
    assert found == contents(undisturbed)
    assert len(found) == 2 * len(made) + 3
    for name in ("results.jsonl", "all.jsonl"):
        named = [json.loads(line)["file"] for line in found[name].decode().splitlines()]
        assert sorted(named) == sorted(map(str, made))


def test_every_file_of_an_odd_folder_ends_as_done_or_failed(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Odd names, the same names in folders, circles of links, a file that kills its decoder."""
    folder, output = tmp_path / "in", tmp_path / "out"
    made = many(folder, clips, 700)
    fatal = harmful(tmp_path, "os.kill(os.getpid(), signal.SIGSEGV)", monkeypatch)
    fatal = fatal.rename(folder / fatal.name)
    (folder / "again").symlink_to(folder)
    (folder / "part 0" / "back").symlink_to(folder / "part 1")
    (folder / "part 1" / "back").symlink_to(folder / "part 0")
    (folder / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    done = asr(*command(folder, tiny_bundle, output))
    assert done.returncode == 1
    failed = {
        json.loads(line)["file"] for line in (output / "errors.jsonl").read_text().split("\n")[:-1]
    }
    assert failed == {str(fatal), str(folder / "gone.wav")}
    files_done = [json.loads(line)["file"] for line in journalled(output)]
    assert len(set(files_done)) == len(files_done) == written(output)
    reached_by = {os.path.realpath(file) for file in files_done}
    assert reached_by == {os.path.realpath(path) for path in made}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_job_that_is_told_to_stop_keeps_what_is_done_and_says_so(
    clips: list[Path],
    tiny_bundle: Path,
    tmp_path: Path,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    total = len(many(folder, clips, 60)) + 1
    endless = never_read(folder, monkeypatch)
    arguments = command(folder, tiny_bundle, output)
    process = started(arguments)
    wait_for(lambda: len(journalled(output)) >= 20, process)
    process.send_signal(number)
    _, said = process.communicate()
    kept = len(journalled(output))
    assert process.returncode == 1 and 20 <= kept < total, said
    assert f"asr: {kept:,} of {total:,} done; the same command goes on\n" in said
    assert len((output / "results.jsonl").read_text().splitlines()) == kept
    assert kept <= written(output)  # what the journal does not know is done again
    assert "Traceback" not in said
    endless.unlink()
    done = asr(*arguments)
    assert done.returncode == 0
    assert f"asr: {total - 1} of {total - 1} written to" in done.stderr
    assert f"asr: {kept:,} of them by an earlier run\n" in done.stderr


def can_mount() -> bool:
    tried = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs tmpfs /mnt"]
    return (
        bool(shutil.which("unshare")) and subprocess.run(tried, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not can_mount(), reason="mounts a small disk")
def test_a_full_disk_stops_the_job_and_space_lets_it_go_on(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    total = len(many(folder, clips, 150))
    output.mkdir()
    line = (
        'out=$1; shift; mount -t tmpfs -o size=300k tmpfs "$out"; "$@"; echo $?;'
        'mount -o remount,size=30m "$out"; "$@"; echo $?; ls -A "$out"; cat "$out"/results.jsonl'
    )
    shell = ["unshare", "-rm", "sh", "-c", line, "sh", str(output), *ASR]
    ran = subprocess.run(
        [*shell, *command(folder, tiny_bundle, output)], capture_output=True, text=True
    )
    first, second, *rest = ran.stdout.splitlines()
    failure, *others = ran.stderr.splitlines()
    assert "cannot be written (No space left on device)" in failure or "disk is full" in failure
    (kept,) = re.findall(r"(\d+) of 150 done; make room or mend the disk, and the same", failure)
    assert (first, second) == ("1" if int(kept) else "2", "0"), ran.stderr
    assert f"asr: {total:,} of {total:,} written to {output}" in others[0]
    assert others[1:] == ([f"asr: {kept} of them by an earlier run"] if int(kept) else [])
    assert sum('"file"' in line for line in rest) == total
    assert not any(line.endswith(".partial") for line in rest)


def test_a_journal_that_lost_a_write_does_not_say_that_it_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    journal = Journal(path)

    def done(name: str, line: str) -> None:
        journal.done(Input(tmp_path / name, Path(name), name), (1, 1), "made", "json", line, None)

    done("first", "{}")
    journal.commit()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, limits[1]))
        with pytest.raises(OutputLost, match="cannot be written"):
            for number in range(100):
                done(str(number), "x" * 1_000_000)
            journal.commit()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(OutputLost, match="cannot be written"):
        journal.commit()
    journal.close()
    assert list(Journal(path).lines("done")) == ["{}"]


@pytest.mark.skipif(not can_mount(), reason="mounts a read-only disk")
def test_a_disk_that_cannot_be_written_is_found_before_any_work(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    line = 'out=$1; shift; mount -t tmpfs -o ro tmpfs "$out"; "$@"'
    shell = ["unshare", "-rm", "sh", "-c", line, "sh", str(tmp_path / "out"), *ASR]
    arguments = command(clips[0], tiny_bundle, tmp_path / "out")
    ran = subprocess.run([*shell, *arguments], capture_output=True, text=True)
    assert ran.returncode == 2
    assert ran.stderr == (
        f"asr: {tmp_path / 'out'} cannot be written (Read-only file system): "
        "choose another folder.\n"
    )


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="looks for children in /proc")
def test_decoding_processes_end_with_a_killed_job(
    clips: list[Path], tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(tmp_path / "in", clips, 20)
    never_read(tmp_path / "in", monkeypatch)
    process = started(command(tmp_path / "in", tiny_bundle, tmp_path / "out"))
    wait_for(lambda: written(tmp_path / "out") >= 1, process)
    lists = Path(f"/proc/{process.pid}/task").glob("*/children")
    children = [child for path in lists for child in path.read_text().split()]
    process.kill()
    process.communicate()
    assert children
    while any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.05)
    finished = [path for path in files(tmp_path / "out") if path.suffix != ".partial"]
    assert not [path for path in finished if os.path.getsize(path) == 0]
