"""The files of docs/batch.md: a SLURM array, an Indexed Job of Kubernetes and a Ray cluster."""

import json
import os
import re
import shlex
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


def block(kind: str, begin: str) -> str:
    """The one of that kind that begins so."""
    blocks = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (found,) = (one for one in blocks if one.startswith(begin))
    return str(found)


def array_script() -> str:
    return block("bash", "#!/bin/bash")


def indexed_job() -> Any:
    return yaml.safe_load(block("yaml", "apiVersion"))


def ray_cluster() -> Any:
    return yaml.safe_load(block("yaml", "cluster_name"))


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
    script.write_text(array_script())
    (first, last) = re.findall(r"^#SBATCH --array=(\d+)-(\d+)$", array_script(), re.MULTILINE)[0]
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


def test_the_cluster_fits_rays_own_schema() -> None:
    util = pytest.importorskip("ray.autoscaler._private.util", reason="needs the extra `ray`")
    util.validate_config(util.prepare_config(ray_cluster()))
    wrong = {**ray_cluster(), "workers": 3}
    with pytest.raises(Exception, match="Additional properties"):
        util.validate_config(util.prepare_config(wrong))


@pytest.mark.parametrize("node", ["head", "worker"])
def test_ray_knows_the_options_that_start_the_cluster(node: str) -> None:
    scripts = pytest.importorskip("ray.scripts.scripts", reason="needs the extra `ray`")
    _, line = ray_cluster()[f"{node}_start_ray_commands"]
    words = shlex.split(line)
    assert words[:2] == ["~/earshot/bin/ray", "start"]
    scripts.start.make_context("start", words[2:])


def test_the_command_of_the_cluster_is_one(tmp_path: Path, clips: list[Path]) -> None:
    pytest.importorskip("ray", reason="needs the extra `ray`")
    shutil.copytree(clips[0].parent, tmp_path / "recordings")
    lines = [shlex.split(line) for line in block("bash", "ray up").splitlines()]
    (inner,) = (words[-1] for words in lines if words[1] == "exec")
    words = shlex.split(inner.replace("/data", str(tmp_path)))
    assert words[0] == "~/earshot/bin/asr"
    done = asr(*words[1:], "--dry-run")
    assert done.returncode == 0 and "6 recordings" in done.stderr
