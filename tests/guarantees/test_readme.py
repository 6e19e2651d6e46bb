"""Guarantee 10: the README is true. Every command in it runs, in the order of the page."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# `.ci/run` runs the two commands that open the page to the letter; in here they are ours already.
UV = re.compile(r"^(?:pip install uv && )?uv run (?:--extra \w+ |--all-extras )*")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands find in a fresh checkout, where their output disturbs nobody."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("samples", "configs", "tests/data"):
        shutil.copytree(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def run(command: str, cwd: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        UV.sub("", command), shell=True, cwd=cwd, env=environment, capture_output=True, text=True,
        timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, f"{command}\n{done.stderr}"
    return done.stdout


def test_the_page_opens_with_the_demo_and_the_tests_and_ci_runs_both() -> None:
    demo, tests = commands()[:2]
    assert demo == "pip install uv && uv run --extra serve asr demo"
    assert tests == "pip install uv && uv run --all-extras pytest"
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    for command in (demo, tests):
        assert command.replace("pip install", "pip install -q") in ci


def test_what_uv_installs_untold_has_no_torch() -> None:
    """The two lists that `uv sync` takes, dependencies and the group dev, with all they bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    uv = project["tool"]["uv"]
    stated = {entry["name"]: entry["requires-dist"] for entry in uv.get("dependency-metadata", [])}
    waiting = [
        Requirement(line)
        for line in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    ]
    brought: set[str] = set()
    seen: set[str] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        brought.add(name)
        for line in stated.get(name, requires(name) or ()):
            needed = Requirement(line)
            extras = {"", *wanted.extras}
            if not needed.marker or any(needed.marker.evaluate({"extra": one}) for one in extras):
                waiting.append(needed)
    assert "lhotse" in brought and "numpy" in brought
    assert not brought & {"torch", "lightning", "torchaudio"}


def test_nobody_is_sent_to_the_stranger_of_our_name() -> None:
    """PyPI has an earshot of other people: ours is installed from the checkout."""
    folders = ("asr", "service", "docs", "docker", "examples", "configs")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    pages = [path for path in files if path.suffix not in (".pyc", ".webp", ".png")]
    named = re.compile(rb"earshot\[|pip install earshot")
    assert [str(path) for path in pages if named.search(path.read_bytes())] == [
        str(ROOT / "docs" / "decisions.md")  # what an installation brings, told long ago
    ]


@pytest.mark.slow
def test_the_demo_reads_the_samples_and_says_how_to_go_on(
    checkout: Path, environment: dict[str, str]
) -> None:
    printed = run(commands()[0], checkout, environment)
    assert printed.count("heard: ") == 6
    assert "serve" in printed


@pytest.mark.slow
def test_files_and_folders_are_transcribed(checkout: Path, environment: dict[str, str]) -> None:
    chosen = [line for line in commands() if " asr transcribe samples" in line]
    assert len(chosen) == 2
    assert len(run(chosen[0], checkout, environment).split()) > 4
    run(chosen[1], checkout, environment)
    assert len(list((checkout / "transcripts").glob("*.json"))) == 6


@pytest.fixture(scope="module")
def server(checkout: Path, environment: dict[str, str]) -> Iterator[str]:
    """The address of `asr serve`, started as the page says but for the port."""
    (command,) = [line for line in commands() if " asr serve" in line]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = UV.sub("", command).replace("8000", str(port)).split()
    process = subprocess.Popen(words, cwd=checkout, env=environment, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health/ready", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, "asr serve ended"
                time.sleep(0.5)
        else:
            pytest.fail("asr serve was not ready within a minute")
        yield address
    finally:
        process.terminate()
        process.wait(timeout=40)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_gets_the_words(server: str, checkout: Path, environment: dict[str, str]) -> None:
    chosen = [line for line in commands() if line.startswith("curl")]
    assert len(chosen) == 4
    answers = [
        run(
            line.replace("curl", "curl -sf").replace("http://127.0.0.1:8000", server),
            checkout,
            environment,
        )
        for line in chosen
    ]
    assert '"text"' in answers[0] and '"words"' in answers[1] and " --> " in answers[2]


@pytest.mark.slow
def test_the_python_example_prints_words_with_times(
    checkout: Path, environment: dict[str, str]
) -> None:
    (example,) = blocks("python")
    script = checkout / "example.py"
    script.write_text(example, encoding="utf-8")
    printed = run("python example.py", checkout, environment).splitlines()
    assert len(printed) > 3
    assert re.fullmatch(r" *\d+\.\d\d +\d+\.\d\d \S+", printed[1])


@pytest.mark.slow
def test_a_model_is_trained_exported_and_used(checkout: Path, environment: dict[str, str]) -> None:
    chosen = [
        line
        for line in commands()
        if " asr fit " in line or " asr export " in line or " asr transcribe tests" in line
    ]
    assert len(chosen) == 3
    printed = [run(line, checkout, environment) for line in chosen]
    assert "but the chief without taking the money" in printed[-1]
    (measured,) = [line for line in commands() if " asr evaluate " in line]
    assert "by speaker" in run(measured, checkout, environment)


@pytest.mark.slow
def test_recordings_of_your_own_are_trained_on(
    checkout: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    (command,) = blocks("bash")  # of which FOLDER is the reader's
    shutil.copytree(ROOT / "tests" / "data" / "train", tmp_path / "mine")
    lines = (tmp_path / "mine" / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    for name, part in (("train", lines[:7]), ("dev", lines[7:])):  # of other speakers
        text = "\n".join(part)
        (tmp_path / "mine" / f"{name}.jsonl").write_text(f"{text}\n", encoding="utf-8")
    given = command.strip().replace("FOLDER", str(tmp_path / "mine"))
    of_the_test = f"--trainer.max_epochs 1 --trainer.default_root_dir {tmp_path / 'run'}"
    run(f"{given} {of_the_test} --model.network.hidden 16", checkout, environment)
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_every_command_of_the_page_is_run_by_one_of_these() -> None:
    run_here = (
        "asr demo",
        "pytest",
        "asr transcribe",
        "asr serve",
        "curl",
        "asr fit",
        "asr export",
        "asr evaluate",
    )
    for line in commands():
        assert any(known in line for known in run_here), line
