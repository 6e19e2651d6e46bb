"""Inputs of a job: every file, once, in a stable order."""

import os
from pathlib import Path

import pytest

from asr.batch import Input, list_inputs


def _make(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def _inner(inputs: list[Input]) -> list[str]:
    return [item.inner.as_posix() for item in inputs]


def test_a_folder_is_walked_in_sorted_order(tmp_path: Path) -> None:
    _make(tmp_path, "b.wav", "a/z.FLAC", "a/deep/er/k.opus", "c.m4a", "B.mp3")
    inputs = list_inputs([tmp_path])
    assert _inner(inputs) == ["B.mp3", "a/deep/er/k.opus", "a/z.FLAC", "b.wav", "c.m4a"]
    assert all(item.path == tmp_path / item.inner and item.problem is None for item in inputs)


def test_folders_give_only_recordings_and_nothing_hidden(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "notes.txt", "a.json", ".b.wav", ".trash/c.wav", "._a.wav", "wav")
    assert _inner(list_inputs([tmp_path])) == ["a.wav"]


def test_a_file_given_itself_is_taken_whatever_its_name(tmp_path: Path) -> None:
    _make(tmp_path, "x/voice.dat", ".hidden.wav")
    inputs = list_inputs([tmp_path / "x" / "voice.dat", tmp_path / ".hidden.wav"])
    assert _inner(inputs) == ["voice.dat", ".hidden.wav"]


def test_what_is_given_keeps_its_order(tmp_path: Path) -> None:
    _make(tmp_path, "b.wav", "a.wav", "c/d.wav")
    paths = [tmp_path / "c", tmp_path / "b.wav", tmp_path / "a.wav"]
    assert _inner(list_inputs(paths)) == ["d.wav", "b.wav", "a.wav"]
    assert list_inputs([str(path) for path in paths]) == list_inputs(paths)


def test_the_same_file_comes_once(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "in/b.wav")
    (tmp_path / "in" / "link.wav").symlink_to(tmp_path / "a.wav")
    paths = [tmp_path / "a.wav", tmp_path / "in" / ".." / "a.wav", tmp_path, tmp_path]
    assert _inner(list_inputs(paths)) == ["a.wav", "in/b.wav", "in/link.wav"]


def test_a_missing_path_is_an_input_that_will_fail(tmp_path: Path) -> None:
    assert list_inputs([tmp_path / "gone.wav"]) == [
        Input(tmp_path / "gone.wav", Path("gone.wav"), None)
    ]


def test_a_folder_without_recordings_is_reported(tmp_path: Path) -> None:
    _make(tmp_path, "empty/readme.md")
    (item,) = list_inputs([tmp_path / "empty"])
    assert item.problem == f"{tmp_path / 'empty'} holds no recordings: give another folder"


def test_links_to_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    _make(tmp_path, "store/a.wav", "job/b.wav")
    (tmp_path / "job" / "more").symlink_to(tmp_path / "store")
    (tmp_path / "store" / "back").symlink_to(tmp_path / "job")
    assert _inner(list_inputs([tmp_path / "job"])) == ["b.wav", "more/a.wav"]


def test_a_dangling_link_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "gone.wav").symlink_to(tmp_path / "nowhere.wav")
    assert _inner(list_inputs([tmp_path])) == ["gone.wav"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_may_not_be_listed_is_reported(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "locked/b.wav")
    (tmp_path / "locked").chmod(0)
    try:
        problems = [item.problem for item in list_inputs([tmp_path])]
    finally:
        (tmp_path / "locked").chmod(0o755)
    assert problems[0] is None and "cannot be listed (Permission denied)" in str(problems[1])


def test_the_current_folder_may_be_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _make(tmp_path, "a.wav")
    monkeypatch.chdir(tmp_path)
    assert _inner(list_inputs(["."])) == ["a.wav"]
    (tmp_path / "a.wav").unlink()
    assert _inner(list_inputs(["."])) == [tmp_path.name]


def test_every_format_that_is_read_is_taken(tmp_path: Path) -> None:
    kinds = ["m4b", "amr", "3gp", "wma", "asf", "flv", "avi", "ts", "mpg", "mp2", "mpga", "ogv"]
    kinds += ["au", "w64", "rf64", "caf", "aif", "wv", "tta", "ac3"]
    _make(tmp_path, *(f"x.{kind}" for kind in kinds))
    assert sorted(_inner(list_inputs([tmp_path]))) == sorted(f"x.{kind}" for kind in kinds)


def test_what_is_passed_over_is_counted_once(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "notes.txt", "in/cover.jpg", "in/b.json", ".hidden", "voice.dat")
    assert list_inputs([tmp_path]).passed_over == 4
    assert list_inputs([tmp_path, tmp_path / "in"]).passed_over == 4
    assert list_inputs([tmp_path, tmp_path / "voice.dat"]).passed_over == 3  # it is read after all
    assert list_inputs([tmp_path / "a.wav"]).passed_over == 0
