"""The files of docs/batch.md: a SLURM array and an Indexed Job of Kubernetes."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from commands import asr

PAGE = (Path(__file__).parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")
VERSIONS = ("1.29", "1.31", "1.33")


def block(kind: str) -> str:
    (found,) = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def indexed_job() -> Any:
    return yaml.safe_load(block("yaml"))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_job_fits_kubernetes_own_schema(version: str) -> None:
    kubernetes_validate.validate(indexed_job(), version, strict=True)


def test_the_job_has_as_many_parts_as_pods(tmp_path: Path, clips: list[Path]) -> None:
    spec = indexed_job()["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    words = [*container["command"], *container["args"]]
    assert words[words.index("--shard") + 1] == f"auto/{spec['completions']}"
    grace = spec["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > 10  # what a job needs to keep what is done
    shutil.copytree(clips[0].parent, tmp_path / "recordings")
    words = [word.replace("/data", str(tmp_path)) for word in words]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOB_COMPLETION_INDEX", "3")
        assert asr(*words[1:], "--dry-run").returncode in (0, 2)  # it may have none of six
        patch.delenv("JOB_COMPLETION_INDEX")
        assert "the variables of a SLURM array or of an Indexed Job" in asr(*words[1:]).stderr


@pytest.mark.slow
def test_the_array_does_every_recording_once(tmp_path: Path, clips: list[Path]) -> None:
    script = tmp_path / "transcribe.sh"
    script.write_text(block("bash"))
    (first, last) = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", block("bash"), re.MULTILINE)[0]
    assert (first, last) == ("0", "7")
    shutil.copytree(clips[0].parent, tmp_path / "recordings")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for task in ("1", "2"):  # of a smaller array
        array = {"ID": task, "MIN": "1", "MAX": "2"}
        environ = {f"SLURM_ARRAY_TASK_{name}": value for name, value in array.items()}
        environ |= {"PATH": path, "SLURM_CPUS_PER_TASK": "1"}
        subprocess.run(["bash", script], cwd=tmp_path, env={**os.environ, **environ}, check=True)
    lists = sorted((tmp_path / "transcripts").glob("results.*.jsonl"))
    lines = [json.loads(line) for path in lists for line in path.read_text().splitlines()]
    assert len(lists) == 2
    assert sorted(line["file"] for line in lines) == [f"recordings/{clip.name}" for clip in clips]
