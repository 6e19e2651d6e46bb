"""`asr study memory`: it runs, goes on where it was stopped, says what it found, and refuses."""

import json
import math
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import asr
from playwright.sync_api import sync_playwright

from asr.errors import BadData
from asr.study.command import read_study
from asr.study.config import Copying, MemoryStudy, Variant
from asr.study.copying import copied
from asr.study.findings import Claim, Findings, Interval, Verdict, claims, first_below
from asr.study.speech import read_speech

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data" / "train"
QUICK = [
    f"--speech.root={DATA}", "--speech.train=manifest.jsonl", "--speech.dev=manifest.jsonl",
    "--speech.dev_clips=2", "--speech.probes=1", "--speech.longest_seconds=3", "--distance=20",
    "--network.parameters=3000", "--network.mels=8", "--network.channels=2", "--seeds=[1,2]",
    "--training.steps=2", "--training.measurements=1", "--copying.updates=3", "--directions=[1]",
]  # fmt: skip


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of a quick study, and what was printed."""
    folder = tmp_path_factory.mktemp("study") / "memory"
    done = asr("study", "memory", *QUICK, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^\d+ of 16: ", done.stderr, re.MULTILINE)) == 16
    return folder, done.stdout


def runs(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.slow
def test_every_encoder_is_trained_and_measured(studied: tuple[Path, str]) -> None:
    folder, printed = studied
    found = runs(folder)
    speech = [run for run in found if run["task"] == "speech"]
    assert len(speech) == 8 and len(found) == 16
    for run in speech:
        assert run["parameters"] == pytest.approx(3000, rel=0.08)
        assert [point["step"] for point in run["points"]] == [0, 2]
        for when in ("before", "after"):
            assert {len(curve) for curve in run[when]["gradients"].values()} == {21}
            assert len(run[when]["moved"]) == 21
            assert bool(run[when]["half_lives"]) == (not run["variant"].startswith("RNN"))
    for name in ("RNN, one-way", "GRU, one-way", "LSTM bias 0, one-way", "LSTM bias 1, one-way"):
        assert f"| {name} |" in printed
    assert (
        len(re.findall(r"^- (borne out|not decided|contradicted): ", printed, re.MULTILINE)) == 19
    )


@pytest.mark.slow
def test_the_page_stands_alone(studied: tuple[Path, str]) -> None:
    folder, _ = studied
    page = (folder / "memory.html").read_text(encoding="utf-8")
    assert page.count("<figure>") == page.count("<svg") == 7
    assert not re.search(r"(src|href)=.http", page)
    assert "error rate of characters says more" in page  # after two steps
    lasted = re.search(r"in (\d+) s, (\d+) s of it processor time", page)
    assert lasted is not None and int(lasted[2]) > 0
    pictures = sorted(path.name for path in folder.glob("*.webp"))
    assert len(pictures) == 7 and pictures[0] == "1-learning.webp"


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_the_page_is_read_on_a_phone(studied: tuple[Path, str]) -> None:
    folder, _ = studied
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 360, "height": 800})
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.goto((folder / "memory.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert (
            page.locator("#claims tr").count() == 20 and page.locator("#encoders tr").count() == 5
        )
        boxes = [drawing.bounding_box() for drawing in page.locator("svg").all()]
        assert all(box is not None and box["width"] > 200 and box["height"] > 50 for box in boxes)
        browser.close()
    assert complaints == []


@pytest.mark.slow
def test_a_study_of_vanilla_cells_has_no_gates_to_draw(tmp_path: Path) -> None:
    done = asr("study", "memory", *QUICK, "--cells=[rnn]", "-o", tmp_path)
    assert done.returncode == 0 and "Warning" not in done.stderr
    assert len(list(tmp_path.glob("*.webp"))) == 6
    assert "gates</figcaption>" not in (tmp_path / "memory.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on(studied: tuple[Path, str], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(studied[0], tmp_path / "stopped"))
    whole = runs(folder)
    lines = (folder / "runs.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "runs.jsonl").write_text("".join(lines[:3] + lines[5:]), encoding="utf-8")
    done = asr("study", "memory", *QUICK, "-o", folder)
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^(\d+) of 16: (\w+)", done.stderr, re.MULTILINE) == [
        ("4", "speech"), ("5", "copy"),
    ]  # fmt: skip
    again = {(run["task"], run["variant"], run["seed"]): run for run in runs(folder)}
    assert len(again) == 16
    for run in whole:
        other = again[run["task"], run["variant"], run["seed"]]
        if run["task"] == "copy":
            assert other["lags"] == run["lags"]
        else:
            assert other["points"][-1]["loss"] == pytest.approx(run["points"][-1]["loss"], rel=1e-3)


@pytest.mark.slow
def test_another_study_does_not_go_on_in_its_folder(studied: tuple[Path, str]) -> None:
    done = asr("study", "memory", *QUICK, "--training.steps=3", "-o", studied[0])
    assert done.returncode == 2 and "holds a study with another config" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cels", "[rnn]"], "there is no key cels; did you mean cells"),
        (["--trainnig.steps", "3"], "did you mean training.steps"),
        (["--xyzzy", "3"], "there is no key xyzzy; `asr study memory --keys` lists them"),
        (["--cells", "[lsmt]"], "cells does not fit"),
        (["--seeds", "[1,1]"], "each once"),
        (["--seeds", "[1]"], "two seeds or more"),
        (["--directions", "[]"], "need values"),
        (["--training.steps", "0"], "0 or below"),
        (["--seeds", "[-1,2]"], "from 0 to 4294967295"),
        (["--seeds", "[1,4294967296]"], "from 0 to 4294967295"),
        (["--speech.root", "/nowhere"], "there is no corpus folder /nowhere"),
        (["--speech.root", "/nowhere"], "or correct speech.root."),
        ([*QUICK, "--speech.train", "gone.jsonl"], "gone.jsonl"),
        ([*QUICK, "--speech.probes", "11"], "lower speech.probes"),
        (["--config", "/nowhere.yaml"], "/nowhere.yaml"),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], words: str, tmp_path: Path) -> None:
    done = asr("study", "memory", *arguments, "-o", tmp_path / "study")
    assert done.returncode == 2
    *_, last = done.stderr.splitlines()
    assert words in last and last.startswith("asr: ") and "Traceback" not in done.stderr
    assert not (tmp_path / "study").exists()


def test_a_folder_without_a_finished_run_takes_another_config(tmp_path: Path) -> None:
    for _ in range(2):  # the same sentence again, not one about the folder
        done = asr("study", "memory", *QUICK, "--speech.train", "gone.jsonl", "-o", tmp_path)
        assert "gone.jsonl" in done.stderr
    done = asr("study", "memory", *QUICK, "--speech.probes", "11", "-o", tmp_path)
    assert "lower speech.probes" in done.stderr


def test_the_distance_that_is_advised_is_the_largest_that_does() -> None:
    with pytest.raises(BadData, match=r"up to there has 3\.71 s: lower distance to") as refused:
        read_speech(read_study([*QUICK, "--distance=75"]), print)
    (advised,) = map(int, re.findall(r"distance to (\d+)", str(refused.value)))
    assert len(read_speech(read_study([*QUICK, f"--distance={advised}"]), print).probes.features)
    with pytest.raises(BadData):
        read_speech(read_study([*QUICK, f"--distance={advised + 1}"]), print)


def test_the_command_without_a_corpus_finds_its_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "memory.md").read_text(encoding="utf-8").replace("\\\n", "")
    (command,) = re.findall(r"^asr study memory (--speech.root.*) -o", page, re.MULTILINE)
    monkeypatch.chdir(ROOT)
    speech = read_speech(read_study(shlex.split(command)), print)
    assert len(speech.train.features) == 10 and len(speech.probes.features) == 3


def test_a_damaged_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "study.json").write_text("{}", encoding="utf-8")
    (tmp_path / "runs.jsonl").write_text('{"task": "spe', encoding="utf-8")
    done = asr("study", "memory", *QUICK, "-o", tmp_path)
    assert done.returncode == 2 and f"{tmp_path} holds a damaged study" in done.stderr


def test_the_config_that_ships_is_the_default() -> None:
    config = ROOT / "configs" / "study" / "memory.yaml"
    shipped = read_study(["--config", str(config)])
    dev = replace(shipped.speech, dev=MemoryStudy().speech.dev)
    assert replace(shipped, speech=dev) == MemoryStudy()


def test_the_keys_are_listed() -> None:
    done = asr("study", "memory", "--keys")
    assert done.returncode == 0
    assert "--network.parameters" in done.stdout and "--copying.longest" in done.stdout
    assert "Frames of 40 ms back to which memory is measured" in " ".join(done.stdout.split())
    assert "Lightning" not in done.stdout


def test_a_cell_that_remembers_copies_over_longer_lags() -> None:
    task = Copying(updates=150, parameters=1500, symbols=2, length=1, longest=40)
    course = copied(task, Variant("gru", 1), seed=1)
    assert course == sorted(course) and course[-1] > 3
    assert len(course) == task.updates or course[-1] == task.longest


def test_a_distance_is_where_a_curve_falls_below() -> None:
    assert first_below([0.0, -1.0, -3.0, -1.0], -2.0) == 2.0
    assert first_below([0.0, -1.0], -2.0) == 2.0  # it never does


def test_an_interval_is_students() -> None:
    found = Interval.of([1.0, 2.0, 3.0])
    assert (found.mean, found.half) == pytest.approx((2.0, 4.30 / math.sqrt(3)))
    assert math.isnan(Interval.of([1.0]).low)
    assert Interval.of([float(n % 2) for n in range(40)]).half == pytest.approx(0.1619, abs=5e-4)


@pytest.mark.parametrize(
    ("measure", "ends", "less", "verdict"),
    [
        ("lag", (2.0, 1.5, 3.0), False, "borne out"),
        ("lag", (0.5, 0.3, 0.9), False, "contradicted"),
        ("lag", (2.0, 0.9, 4.0), False, "not decided"),
        ("loss", (-0.2, -0.3, -0.1), True, "borne out"),
        ("loss", (0.2, 0.1, 0.3), True, "contradicted"),
        ("loss", (0.2, math.nan, math.nan), True, "not decided"),
    ],
)
def test_a_verdict_needs_an_interval_on_one_side(
    measure: str, ends: tuple[float, float, float], less: bool, verdict: str
) -> None:
    one = Variant("lstm", 1)
    assert Verdict(Claim("x", "y", measure, one, one, less), Interval(*ends)).verdict == verdict


def test_encoders_are_compared_seed_by_seed() -> None:
    lstm, rnn = Variant("lstm", 1), Variant("rnn", 1)
    records = [
        {"task": "copy", "variant": variant.name, "seed": seed, "lags": [lag]}
        for variant, lags in ((lstm, (20, 40)), (rnn, (10, 20)))
        for seed, lag in enumerate(lags)
    ]
    found = Findings(MemoryStudy(seeds=(0, 1)), records).against(Claim("", "", "lag", lstm, rnn))
    assert (found.mean, found.low, found.high) == pytest.approx((2.0, 2.0, 2.0))


def test_claims_are_about_encoders_of_the_study() -> None:
    few = list(claims(MemoryStudy(cells=("rnn", "lstm"), directions=(1,), forget_biases=(1.0,))))
    assert 0 < len(few) < 21
    assert all(claim.one.directions == 1 and claim.one.cell != "gru" for claim in few)
