"""What the tests of marks share."""

from pathlib import Path

import pytest
from random_marks import random_checkpoint

from asr.bundle.session import session
from asr.export.punctuation import punctuation_graph
from asr.punctuation import Punctuator
from asr.runtime import Recognizer


@pytest.fixture(scope="session")
def punctuator(tmp_path_factory: pytest.TempPathFactory) -> Punctuator:
    """A model that puts marks and capitals everywhere."""
    checkpoint = random_checkpoint(tmp_path_factory.mktemp("marks") / "random.ckpt")
    return Punctuator(session(punctuation_graph(checkpoint).content))


@pytest.fixture(scope="session")
def shipped(shipped_bundle: Path) -> Punctuator:
    """The model that ships."""
    found = Recognizer.load(shipped_bundle, "cpu").punctuator
    assert found is not None
    return found
