"""The wheel: installed elsewhere, with the pinned versions, it brings the bundle and the clips."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"


def pins() -> list[Requirement]:
    """What `constraints.txt` pins for the Python that runs here."""
    lines = CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    every = [Requirement(line) for line in lines]  # an address or an option is not one
    return [one for one in every if one.marker is None or one.marker.evaluate()]


def direct() -> Iterator[Requirement]:
    """What `pyproject.toml` asks for, with all extras and groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tables = (project["project"]["optional-dependencies"], project["dependency-groups"])
    lists = [
        project["project"]["dependencies"],
        *(deps for table in tables for deps in table.values()),
    ]
    yield from (Requirement(line) for deps in lists for line in deps)


def test_every_dependency_is_pinned_in_its_range_and_no_address_is_named() -> None:
    assert "://" not in CONSTRAINTS.read_text(encoding="utf-8")
    versions: dict[str, str] = {}
    for pin in pins():
        (exact,) = pin.specifier
        assert exact.operator == "==" and pin.url is None
        assert versions.setdefault(canonicalize_name(pin.name), exact.version) == exact.version
    for wanted in direct():
        assert wanted.specifier.contains(versions[canonicalize_name(wanted.name)]), str(wanted)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("uv") is None, reason="uv is not installed")
def test_the_wheel_transcribes_in_a_fresh_environment(tmp_path: Path) -> None:
    def run(*command: object) -> str:
        environment = {
            k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH")
        }
        done = subprocess.run(
            list(map(str, command)), cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=280,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("uv", "build", "--wheel", ROOT, "--out-dir", tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    run("uv", "venv", tmp_path / "fresh")
    python = tmp_path / "fresh" / "bin" / "python"
    run("uv", "pip", "install", "--python", python, "-c", CONSTRAINTS, wheel)
    pinned = {canonicalize_name(one.name): one.specifier for one in pins()}
    installed = json.loads(run("uv", "pip", "list", "--python", python, "--format", "json"))
    versions = {canonicalize_name(package["name"]): package["version"] for package in installed}
    versions.pop("earshot")
    assert len(versions) > 20
    for name, version in versions.items():
        assert pinned[name].contains(version, prereleases=True), f"{name} {version}"
    clip = ROOT / "samples" / "1272-141231-0000.flac"
    here = subprocess.run(
        [Path(sys.executable).parent / "asr", "transcribe", clip],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert here.stdout.strip()
    assert run(tmp_path / "fresh" / "bin" / "asr", "transcribe", clip) == here.stdout
    assert run(tmp_path / "fresh" / "bin" / "asr", "demo").count("heard: ") == 6
