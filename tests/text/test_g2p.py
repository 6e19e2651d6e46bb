"""Graphones, their n-gram model, and the search in both directions."""

import io
import zipfile
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from asr.errors import BadData, BadOption
from asr.text.pronunciations import G2P, Pronunciations, measure, pronounce, split, train
from asr.text.pronunciations.alignment import align
from asr.text.pronunciations.estimation import estimate, largest, losses
from asr.text.pronunciations.ngram import NGram

PART = Path(__file__).parents[1] / "data" / "lexicon" / "cmudict-part.dict"
ENTRIES = st.lists(
    st.tuples(
        st.lists(st.integers(1, 4), min_size=1, max_size=6),
        st.lists(st.integers(1, 3), min_size=0, max_size=9),
    ),
    min_size=1,
    max_size=12,
)
ROWS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6), min_size=1, max_size=12)


@cache
def dictionary() -> Pronunciations:
    return Pronunciations.load(PART)


@cache
def trained() -> G2P:
    return train(dictionary()).g2p


@settings(deadline=None)
@given(ENTRIES)
def test_graphones_spell_letters_and_phones(entries: list[tuple[list[int], list[int]]]) -> None:
    found = align(entries)
    for number, (letters, phones) in enumerate(entries):
        assert (number in found.rows) == (0 < len(phones) <= 2 * len(letters))
        if number in found.rows:
            graphones = found.graphones[found.rows[number]]
            assert graphones[:, 0].tolist() == letters
            said = graphones[:, 1:].ravel()
            assert said[said > 0].tolist() == phones


def test_letters_find_the_phones_they_stand_for() -> None:
    words = {"ab": "A B", "ba": "B A", "abb": "A B", "bab": "B A B", "xa": "K S A", "ax": "A K S"}
    g2p = train(Pronunciations({word: [phones.split()] for word, phones in words.items()})).g2p
    names = {
        (g2p.letters[g[0] - 1], *(g2p.phones[p - 1] for p in g[1:] if p)) for g in g2p.graphones
    }
    assert names == {("a", "A"), ("b", "B"), ("b",), ("x", "K", "S")}


@settings(deadline=None)
@example([[0], [0], [0], [0, 0, 2], [1, 2]], 2, 5)  # its discounts take nothing off a context
@given(ROWS, st.integers(2, 5), st.integers(5, 60))
def test_every_context_sums_to_one(rows: list[list[int]], order: int, kept: int) -> None:
    size = 6  # with START and END
    model, history = estimate([np.array(row) for row in rows], size, order)
    for some in (model, largest(model, losses(model, history), kept)):
        states = np.unique(some.after)
        followers = np.array([0, 1, 2, 3, 5])  # START follows nothing
        scores, _ = some.score(np.repeat(states, 5), np.tile(followers, len(states)))
        sums = np.exp(scores.astype(np.float64)).reshape(-1, 5).sum(axis=1)
        assert sums == pytest.approx(1.0, abs=1e-4)
        assert len(some.keys) - 1 <= max(len(model.scores), kept, size)


def test_kneser_ney_by_hand() -> None:
    """Two rows, `0 1` and `0 0 1`, over 0, 1: bigrams with the discounts of too small a text."""
    model, _ = estimate([np.array([0, 1]), np.array([0, 0, 1])], 4, 2)
    start, end = 2, 3
    # Contexts seen before each: 0 after START and 0; 1 after 0; END after 1: 4 in all.
    unigram = {0: (2 - 1.0) / 4, 1: (1 - 0.5) / 4, end: (1 - 0.5) / 4, start: 0.0}
    given_away = 1 - sum(unigram.values())
    assert len(model.scores) == 4 + 4
    for symbol, value in unigram.items():
        if symbol != start:
            expected = value + given_away / 3
            assert np.exp(model.scores[symbol]) == pytest.approx(expected)
    # After 0: 0 once, 1 twice.
    rest = (0.5 + 1.0) / 3
    score, _ = model.score(np.array([model.after[0]]), np.array([1]))
    lower = unigram[1] + given_away / 3
    assert np.exp(score[0]) == pytest.approx((2 - 1.0) / 3 + rest * lower)


