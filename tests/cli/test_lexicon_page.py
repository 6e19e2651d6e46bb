"""docs/lexicon.md is true: its commands and its example run, on a small dictionary."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from asr.bundle import Bundle
from asr.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "lexicon.md").read_text(encoding="utf-8")
DATA = ROOT / "tests" / "data" / "lexicon"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, phone_bundle: Path) -> Path:
    shutil.copytree(phone_bundle, tmp_path / "my-bundle")
    shutil.copy(DATA / "cmudict-part.dict", tmp_path / "cmudict.dict")
    (tmp_path / "texts.txt").write_text("What others say of that.\n", encoding="utf-8")
    line = {"audio": "a.wav", "text": "THE WAY HOME"}
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    (tmp_path / "own.txt").write_text("kubectl\tK UW B K AH T AH L\n", encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_the_commands_and_the_example_run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    printed = []
    for command in "".join(blocks("sh")).splitlines():
        monkeypatch.setattr(sys, "argv", shlex.split(command))
        with pytest.raises(SystemExit) as stopped:
            main()
        out, err = capsys.readouterr()
        assert stopped.value.code in (0, None), err
        printed.append(out)
    assert "phone errors" in printed[0] and "0 faulty lines" in printed[2]
    assert "kubectl's\tK UW B K AH T AH L Z # form\n" in printed[3]
    assert "my-bundle: 1 word with pronunciations, 1 of them new, 0 changed" in printed[4]
    assert Bundle.open(folder / "my-bundle").g2p is not None
    (example,) = blocks("python")
    exec(example, {})
    assert "Guess(phones=" in capsys.readouterr().out
