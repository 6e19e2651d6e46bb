"""Hot words: their bonus, and when the search takes it back."""

from pathlib import Path

import numpy as np
import pytest
from ngrams import estimated

from asr.decoding.beam import BeamSearch, Spellings
from asr.decoding.beam.hotwords import MAX_LETTERS
from asr.errors import BadOption
from asr.options import BeamSettings
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


def certain(units: list[int], n_units: int) -> np.ndarray:
    """`(U, V)` of a lattice that says just these units."""
    frames = np.full((2 * len(units), n_units), -50.0, dtype=np.float32)
    frames[range(0, len(frames), 2), units] = 0.0
    frames[1::2, 0] = 0.0
    return frames


def earned(tokenizer: Tokenizer, hotwords: list[str], text: str) -> float:
    lattice = certain(tokenizer.encode(text), tokenizer.n_units)
    ((best,),) = BeamSearch.by_spelling(tokenizer)([lattice], BOOST, hotwords)
    assert best.text == text
    return best.language


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
    assert earned(tokenizer, hotwords, text) == pytest.approx(total)


def test_the_boost_comes_letter_by_letter() -> None:
    # In a beam of one a name is found only if its first letters are worth something already.
    lattice = certain(CHARACTERS.encode("zoe"), CHARACTERS.n_units)
    lattice[0, CHARACTERS.encode("s")] = 0.5
    settings = BeamSettings(size=1, hotword_boost=1.0)
    search = BeamSearch.by_spelling(CHARACTERS)
    assert [search([lattice], settings, hot)[0][0].text for hot in ([], ["zoe"])] == ["soe", "zoe"]


def test_without_a_boost_only_the_price_of_an_unknown_word_is_saved(tmp_path: Path) -> None:
    search = BeamSearch.by_spelling(CHARACTERS, estimated(tmp_path, ["ann", "ann in"], 2).model)
    settings = BeamSettings(hotword_boost=0.0, unknown_price=7.0)

    def worth(text: str, *hotwords: str) -> float:
        ((best,),) = search([certain(CHARACTERS.encode(text), 29)], settings, hotwords)
        assert best.text == text
        return best.language

    assert worth("ann", "ann") == worth("ann")
    assert worth("zoe", "zoe") == pytest.approx(worth("zoe") + 7.0)


def test_a_name_is_read_that_the_lattice_alone_would_miss() -> None:
    lattice = np.full((3, CHARACTERS.n_units), 1e-4)
    lattice[range(3), CHARACTERS.encode("ana")] = [0.99, 0.7, 0.99]
    lattice[1, CHARACTERS.encode("v")] = 0.2
    search = BeamSearch.by_spelling(CHARACTERS)

    def text(*hotwords: str) -> str:
        ((best,),) = search([np.log(lattice)], BOOST, hotwords)
        return best.text

    assert text() == "ana"
    assert text("Ava") == text("ava", "bob") == "ava"
    assert text("avas") == "ana"


def test_of_words_that_sound_alike_the_hot_one_is_read(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["right", "right", "wright", "a wright"], 2).model
    ids = {word: id for id, word in enumerate(model.vocabulary)}
    sounds = Spellings.of([(ids["right"], [3, 4]), (ids["wright"], [3, 4]), (ids["a"], [2])])
    search = BeamSearch.by_sound(sounds, model, n_units=5, space=1)
    lattice = certain([3, 4], 5)

    def text(*hotwords: str) -> str:
        return search([lattice], BOOST, hotwords)[0][0].text

    assert (text(), text("Wright"), text("a wright")) == ("right", "wright", "right")
    with pytest.raises(BadOption, match="hot word 'wrong' is not among the words that this model"):
        text("wrong")


def test_a_hot_word_that_no_lexicon_has_is_written_as_it_is_pronounced(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["right", "right", "wright", "a wright"], 2).model
    ids = {word: id for id, word in enumerate(model.vocabulary)}
    sounds = Spellings.of([(ids["right"], [3, 4]), (ids["a"], [2])])
    ways = {"wrighte": [[3, 4]], "wright": [[3, 2], [3, 3]], "ryte": [[4, 3], [4, 2, 4]]}
    search = BeamSearch.by_sound(
        sounds, model, 5, space=1, pronounce=lambda words: [ways.get(word, []) for word in words]
    )

    def text(units: list[int], *hotwords: str) -> str:
        return search([certain(units, 5)], BOOST, hotwords)[0][0].text

    assert text([3, 4]) == text([3, 4], "ryte") == "right"
    assert text([4, 3], "Ryte") == text([4, 2, 4], "ryte") == "ryte"
    assert text([3, 2], "wright", "ryte") == "wright"  # the language model knows that one
    assert text([4, 3, 1, 3, 4], "ryte") == "ryte right"
    assert text([3, 4], "wrighte") == "wrighte"  # sounds as a word that is likelier without
    assert text([3, 4, 1, 4, 3], "right ryte") == "right ryte"
    ways["rayte"] = ways["ryte"]  # of two that sound alike the first is written
    assert text([4, 3], "ryte", "rayte") == "ryte"
    with pytest.raises(BadOption, match="hot word 'wrong' is not among the words that this model"):
        text([3, 4], "ryte wrong")
    assert text([3, 4]) == "right"


@pytest.mark.parametrize(
    ("hotwords", "message"),
    [
        (["ann", "Łódź"], "hot word 'Łódź' has 'ó', 'ł', 'ź', which this model cannot spell"),
        (["R2D2"], "'2'"),
        (["R2D2", "ann", "C3"], r"spell, and so has 1 other \('C3'\); write it in"),
        ([f"x{n}" for n in range(99)], r"so have 98 others \('x1', .*'x10', …\); write"),
        (["7" * 5_000], r"hot word '7{200}…' has '7', which"),
        (["?!"], "hot word '\\?!' has no letters; leave it out."),
        ([""], "no letters"),
        ([f"{'a' * n}" for n in range(1, 300)], f"over the limit of {MAX_LETTERS}"),
    ],
)
def test_refusals(hotwords: list[str], message: str) -> None:
    with pytest.raises(BadOption, match=message):
        BeamSearch.by_spelling(CHARACTERS)([], BOOST, hotwords)
