"""`trainer.precision: auto` follows the hardware, and the log names the choice."""

import logging
from pathlib import Path

import pytest
import torch
import yaml
from runs import ROOT, fit_here

from asr.training.command import fit
from asr.training.command.precision import SpeechTrainer, automatic, capabilities, of_processor


@pytest.mark.parametrize(
    ("capable", "precision", "word"),
    [
        ({"avx2": True}, "32-true", "neither AVX512-BF16 nor AMX"),
        ({"avx512_f": True, "avx512_bf16": False, "amx_bf16": False}, "32-true", "neither"),
        ({"avx512_bf16": True}, "bf16-mixed", "has AVX512-BF16"),
        ({"amx_bf16": True}, "bf16-mixed", "has AMX"),
        ({"architecture": "arm64", "bf16": True}, "32-true", "neither"),
        ({}, "32-true", "neither"),
    ],
)
def test_a_processor_gets_what_it_is_fast_in(
    capable: dict[str, object], precision: str, word: str
) -> None:
    found, reason = of_processor(capable)
    assert found == precision and word in reason


def test_torch_and_the_system_agree_on_the_processor() -> None:
    flags = Path("/proc/cpuinfo")
    if not flags.exists():
        pytest.skip("only Linux lists the processor's flags in a file")
    listed = flags.read_text(encoding="utf-8").split()
    for name in ("avx512_bf16", "amx_bf16"):
        assert bool(capabilities().get(name)) == (name in listed)


def test_other_devices_keep_float32() -> None:
    assert automatic("mps") == ("32-true", "bfloat16 has not been measured on mps")
    if not torch.cuda.is_available():
        assert automatic("cuda")[0] == "32-true"


@pytest.mark.filterwarnings("ignore:`precision=bf16` is supported for historical reasons")
def test_a_trainer_takes_auto_and_what_lightning_takes() -> None:
    assert SpeechTrainer(accelerator="cpu", logger=False).precision == "32-true"
    for given, taken in (("auto", automatic("cpu")[0]), ("bf16", "bf16-mixed"), (64, "64-true")):
        trainer = SpeechTrainer(accelerator="cpu", precision=given, logger=False)
        assert trainer.precision == taken


@pytest.mark.slow
def test_every_subcommand_takes_it_and_says_what_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    few = ["--trainer.limit_val_batches=1", "--trainer.limit_test_batches=1"]
    run, said = tmp_path / "run", f"precision auto is {automatic('cpu')[0]} here: the processor"
    with caplog.at_level(logging.INFO, "lightning.pytorch.utilities.rank_zero"):
        fit_here(
            run, *few, "--trainer.precision=auto", "--trainer.max_steps=1", "--trainer.max_epochs=1"
        )
        assert said in caplog.text
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        assert config["trainer"]["precision"] == "auto"  # a resumed run asks its own machine
        caplog.clear()
        fit.run(
            "fit", [*fit.resume_arguments(run), "--trainer.max_steps=2", "--trainer.max_epochs=2"]
        )
        assert said in caplog.text
        for subcommand, key in (("validate", "dev"), ("test", "test")):
            caplog.clear()
            given = ["--config", str(run / "config.yaml"), f"--data.{key}=manifest.jsonl"]
            given += ["--ckpt_path", str(run / "checkpoints" / "last.ckpt")]
            fit.run(subcommand, given)
            assert said in caplog.text


def test_the_recipes_go_to_any_machine() -> None:
    recipes = [path for path in (ROOT / "configs").glob("*.yaml") if path.stem != "smoke"]
    for path in recipes:
        trainer = yaml.safe_load(path.read_text(encoding="utf-8"))["trainer"]
        assert trainer["precision"] == "auto", path.name
