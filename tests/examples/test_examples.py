"""The programs in `examples/` do what they say."""

import json
import os
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CLIP = "samples/1272-141231-0000.flac"


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that looks like the checkout, as the current one."""
    for name in ("samples", "configs", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, *arguments: object) -> None:
    """The example as a program, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_each_example_is_run_here() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    names = sorted(path.name for path in EXAMPLES.glob("*.py"))
    assert len(names) == 5
    assert [name for name in names if f'"{name}"' not in source] == []


@pytest.mark.usefixtures("checkout")
def test_words_come_with_times(capsys: pytest.CaptureFixture[str]) -> None:
    run("transcribe_with_times.py")
    first, *words = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{CLIP}: ") and len(words) > 3
    assert all(re.match(r" +\d+\.\d\d +\d+\.\d\d +\d+%  \S+", line) for line in words)


def test_a_callback_gets_every_file(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = checkout / "recordings"
    folder.mkdir()
    shutil.copy(ROOT / CLIP, folder / "good.flac")
    (folder / "bad.wav").write_bytes(b"RIFF")
    run("folder_with_callback.py", folder)
    bad, good = capsys.readouterr().out.splitlines()
    assert bad.startswith(f"{folder / 'bad.wav'}: failed: ")
    assert good.startswith(f"{folder / 'good.flac'}: ") and len(good.split()) > 4


@pytest.mark.usefixtures("checkout")
def test_openais_client_is_served(capsys: pytest.CaptureFixture[str]) -> None:
    command = [Path(sys.executable).with_name("asr"), "serve", "--port", "0", "--device", "cpu"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            lines = iter(server.stderr.readline, "")
            ready = next((line for line in lines if "ready on" in line), "")
            address = re.search(r"http://\S+:\d+", ready)
            assert address is not None
            run("openai_client.py", CLIP, address[0])
        finally:
            server.terminate()
    printed = capsys.readouterr().out
    assert re.search(r"^ +\d+\.\d\d +\d+\.\d\d  \S+$", printed, re.MULTILINE)
    assert " --> " in printed


def test_a_model_is_fine_tuned(checkout: Path) -> None:
    data = ROOT / "tests" / "data" / "train"
    shutil.copytree(data, checkout / "mine")
    lines = (data / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    for name, part in (("train", lines[:2]), ("dev", lines[2:3])):
        (checkout / "mine" / f"{name}.jsonl").write_text("\n".join(part) + "\n", encoding="utf-8")
    quick = ["--trainer.max_epochs=1", "--trainer.accelerator=cpu", "--trainer.precision=32-true"]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, EXAMPLES / "fine_tune.py", "mine", "tuned", *quick],
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (checkout / "tuned" / "bundle.json").is_file()
    assert "WER" in done.stdout


def test_the_notebook_is_the_script() -> None:
    """`scripts/notebook` writes it from "how_it_works.py"."""
    made = runpy.run_path(str(ROOT / "scripts" / "notebook"))["notebook"]
    source = (EXAMPLES / "how_it_works.py").read_text(encoding="utf-8")
    assert (EXAMPLES / "how_it_works.ipynb").read_text(encoding="utf-8") == made(source)


def test_six_pictures_show_how_it_works(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads((EXAMPLES / "how_it_works.ipynb").read_text(encoding="utf-8"))
    names: dict[str, object] = {"__name__": "__main__"}
    chapters = []
    for cell in content["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "code":
            exec(text, names)  # as a kernel does
        else:
            chapters.append(text.splitlines()[0])
    page = (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    assert [name.partition(",")[0].partition(":")[0] for name in chapters[1:]] == re.findall(
        r"^## \d\. [^,:\n]+", page, re.MULTILINE
    )
    printed = capsys.readouterr().out
    pictures = sorted((checkout / "pictures").iterdir())
    assert len(pictures) == 6 and all(path.stat().st_size > 2_000 for path in pictures)
    (difference,) = re.findall(r"equations and the model: (\S+)", printed)
    assert float(difference) < 1e-4
    (by_hand, by_loss) = re.findall(r"'ab': (\S+); by the CTC loss: (\S+)", printed)[0]
    assert by_hand == by_loss
    assert printed.splitlines()[-2:] == [
        "the man said to the universe sir i exist", "pictures/6-search.webp",
    ]  # fmt: skip
