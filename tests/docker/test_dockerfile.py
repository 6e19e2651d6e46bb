"""The Dockerfile's own install steps, run in a fresh environment, and the service that results.

There is no Docker engine here: the steps are read from the file and run as they stand, with the
image's folders replaced by temporary ones.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "docker" / "Dockerfile"


def instructions() -> list[tuple[str, str]]:
    """Instruction and arguments, continued lines joined."""
    text = re.sub(r"^#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def stage(name: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    inside = False
    for word, rest in instructions():
        if word == "FROM":
            inside = rest.endswith(f" AS {name}")
        if inside:
            found.append((word, rest))
    return found


def test_both_images_are_there_and_neither_runs_as_root() -> None:
    assert ("USER", "10001") in stage("cpu")
    assert stage("cuda")[0] == ("FROM", "cpu AS cuda")
    assert any(word == "RUN" and "[serve,gpu]" in rest for word, rest in stage("build-cuda"))
    assert any(word == "HEALTHCHECK" for word, _ in stage("cpu"))
    assert ("CMD", '["asr", "serve"]') in stage("cpu")


def test_what_is_copied_is_let_through_and_there() -> None:
    ignored = (DOCKERFILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    through = {line[1:] for line in ignored.splitlines() if line.startswith("!")}
    for word, rest in stage("build"):
        if word == "COPY":
            for source in rest.split()[:-1]:
                assert source in through and (ROOT / source).exists()


@pytest.mark.slow
def test_its_install_steps_make_a_service_that_answers(tmp_path: Path) -> None:
    build, home = tmp_path / "build", tmp_path / "earshot"
    build.mkdir()
    arguments = [rest.partition("=") for word, rest in instructions() if word == "ARG"]
    defaults = {name: value for name, _, value in arguments if value}
    environment = {**os.environ, **defaults, "VIRTUAL_ENV": str(home)}
    environment.pop("UV_PROJECT_ENVIRONMENT", None)
    for word, rest in stage("build"):
        if word == "COPY":
            *sources, target = rest.split()
            for source in sources:
                if (ROOT / source).is_dir():
                    shutil.copytree(ROOT / source, build / target, dirs_exist_ok=True)
                else:
                    shutil.copy(ROOT / source, build)
        elif word == "RUN" and not rest.startswith("pip install"):  # uv is here already
            command = re.sub(r"--mount=\S+ ", "", rest)
            command = command.replace("/opt/earshot", str(home))
            command = command.replace("uv venv", f"uv venv --python {sys.executable}")
            subprocess.run(command, shell=True, cwd=build, env=environment, check=True)
    assert not list(home.glob("lib/python*/site-packages/torch"))
    image = {**environment, "EARSHOT_CACHE_DIR": str(home / "cache")}
    asr, clip = home / "bin" / "asr", ROOT / "samples" / "1272-141231-0000.flac"
    read = subprocess.run(
        [asr, "transcribe", clip, "--device", "cpu"],
        env=image, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read.stdout and "compiling" not in read.stderr  # the image is warm
    assert answer(asr, clip, image, tmp_path / "log") == read.stdout.strip()


def answer(asr: Path, clip: Path, environment: dict[str, str], log: Path) -> str:
    """What the service reads in a clip."""
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [asr, "serve", "--port", "0", "--device", "cpu"], env=environment, stderr=stderr
        ) as server,
    ):
        try:
            while not (ready := re.search(r"ready on (http://\S+:\d+)", log.read_text())):
                assert server.poll() is None, log.read_text()
                time.sleep(0.1)
            url = f"{ready[1]}/v1/audio/transcriptions"
            with clip.open("rb") as file:
                heard = httpx.post(url, files={"file": file}, timeout=None)
            assert heard.status_code == 200
            return str(heard.json()["text"])
        finally:
            server.terminate()
