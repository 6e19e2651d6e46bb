"""Hot words: what they earn, and when it is taken back."""

import pytest
import torch

from asr.decoding import BeamSearch, BeamSettings
from asr.decoding.hotwords import MAX_LETTERS, automaton
from asr.errors import BadOption
from asr.text import CharacterTokenizer, SubwordTokenizer, Tokenizer

CHARACTERS = CharacterTokenizer()
BOOST = BeamSettings(hotword_boost=1.0)


@pytest.fixture(scope="module")
def subwords() -> SubwordTokenizer:
    texts = ["new york and the city of york", "an ann in new england", "a town nearby"] * 20
    return SubwordTokenizer.learn(texts, 26)


@pytest.fixture(params=["characters", "subwords"])
def tokenizer(request: pytest.FixtureRequest, subwords: SubwordTokenizer) -> Tokenizer:
    return CHARACTERS if request.param == "characters" else subwords


def earned(tokenizer: Tokenizer, hotwords: list[str], text: str) -> tuple[list[float], float]:
    """What each unit of the text adds, and what remains at the end."""
    found = automaton(hotwords, tokenizer, None, BOOST)
    state, gains = 0, []
    for unit in tokenizer.encode(text):
        cell = state * tokenizer.n_units + unit
        gains.append(float(found.gain[cell]))
        state = int(found.target[cell])
    return gains, sum(gains) + float(found.finish[state])


@pytest.mark.parametrize(
    ("hotwords", "text", "total"),
    [
        (["ann"], "ann", 3),
        (["ann"], "an", 0),
        (["ann"], "nann", 0),
        (["ann"], "anna", 0),
        (["ann"], "ann in", 3),
        (["ann"], "in ann", 3),
        (["ann"], "ann ann", 6),
        (["ann", "Ann!", "ANN"], "ann", 3),
        (["new york"], "new york", 7),
        (["new york"], "new yor", 0),
        (["new york"], "new new york", 7),
        (["new york", "york"], "new york", 11),
        (["new york", "york city"], "new york city", 15),
        (["new york city", "york"], "new york in", 4),
        (["ann", "ann in"], "ann in", 8),
        (["an", "an an an"], "an an an an", 20),
    ],
)
def test_what_a_text_earns(
    tokenizer: Tokenizer, hotwords: list[str], text: str, total: float
) -> None:
    assert earned(tokenizer, hotwords, text)[1] == pytest.approx(total)


def test_the_boost_comes_letter_by_letter_and_goes_when_the_spelling_parts() -> None:
    gains, total = earned(CHARACTERS, ["new york"], "new yoga")
    assert gains == [1, 1, 1, 0, 1, 1, -5, 0]
    assert total == 0


def test_a_name_is_read_that_the_lattice_alone_would_miss() -> None:
    units = CHARACTERS.encode("ana")
    log_probs = torch.full((1, 3, CHARACTERS.n_units), 1e-4).log()
    log_probs[0, range(3), units] = torch.tensor([0.99, 0.7, 0.99]).log()
    log_probs[0, 1, CHARACTERS.encode("v")] = torch.tensor(0.2).log()
    search = BeamSearch(CHARACTERS)

    def text(*hotwords: str) -> str:
        ((best,),) = search(log_probs, torch.tensor([3]), BOOST, hotwords)
        return CHARACTERS.decode(best.units)

    assert text() == "ana"
    assert text("Ava") == text("ava", "bob") == "ava"
    assert text("avas") == "ana"


@pytest.mark.parametrize(
    ("hotwords", "message"),
    [
        (["ann", "Łódź"], "hot word 'Łódź' has 'ó', 'ł', 'ź', which this model cannot spell"),
        (["R2D2"], "'2'"),
        (["?!"], "hot word '\\?!' has no letters; leave it out."),
        ([""], "no letters"),
        ([f"{'a' * n}" for n in range(1, 300)], f"over the limit of {MAX_LETTERS}"),
    ],
)
def test_refusals(hotwords: list[str], message: str) -> None:
    search = BeamSearch(CHARACTERS)
    nothing = torch.zeros((0, 0, CHARACTERS.n_units)), torch.zeros(0, dtype=torch.int64)
    with pytest.raises(BadOption, match=message):
        search(*nothing, BOOST, hotwords)
