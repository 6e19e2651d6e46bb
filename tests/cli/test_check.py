"""`asr check` as a user meets it."""

import json
import subprocess
from pathlib import Path

import pytest
from commands import ASR, asr

ROOT = Path(__file__).parents[2]
TRAIN = ROOT / "tests" / "data" / "train" / "manifest.jsonl"


def check(*arguments: object) -> subprocess.CompletedProcess[str]:
    return asr("check", *arguments)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """The ten good clips, and after them two bad lines."""
    lines = [json.loads(line) for line in TRAIN.read_text(encoding="utf-8").splitlines()]
    for line in lines:
        line["audio"] = str(TRAIN.parent / line["audio"])
    lines += [{**lines[0], "id": "x", "text": "CAFÉ"}, {**lines[1], "id": "y", "text": ""}]
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_a_good_manifest_is_exit_code_0(tiny_bundle: Path) -> None:
    """In a process of its own, as a user has it."""
    command = [*ASR, "check", str(TRAIN), "--bundle", str(tiny_bundle)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].split()[:2] == ["kept", "10"]


def test_bad_lines_are_named_and_left_out_of_the_clean_manifest(
    manifest: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    clean = tmp_path / "deeper" / "clean.jsonl"
    done = check(manifest, "--bundle", tiny_bundle, "--write-clean", clean)
    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[:2] == [
        f"{manifest}:11: error: the units cannot spell 'é'",
        f"{manifest}:12: error: the text is empty",
    ]
    assert [line.split()[:3] for line in lines[-2:]] == [
        ["empty", "text", "1"],
        ["unknown", "characters", "1"],
    ]
    (hint,) = done.stderr.splitlines()
    assert "these units are of English" in hint and "--config" in hint
    done = check(clean, "--bundle", tiny_bundle)
    assert done.returncode == 0 and not done.stderr


def test_the_layers_and_units_of_a_config_decide(manifest: Path, tmp_path: Path) -> None:
    others = tmp_path / "others.jsonl"  # the config's own development set has the same speakers
    others.write_text('{"audio": "x.wav", "text": "x", "speaker": "nobody"}\n', encoding="utf-8")
    done = check(manifest, "--config", ROOT / "configs" / "smoke.yaml", "--dev", others)
    (hint,) = done.stderr.splitlines()
    assert done.returncode == 1 and "set data.language and data.units.alphabet from_texts" in hint
    assert "Seed set to" not in done.stderr  # nothing is trained
    done = check(manifest, "--config", ROOT / "configs" / "none.yaml")
    assert done.returncode == 2 and "none.yaml" in done.stderr
    done = check(manifest, "--config", ROOT / "configs" / "smoke.yaml", "--bundle", "my_bundle")
    assert done.returncode == 2 and "--bundle has no effect with --config" in done.stderr


def test_the_config_of_a_run_has_its_units(manifest: Path, tmp_path: Path) -> None:
    """`config.yaml` of a run's folder also names the checkpoint that it went on from."""
    config = tmp_path / "config.yaml"
    config.write_text(
        "ckpt_path: last.ckpt\nweights_only: null\n"
        "data:\n  shared_speakers: allow\n  units: {alphabet: from_texts}\n",
        encoding="utf-8",
    )
    done = check(manifest, "--config", config)
    assert done.returncode == 1 and not done.stderr, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()[-2:]]
    assert rows[0][:2] == ["kept", "11"] and rows[1] == ["empty", "text", "1", "-"]


def test_a_byte_order_mark_is_no_part_of_the_first_line(
    manifest: Path, tmp_path: Path, tiny_bundle: Path
) -> None:
    manifest.write_text("\ufeff" + manifest.read_text(encoding="utf-8"), encoding="utf-8")
    clean = tmp_path / "clean.jsonl"
    done = check(manifest, "--bundle", tiny_bundle, "--write-clean", clean)
    assert done.stdout.count("error:") == 2, done.stdout
    lines = clean.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 10 and lines[0].startswith("{")


def test_nothing_to_use_is_exit_code_2(tmp_path: Path, tiny_bundle: Path) -> None:
    path = tmp_path / "m.jsonl"
    path.write_text('{"audio": "gone.wav", "text": "x"}\n', encoding="utf-8")
    done = check(path, "--bundle", tiny_bundle)
    assert done.returncode == 2 and f"{path}:1: error: there is no file" in done.stdout
    done = check(tmp_path / "none.jsonl", "--bundle", tiny_bundle)
    assert done.returncode == 2 and "no such manifest" in done.stderr


def test_a_manifest_by_path_needs_no_corpus_folder(manifest: Path, tmp_path: Path) -> None:
    """The root of configs/smoke.yaml, which is relative, is not there."""
    done = asr("check", manifest, "--config", ROOT / "configs" / "smoke.yaml", cwd=tmp_path)
    assert done.returncode == 1 and "the config's data.dev, is not there" in done.stderr
    assert "kept                       10" in done.stdout, done.stdout
