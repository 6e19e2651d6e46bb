"""Inputs of a job: every file, once, in a stable order."""

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr.batch import Input, list_inputs, read_list
from asr.errors import BadOption


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


def test_one_path_and_one_pattern_need_no_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path, "in/a.wav", "in/b.wav")
    monkeypatch.chdir(tmp_path)
    assert _inner(list_inputs("in")) == _inner(list_inputs(Path("in"))) == ["a.wav", "b.wav"]
    assert _inner(list_inputs("in", exclude="b.*")) == ["a.wav"]


def test_the_same_file_comes_once(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "in/b.wav")
    (tmp_path / "in" / "link.wav").symlink_to(tmp_path / "a.wav")
    paths = [tmp_path / "a.wav", tmp_path / "in" / ".." / "a.wav", tmp_path, tmp_path]
    assert _inner(list_inputs(paths)) == ["a.wav", "in/b.wav", "in/link.wav"]


def test_a_missing_path_is_an_input_that_will_fail(tmp_path: Path) -> None:
    gone = tmp_path / "gone.wav"
    assert list_inputs([gone]) == [
        Input(gone, Path("gone.wav"), f"{gone} does not exist: check the path")
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


_LIST = """
import sys
from asr.batch import list_inputs
for item in list_inputs(sys.argv[1:]):
    print(item.path, item.problem)
"""


@pytest.mark.parametrize("mode", [0, 0o444])
def test_a_folder_that_may_not_be_listed_or_entered_is_reported(mode: int, tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "locked/b.wav")
    locked = tmp_path / "locked"
    command = [sys.executable, "-c", _LIST]
    if os.geteuid() == 0:  # who may list everything, unless it is taken away
        if (setpriv := shutil.which("setpriv")) is None:
            pytest.skip("root may list everything")
        lost = "--bounding-set=-dac_override,-dac_read_search"
        command = [setpriv, "--inh-caps=-all", lost, *command]
    locked.chmod(mode)
    try:
        for given in (tmp_path, f"{tmp_path}/**/*.wav", f"{tmp_path}/**/a.wav"):
            done = subprocess.run([*command, given], capture_output=True, text=True, check=True)
            problem = f"{locked} cannot be listed (Permission denied): check its permissions"
            assert done.stdout == f"{tmp_path}/a.wav None\n{locked} {problem}\n"
        done = subprocess.run([*command, locked / "b.wav"], capture_output=True, text=True)
        assert done.stdout == f"{locked}/b.wav None\n"  # its reader says why not
    finally:
        locked.chmod(0o755)


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


def test_a_pattern_keeps_the_folders_below_its_fixed_part(tmp_path: Path) -> None:
    _make(tmp_path, "a/one.wav", "b/one.wav", "b/deep/two.flac", "b/notes.txt", "c.wav", "b/x.dat")
    assert _inner(list_inputs([f"{tmp_path}/*/one.wav"])) == ["a/one.wav", "b/one.wav"]
    assert _inner(list_inputs([f"{tmp_path}/**/*.flac"])) == ["b/deep/two.flac"]
    everything = list_inputs([f"{tmp_path}/b/**"])
    assert sorted(_inner(everything)) == ["deep/two.flac", "one.wav"]
    assert everything.passed_over == 2
    assert _inner(list_inputs([f"{tmp_path}/b/*.dat"])) == ["x.dat"]  # its suffix was asked for
    assert _inner(list_inputs([f"{tmp_path}/[bc]*"])) == ["b/deep/two.flac", "b/one.wav", "c.wav"]


def test_a_pattern_follows_links_to_folders_but_not_in_circles(tmp_path: Path) -> None:
    _make(tmp_path, "store/a.wav", "job/b.wav", "job/deep/c.wav", "job/.hidden/d.wav")
    (tmp_path / "job" / "more").symlink_to(tmp_path / "store")
    for number in range(40):  # glob would try 40 ** 40 ways
        (tmp_path / "store" / f"back{number}").symlink_to(tmp_path / "job")
    everything = ["b.wav", "deep/c.wav", "more/a.wav"]
    for pattern in ("**/*.wav", "**", "**/**/*.wav"):
        assert _inner(list_inputs([f"{tmp_path}/job/{pattern}"])) == everything
    assert _inner(list_inputs([f"{tmp_path}/*/**/c.wav"]))[0] == "job/deep/c.wav"
    assert _inner(list_inputs([f"{tmp_path}/job/.*/*.wav"])) == [".hidden/d.wav"]
    assert _inner(list_inputs([f"{tmp_path}/j*b/deep/c.wav"])) == ["job/deep/c.wav"]


def test_a_pattern_that_matches_nothing_is_reported(tmp_path: Path) -> None:
    (item,) = list_inputs([f"{tmp_path}/*.wav"])
    assert item.problem == f"{tmp_path}/*.wav matches no file: correct it"


def test_a_name_with_wildcards_is_a_name_where_the_file_exists(tmp_path: Path) -> None:
    _make(tmp_path, "talk [1].wav", "talk 1.wav")
    assert _inner(list_inputs([tmp_path / "talk [1].wav"])) == ["talk [1].wav"]


def test_what_is_excluded_is_counted(tmp_path: Path) -> None:
    _make(tmp_path, "a.wav", "in/b.wav", "in/old/c.wav", "old.wav", "in/d.wav")
    inputs = list_inputs([tmp_path], exclude=["old", "in/d.*"])
    assert _inner(inputs) == ["a.wav", "in/b.wav", "old.wav"] and inputs.excluded == 2
    (nothing,) = list_inputs([tmp_path], exclude=["*"])
    assert nothing.problem == "--exclude leaves nothing of 5 recordings: exclude less"


def test_paths_of_a_list_keep_their_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _make(tmp_path, "a/x.wav", "b/x.wav", "c/in/x.wav", "here/y.wav", "c/*.wav")
    monkeypatch.chdir(tmp_path / "here")
    names = ["../a/x.wav", f"{tmp_path}/b/x.wav", f"{tmp_path}/c", "./y.wav", "gone.wav"]
    below = tmp_path.relative_to("/")
    assert _inner(list_inputs([], names)) == [
        f"{below}/a/x.wav",
        f"{below}/b/x.wav",
        f"{below}/c/*.wav",
        f"{below}/c/in/x.wav",
        "y.wav",
        "gone.wav",
    ]


def test_a_list_has_a_path_a_line_or_ended_by_zero_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "list"
    path.write_bytes("é.wav\r\n\n two words.wav\n".encode() + b"\xff.wav")
    assert read_list(str(path)) == ["é.wav", " two words.wav", "\udcff.wav"]
    path.write_bytes(b"two\nlines.wav\0b.wav\0")
    assert read_list(str(path), nul=True) == ["two\nlines.wav", "b.wav"]
    with pytest.raises(BadOption, match="has zero bytes: add -0"):
        read_list(str(path))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"a.wav\n")))
    assert read_list("-") == ["a.wav"]


def test_a_list_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    listed = tmp_path / "list.txt"
    listed.write_bytes("\ufeffa.wav\r\nb.wav\r\n".encode())
    assert read_list(str(listed)) == ["a.wav", "b.wav"]
    listed.write_bytes("\ufeffa.wav\n".encode("utf-16-le"))
    with pytest.raises(BadOption, match="is UTF-16: save it as UTF-8"):
        read_list(str(listed))


def test_a_list_that_cannot_be_used_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"the list .*gone cannot be read \(No such file"):
        read_list(str(tmp_path / "gone"))
    (tmp_path / "empty").write_text("\n\n")
    with pytest.raises(BadOption, match="names no recordings: write one path on each line"):
        read_list(str(tmp_path / "empty"))
