"""`asr gates` as a command."""

import sys
from pathlib import Path

import pytest

from asr.cli import main

CLIP = Path(__file__).parents[2] / "samples" / "1272-141231-0000.flac"


@pytest.mark.parametrize(
    ("name", "reason"),
    [("gates.xyz", "name a .png, .svg, .pdf file"), ("file/gates.svg", "File exists")],
)
def test_a_picture_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    tiny_bundle: Path,
    name: str,
    reason: str,
) -> None:
    (tmp_path / "file").touch()
    picture = tmp_path / name
    arguments = ["gates", str(CLIP), "--bundle", str(tiny_bundle), "--picture", str(picture)]
    monkeypatch.setattr(sys, "argv", ["asr", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    err = capsys.readouterr().err
    assert stopped.value.code == 2
    assert str(tmp_path) in err and reason in err and err.count("\n") == 1