@pytest.mark.slow
def test_learnt_words_are_said_and_spelled_right() -> None:
    words = [word for word in dictionary().words if len(word) > 2]
    guesses = trained().pronounce_all(words, 3)
    right = sum(row[0].phones in dictionary().of(w) for w, row in zip(words, guesses, strict=True))
    assert right > 0.95 * len(words)
    spellings = trained().spell_all([dictionary().of(word)[0] for word in words], 5)
    among = sum(w in [s.word for s in row] for w, row in zip(words, spellings, strict=True))
    assert among > 0.9 * len(words)
    for row in [*guesses, *spellings]:
        chances = [guess.probability for guess in row]
        assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1 + 1e-9
    for row in guesses:
        assert len({guess.phones for guess in row}) == len(row)


def test_the_search_finds_what_trying_all_ways_finds() -> None:
    entries = {"ab": [["A", "B"]], "aab": [["A", "B"]], "ba": [["B", "A", "A"]], "b": [["B"]]}
    g2p = train(Pronunciations(entries), order=3).g2p
    for word in ("ab", "bb", "aba", "baab"):
        options = [np.flatnonzero(g2p.graphones[:, 0] == g2p.letters.index(c) + 1) for c in word]
        totals: dict[tuple[str, ...], float] = {}
        for row in product(*options):
            said = g2p.graphones[list(row), 1:].ravel()
            phones = tuple(g2p.phones[p - 1] for p in said if p)
            totals[phones] = totals.get(phones, 0.0) + np.exp(log_probability(g2p.model, row))
        best = sorted(totals, key=lambda phones: -totals[phones])[:2]
        found = g2p.pronounce(word, 2)
        assert [guess.phones for guess in found] == best
        every = sum(totals.values())
        for guess in found:
            assert guess.probability == pytest.approx(totals[guess.phones] / every, rel=1e-3)


def log_probability(model: NGram, row: tuple[int, ...]) -> float:
    state, total = model.start, 0.0
    for graphone in (*row, model.vocabulary - 1):
        score, after = model.score(np.array([state]), np.array([graphone]))
        state, total = int(after[0]), total + float(score[0])
    return total


@pytest.mark.slow
@settings(deadline=None, max_examples=20)
@given(st.lists(st.text("abcdefghijklmnop", min_size=1, max_size=9), min_size=2, max_size=8))
def test_company_changes_no_word(words: list[str]) -> None:
    together = trained().pronounce_all(words, 3)
    assert together == [trained().pronounce(word, 3) for word in words]
    rows = [row[0].phones for row in together if row[0].phones]
    assert trained().spell_all(rows, 2) == [trained().spell(row, 2) for row in rows]


def test_a_file_gives_the_model_again(tmp_path: Path) -> None:
    path = tmp_path / "g2p.npz"
    trained().save(path)
    again = G2P.load(path)
    assert (again.letters, again.phones) == (trained().letters, trained().phones)
    assert np.array_equal(again.graphones, trained().graphones)
    assert np.array_equal(again.model.keys, trained().model.keys)
    assert again.model.scores == pytest.approx(trained().model.scores, abs=0.05)
    words = dictionary().words[::7]
    said = [[row[0].phones for row in g.pronounce_all(words)] for g in (again, trained())]
    assert sum(a != b for a, b in zip(*said, strict=True)) <= len(words) // 20
    again.save(tmp_path / "again.npz")
    assert G2P.load(tmp_path / "again.npz").pronounce("theirs", 4) == again.pronounce("theirs", 4)


def test_training_is_the_same_each_time() -> None:
    assert train(dictionary()).g2p.packed() == trained().packed()


