"""What tests of several rooms share: real clips, and bundles to read them with."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

# Before torch is loaded, and for the tests' processes too: OpenMP's threads wait for one another in
# busy loops, which on a loaded machine keep the core from the very thread that is waited for.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# Before all other libraries: typing keeps one object for unions that are equal in any order. Where
# another one has asked for `float | int` first, Lightning's `int | float` is that object too, and
# `--trainer.limit_val_batches 1` is read as 1.0, which means all of them.
import lightning  # noqa: F401
import pytest
import torch
from hypothesis import HealthCheck, settings
from random_marks import random_checkpoint

from asr.bundle import default_bundle, put_punctuation
from asr.cache import SETTING
from asr.export import export
from asr.export.punctuation import punctuation_graph
from asr.model import AcousticModel, ModelConfig
from asr.text import CharacterTokenizer, PhoneTokenizer

ROOT = Path(__file__).parent.parent

# How long an example takes says nothing on a machine that is busy.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With `COVERAGE_TIER=quick`, coverage is measured in quick tests alone, which costs less."""
    if os.environ.get("COVERAGE_TIER") == "quick":
        for item in items:
            if item.get_closest_marker("slow"):
                item.add_marker("no_cover")


@pytest.fixture(scope="session", autouse=True)
def caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches of the tests' own, in their processes too: the user's are left alone."""
    users = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    with pytest.MonkeyPatch.context() as patch:
        if "UV_CACHE_DIR" not in os.environ:  # what uv has fetched is not fetched again
            patch.setenv("UV_CACHE_DIR", str(users / "uv"))
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("caches")))
        # Named by its content, so that another run may use it too: compiling takes seconds.
        patch.setenv(SETTING, str(ROOT / ".pytest_cache" / "earshot"))
        yield


@pytest.fixture(scope="session")
def clips() -> list[Path]:
    """Real clips of several formats, in a stable order."""
    found = (ROOT / "samples").iterdir()
    return sorted(path for path in found if path.suffix in (".opus", ".flac", ".wav"))


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of two layers of 16 units: spells gibberish, but the same gibberish always."""
    return checkpoint(CharacterTokenizer(), tmp_path_factory.mktemp("checkpoint") / "tiny.ckpt")


def checkpoint(tokenizer: CharacterTokenizer, path: Path) -> Path:
    """Writes a checkpoint of random weights in the units of a tokenizer."""
    torch.manual_seed(7)
    config = ModelConfig(layers=2, hidden=16, channels=4)
    network = AcousticModel(config, tokenizer.n_units, tokenizer.n_phones)
    with torch.no_grad():
        for weight in network.recurrent.layers.parameters():
            weight.mul_(3.0)  # else every frame spells the same unit
        network.head.weight.mul_(6.0)  # as sure of its units as a trained one
        network.features.mean.fill_(-6.0)
        network.features.deviation.fill_(4.0)
    torch.save(
        {
            "state_dict": {f"network.{key}": value for key, value in network.state_dict().items()},
            "earshot": {
                "format": 1,
                "model": config.to_dict(),
                "tokenizer": tokenizer.state(),
                "sources": "none: random weights",
                "training": {"epochs": 0, "steps": 0, "hours": 0.0},
            },
        },
        path,
    )
    return path


@pytest.fixture(scope="session")
def tiny_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `tiny_checkpoint`, fp32: what is read does not depend on the processor."""
    return export(tiny_checkpoint, tmp_path_factory.mktemp("bundle") / "tiny", "fp32").path


@pytest.fixture(scope="session")
def phone_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One like `tiny_bundle`, with a head of phones beside its letters."""
    folder = tmp_path_factory.mktemp("phones")
    return export(checkpoint(PhoneTokenizer(), folder / "tiny.ckpt"), folder / "tiny", "fp32").path


@pytest.fixture(scope="session")
def written_bundle(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One like `tiny_bundle`, with a model that puts marks and capitals anywhere."""
    folder = tmp_path_factory.mktemp("written")
    made = punctuation_graph(random_checkpoint(folder / "random.ckpt"))
    bundle = Path(shutil.copytree(tiny_bundle, folder / "tiny"))
    return put_punctuation(bundle, made.content, made.about).path


@pytest.fixture(scope="session")
def int8_bundle(tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of `tiny_checkpoint`, int8, for tests of int8."""
    return export(tiny_checkpoint, tmp_path_factory.mktemp("int8") / "tiny", "int8").path


@pytest.fixture(scope="session")
def shipped_bundle() -> Path:
    """The bundle in models/en."""
    return default_bundle()


@pytest.fixture
def bundle_copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A bundle that a test may change."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy"))
