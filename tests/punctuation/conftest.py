"""What the tests of marks share."""

import pytest
from random_marks import random_checkpoint

from asr.bundle.session import session
from asr.export.punctuation import punctuation_graph
from asr.punctuation import Punctuator


@pytest.fixture(scope="session")
def punctuator(tmp_path_factory: pytest.TempPathFactory) -> Punctuator:
    """A model that puts marks and capitals everywhere."""
    checkpoint = random_checkpoint(tmp_path_factory.mktemp("marks") / "random.ckpt")
    return Punctuator(session(punctuation_graph(checkpoint).content))