def test_a_smaller_file_is_kept_to() -> None:
    whole = len(trained().packed())
    small = train(dictionary(), max_size=whole // 2).g2p
    assert 0.4 * whole < len(small.packed()) <= whole // 2
    assert small.pronounce("the")[0].phones in dictionary().of("the")
    with pytest.raises(BadOption, match="graphones alone take"):
        train(dictionary(), max_size=100)


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g2p.npz"
    trained().save(path)
    content = path.read_bytes()
    with np.load(path) as file:
        arrays = dict(file)
    for bad in (b"", b"text", content[: len(content) // 2]):
        path.write_bytes(bad)
        with pytest.raises(BadData, match="no pronunciation model"):
            G2P.load(path)
    for name in arrays:
        spoiled = io.BytesIO()
        np.savez_compressed(spoiled, **{**arrays, name: arrays[name][..., :-1]})
        path.write_bytes(spoiled.getvalue())
        with pytest.raises(BadData, match="no pronunciation model"):
            G2P.load(path)
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("about.npy", b"{}")
    with pytest.raises(BadData, match="no pronunciation model"):
        G2P.load(path)
    with pytest.raises(BadData, match="cannot be read"):
        G2P.load(tmp_path / "none.npz")


def test_what_cannot_be_said_is_refused() -> None:
    assert trained().unknown("türe 3") == {"ü", " ", "3"}
    for word, reason in (("türe", "'ü'"), ("", "0 symbols"), ("a" * 201, "201 symbols")):
        with pytest.raises(BadData, match=reason):
            trained().pronounce(word)
    with pytest.raises(BadData, match="no phone 'Q'"):
        trained().spell(["Q"])
    with pytest.raises(BadOption, match="nbest 0"):
        trained().pronounce("a", 0)
    with pytest.raises(BadOption, match="order 1"):
        train(dictionary(), order=1)
    with pytest.raises(BadData, match="nothing to learn from"):
        train(Pronunciations({"a": [["B", "C", "D"]]}))


def test_words_too_short_for_their_phones_are_told() -> None:
    result = train(Pronunciations({"ab": [["A", "B"]], "c": [["K", "A", "B", "K"]]}))
    assert result.left_out == ("c",)
    assert result.g2p.letters == "ab" and result.g2p.phones == ("A", "B")


def test_held_out_words_are_measured() -> None:
    known, rest = split(dictionary(), 0.2)
    assert not {word[:5] for word in known} & {word[:5] for word in rest}
    assert 0.1 < len(rest) / len(dictionary()) < 0.3
    found = measure(train(known).g2p, rest)
    assert 0.1 < found.phone_errors < 0.6  # of 700 words
    assert found.words_missed <= found.words_wrong and found.spelled <= found.spelled_among
    with pytest.raises(BadData, match="no held-out words"):
        measure(trained(), Pronunciations({}))


def test_other_scripts_and_phones_are_learnt() -> None:
    words = {"мама": "m a m a", "яма": "j a m a", "мая": "m a j a", "ам": "a m"}
    g2p = train(Pronunciations({word: [said.split()] for word, said in words.items()})).g2p
    assert g2p.pronounce("маяма")[0].phones == ("m", "a", "j", "a", "m", "a")
    assert g2p.spell(["j", "a", "m", "a"])[0].word == "яма"
    found = measure(g2p, Pronunciations({"мама": [["m", "a", "s"]], "яма": [["j", "a", "m", "a"]]}))
    assert (found.words, found.spelled) == (2, 0.5)  # the first has a phone that is new


def test_the_dictionary_goes_before_the_model() -> None:
    own = Pronunciations({"the": [["TH", "AH"]]})
    known, form, guessed, foreign = pronounce(
        ["the", "thing's", "things", "ü"], own, trained(), nbest=2
    )
    assert (known.said, known.source) == ((("TH", "AH"),), "dictionary")
    assert form.source == "form" and form.said[0][-1] == "Z"
    assert guessed.source == "model" and 1 <= len(guessed.said) <= 2
    assert foreign.said == ()
