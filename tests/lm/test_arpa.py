"""ARPA files: written and read back, and every fault that one may have."""

import gzip
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ngrams import estimated, quiet

from asr.errors import BadData, BadOption
from asr.lm import NGram
from asr.lm.arpa import read_arpa, write_arpa
from asr.text import CharacterTokenizer

GOOD = """\
A comment before the header.

\\data\\
ngram 1=5
ngram 2=4
ngram 3=1

\\1-grams:
-1.0\t<UNK>
-99\t<s>\t-0.30103
-0.5\t</s>
-0.4\tTHE\t-0.2
-0.7\tCat's\t-0.1

\\2-grams:
-0.1 <s> THE -0.25
-0.2 THE Cat's
-0.6 THE </s>
-0.3 Cat's </s>

\\3-grams:
-0.05 <s> THE Cat's

\\end\\
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "model.arpa"
    path.write_text(text, encoding="utf-8")
    return path


def ask(model: NGram, *words: str) -> float:
    """Base-10 logarithm of the last word after the others at the start of a sentence."""
    state = np.array([model.start])
    for word in words:
        id = model.vocabulary.index(word) if word in model.vocabulary else 0
        score, state = model.score(state, np.array([id]))
    return score.item() / math.log(10)


def test_a_file_means_what_it_says(tmp_path: Path) -> None:
    model = read_arpa(written(tmp_path, GOOD), None, quiet)
    assert model.vocabulary == ("<unk>", "the", "cat's", "<s>", "</s>")
    assert model.sizes == (5, 4, 1)
    assert ask(model, "the", "cat's") == pytest.approx(-0.05)
    assert ask(model, "the", "</s>") == pytest.approx(-0.25 - 0.6)
    assert ask(model, "the", "the") == pytest.approx(-0.25 - 0.2 - 0.4)
    assert ask(model, "cat's") == pytest.approx(-0.30103 - 0.7)
    assert ask(model, "dog") == pytest.approx(-0.30103 - 1.0)
    assert ask(model, "the", "cat's", "</s>") == pytest.approx(-0.3)


def test_there_and_back(tmp_path: Path) -> None:
    model = estimated(tmp_path, ["a b c a b", "b a c c", "c a", "été à b"], 4).model
    path = tmp_path / "model.arpa"
    write_arpa(model, path, quiet)
    (tmp_path / "model.arpa.gz").write_bytes(gzip.compress(path.read_bytes()))
    for source in (path, tmp_path / "model.arpa.gz"):
        again = read_arpa(source, None, quiet)
        assert (again.kind, again.vocabulary, again.sizes) == (
            model.kind, model.vocabulary, model.sizes,
        )  # fmt: skip
        assert (again.keys == model.keys).all()
        assert (again.leads == model.leads).all() and (again.shorter == model.shorter).all()
        assert np.allclose(again.scores, model.scores, atol=1e-5)
        assert np.allclose(again.backoffs, model.backoffs, atol=1e-5)


def test_no_probability_is_written_as_more_than_one(tmp_path: Path) -> None:
    """As a score may be that was coded in few bits; KenLM refuses such a file."""
    model = estimated(tmp_path, ["a b c a b", "b a c c", "c a"], 3).model
    path = tmp_path / "model.arpa"
    write_arpa(replace(model, scores=np.full_like(model.scores, 0.004)), path, quiet)
    assert (read_arpa(path, None, quiet).scores <= 0.0).all()


def test_units_there_and_back(tmp_path: Path) -> None:
    units = CharacterTokenizer(" abc")
    model = estimated(tmp_path, ["ab ba", "abba"], 3, tokenizer=units).model
    path = tmp_path / "units.arpa"
    write_arpa(model, path, quiet)
    again = read_arpa(path, units, quiet)
    assert again.vocabulary == model.vocabulary and (again.keys == model.keys).all()
    assert again.kind == "units"
    with pytest.raises(BadOption, match=r"units\.arpa is a model of other units than the bundle's"):
        read_arpa(path, CharacterTokenizer(" xyz"), quiet)
    more = read_arpa(path, CharacterTokenizer(" dabc"), quiet)
    assert more.unigram[1 + " dabc".index("d")] < -200  # the model never saw it


@pytest.mark.parametrize(
    ("old", "new", "line", "reason"),
    [
        ("\\data\\", "\\date\\", 3, r"no \\data\\ so far"),
        (GOOD, "hello\nworld\n", 3, r"no \\data\\ so far"),
        (GOOD, "", 1, r"no \\data\\ so far"),
        ("ngram 1=5\n", "", 4, "`ngram 1=COUNT` must stand here"),
        ("ngram 2=4", "ngram 2=four", 5, "`ngram 2=COUNT` must stand here"),
        ("ngram 2=4", "ngram 3=4", 5, "`ngram 2=COUNT` must stand here"),
        ("ngram 2=4", "ngram 2=0", 8, "COUNT that is not 0"),
        ("ngram 2=4", "ngram 2=-4", 5, "`ngram 2=COUNT` must stand here"),
        ("ngram 1=5", "ngram 1=4", 13, r"\\2-grams: must stand here"),
        ("ngram 1=5", "ngram 1=6", 15, "only 5 1-grams, and the header says 6"),
        ("ngram 2=4", "ngram 2=9", 21, "only 4 2-grams, and the header says 9"),
        ("ngram 3=1", "ngram 3=2", 24, "only 1 3-grams, and the header says 2"),
        ("\\2-grams:", "\\two-grams:", 15, r"\\2-grams: must stand here"),
        ("\\end\\\n", "", 24, r"\\end\\ must stand here"),
        ("-0.4\tTHE", "nan\tTHE", 12, "no number that can be"),
        ("-0.4\tTHE", "-inf\tTHE", 12, "no number that can be"),
        ("-0.4\tTHE", "0.4\tTHE", 12, "no number that can be"),
        ("-0.4\tTHE", "x\tTHE", 12, "no number that can be"),
        ("-0.1 <s> THE -0.25", "-0.1 <s> THE NaN", 16, "no number that can be"),
        ("-0.1 <s> THE -0.25", "-0.1 <s>", 16, "2 words and a back-off must stand here"),
        ("-0.3 Cat's </s>", "-0.3 Cat's </s> -1 -1", 19, "2 words and a back-off must stand here"),
        ("-0.7\tCat's", "-0.7\tthe", 13, "the n-gram of line 12 stands here again"),
        ("-0.3 Cat's </s>", "-0.3 THE </s>", 19, "the n-gram of line 18 stands here again"),
        ("-0.3 Cat's </s>", "-0.3 dog </s>", 19, "'dog' is none of the 1-grams"),
        ("<s> THE Cat's\n", "Cat's THE Cat's\n", 22, "the 2-gram that it begins with is missing"),
        ("-0.5\t</s>", "-0.5\tmore", 13, "no 1-gram is </s>"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, line: int, reason: str
) -> None:
    assert GOOD.count(old) == 1
    path = written(tmp_path, GOOD.replace(old, new))
    with pytest.raises(BadData, match=rf"model.arpa, line {line}: .*{reason}.*; mend the ARPA"):
        read_arpa(path, None, quiet)


def test_a_file_that_is_not_utf8_or_torn(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(GOOD.replace("THE", "TH\xc9").encode("latin-1"))
    with pytest.raises(BadData, match=r"line 12: .* is not UTF-8"):
        read_arpa(path, None, quiet)
    packed = tmp_path / "model.arpa.gz"
    packed.write_bytes(gzip.compress(GOOD.encode())[:-20])
    with pytest.raises(BadData, match=r"model.arpa.gz cannot be read|only|must stand"):
        read_arpa(packed, None, quiet)
