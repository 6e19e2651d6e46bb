"""Files of transcripts: one for every input, written atomically."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.batch import Input, formats_of, list_inputs, output_stems
from asr.errors import BadOption
from asr.files import write_atomically
from asr.transcript import FORMATS, file_suffix

OUT = Path("out")


def _inputs(*inner: str) -> list[Input]:
    return [Input(Path("in") / name, Path(name)) for name in inner]


def _names(inner: list[str], format: str = "json") -> list[str]:
    stems = output_stems(_inputs(*inner), OUT, [format])
    return [Path(f"{stem}{file_suffix(format)}").as_posix() for stem in stems]


def test_the_inner_path_is_kept_and_the_suffix_replaced() -> None:
    assert _names(["a/x.flac", "y.WAV", "talk.v2.mp3"]) == ["a/x.json", "y.json", "talk.v2.json"]


def test_the_alias_text_writes_txt_files() -> None:
    assert _names(["x.wav"], "text") == _names(["x.wav"], "txt") == ["x.txt"]


def test_where_two_collide_both_keep_their_suffix() -> None:
    assert _names(["x.flac", "x.wav", "y.wav"]) == ["x.flac.json", "x.wav.json", "y.json"]


def test_names_that_differ_in_case_alone_collide() -> None:
    assert _names(["X.flac", "x.wav"]) == ["X.flac.json", "x.wav.json"]
    assert _names(["A/x.wav", "a/x.flac"]) == ["A/x.wav.json", "a/x.flac.json"]


def test_the_same_stem_in_two_folders_does_not_collide() -> None:
    assert _names(["a/x.wav", "b/x.wav"]) == ["a/x.json", "b/x.json"]


def test_a_kept_suffix_that_meets_another_name_is_resolved() -> None:
    names = ["x.flac", "x.wav", "x.flac.wav"]
    assert _names(names) == ["x.flac.json", "x.wav.json", "x.flac.wav.json"]


def test_the_same_inner_path_below_two_folders_is_refused_before_any_work(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder / "a").mkdir(parents=True)
        (tmp_path / folder / "a" / "x.wav").write_bytes(b"")
    inputs = list_inputs([tmp_path / "one", tmp_path / "two"])
    with pytest.raises(BadOption, match=r"one/a/x.wav and .*two/a/x.wav would both be written"):
        output_stems(inputs, tmp_path / "out", ["json"])
    assert not (tmp_path / "out").exists()


def test_an_input_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "voice.txt"
    path.write_bytes(b"")
    with pytest.raises(BadOption, match="is an input and would be replaced"):
        output_stems(list_inputs([path]), tmp_path, ["json", "txt"])


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(BadOption, match="'srtx' is not known"):
        output_stems(_inputs("x.wav"), OUT, ["srtx"])


def test_formats_come_in_a_list_each_once() -> None:
    assert formats_of("json") == ["json"]
    assert formats_of("vtt, json,text,txt") == ["vtt", "json", "text"]
    assert (
        formats_of("all") == formats_of("json,all") == [name for name in FORMATS if name != "text"]
    )
    for wrong, said in (("json,srtx", "'srtx' is not known"), (" ,", "--format is empty")):
        with pytest.raises(BadOption, match=said):
            formats_of(wrong)


stems = st.text(st.sampled_from("aAb."), min_size=1, max_size=4).map(lambda stem: f"s{stem}e")
names = st.builds("{}{}".format, stems, st.sampled_from([".wav", ".flac", ".WAV", ""]))


@given(st.lists(names, max_size=8, unique_by=str.casefold))
def test_any_inputs_have_files_of_their_own(inner: list[str]) -> None:
    written = [name.casefold() for name in _names(inner)]
    assert len(set(written)) == len(inner)
    assert all(name.endswith(".json") for name in written)


def test_writing_makes_folders_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "x.txt"
    write_atomically(path, "ONE\n")
    write_atomically(path, "CAFÉ\n")
    assert path.read_bytes() == "CAFÉ\n".encode()
    assert os.listdir(path.parent) == ["x.txt"]


def test_a_written_file_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    write_atomically(tmp_path / "x.txt", "")
    (tmp_path / "plain").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("x.txt", "plain")]
    assert modes[0] == modes[1]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "x.txt"
    write_atomically(path, "OLD\n")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "\ud800")
    assert path.read_text() == "OLD\n" and os.listdir(tmp_path) == ["x.txt"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_link_is_followed_and_a_pipe_is_not_replaced(tmp_path: Path) -> None:
    pipe, link, target = (tmp_path / name for name in ("pipe", "link", "target"))
    link.symlink_to(target)
    for content in ("OLD\n", "NEW\n"):
        write_atomically(link, content)
        assert link.is_symlink() and target.read_text() == content
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomically(pipe, "SENT\n")
    assert os.read(reader, 100) == b"SENT\n" and pipe.is_fifo()
    os.close(reader)
    assert sorted(os.listdir(tmp_path)) == ["link", "pipe", "target"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.txt").mkdir()
    for path in (tmp_path / "file" / "x.txt", tmp_path / "folder.txt"):
        with pytest.raises(BadOption, match=rf"^{path} cannot be written \("):
            write_atomically(path, "")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.txt"]
