"""Precision, recall and F1 of marks and capitals, on right and on recognised words."""

import json
from pathlib import Path

import pytest
from commands import asr

from asr.corpus import Utterance
from asr.errors import BadData
from asr.evaluation.written import (
    Clip,
    Put,
    WrittenScore,
    add_aligned,
    read_clips,
    score_clips_heard,
    score_rival,
    stretches,
)
from asr.punctuation.marks import COMMA, NONE, QUESTION, STOP, Written, parse
from asr.runtime import Recognizer


def words(text: str) -> list[Written]:
    return [word for word in parse(text) if word is not None]


def test_counts_are_those_of_a_hand_count() -> None:
    reference = words('He said, "Go." I met John there. Did you?')
    # he said go i met john there did you
    put = [Put(True), Put(), Put(True, STOP), Put(True), Put(), Put(), Put(), Put(True)]
    score = WrittenScore()
    score.add(reference, [*put, Put(False, STOP)])
    counts = {name: (c.hits, c.put, c.true) for name, c in score.counts.items() if c.true or c.put}
    assert counts == {
        "full stop": (1, 2, 2),
        "comma": (0, 0, 1),
        "question mark": (0, 0, 1),
        "all marks": (1, 2, 4),
        "sentence starts": (4, 4, 4),  # `He`, `Go` in its quotation, `I`, `Did`
        "inside sentences": (0, 0, 1),
        "  without I": (0, 0, 1),
    }
    stop = score.counts["full stop"]
    assert (stop.precision, stop.recall, stop.f1) == (0.5, 0.5, 0.5)


def test_recognised_words_are_counted_at_those_they_stand_for() -> None:
    reference = words("Yes, he ran. No")
    score = WrittenScore()
    # `fun` stands for `he`, and `uh?` was not said.
    said = ["yes", "fun", "ran", "uh", "no"]
    put = [Put(True, COMMA), Put(), Put(False, STOP), Put(False, QUESTION), Put(True)]
    add_aligned(score, reference, said, put)
    assert score.counts["comma"].f1 == score.counts["full stop"].f1 == 1.0
    assert score.counts["question mark"].put == 1
    missing = WrittenScore()
    add_aligned(missing, reference, ["yes", "no"], [Put(True, COMMA), Put(True)])
    assert missing.counts["comma"].f1 == 1.0 and missing.counts["full stop"].hits == 0
    nothing = WrittenScore()
    add_aligned(nothing, reference, [], [])
    assert nothing.counts["all marks"].put == 0 and nothing.words == 4


def test_a_perfect_rival_has_a_perfect_score(tmp_path: Path) -> None:
    path = tmp_path / "written.jsonl"
    texts = {"a": "Yes, I am John. Are you?", "b": "it rained"}
    path.write_text("".join(json.dumps({"id": i, "written": t}) + "\n" for i, t in texts.items()))
    score = score_rival(read_clips(path, None)[0], texts)
    assert all(count.f1 == 1.0 for count in score.counts.values() if count.true)
    assert score.counts["all marks"].put == 3


def written_lines(path: Path, *texts: tuple[str, str]) -> Path:
    """A file of ids and written texts, with empty lines between them."""
    path.write_text("\n\n".join(json.dumps({"id": i, "written": t}) for i, t in texts))
    return path


def test_texts_that_cannot_be_scored_are_counted_and_ids_are_once(tmp_path: Path) -> None:
    path = written_lines(tmp_path / "w.jsonl", ("a", "Yes, I am."), ("b", "It was 23."), ("c", ""))
    clips, left_out = read_clips(path, None)
    assert ([clip.id for clip in clips], left_out) == (["a"], 2)
    with pytest.raises(BadData, match="no text to score: all are empty or have numbers"):
        read_clips(written_lines(path, ("b", "It was 23.")), None)
    with pytest.raises(BadData, match="two texts of 'a'"):
        read_clips(written_lines(path, ("a", "Yes."), ("a", "No.")), None)


def test_texts_are_cut_at_numbers_and_where_lines_are_apart() -> None:
    lines = ["One two 1862 three.", "Four"]
    assert [len(part) for part in stretches(lines, apart=False)] == [2, 2]
    assert [len(part) for part in stretches(lines, apart=True)] == [2, 1, 1]
    assert all(word.mark in (NONE, STOP) for part in stretches(lines, True) for word in part)


@pytest.mark.slow
def test_the_command_scores_recordings_and_a_rival(written_bundle: Path, tmp_path: Path) -> None:
    samples = Path(__file__).parents[2] / "samples"
    manifest = tmp_path / "clips.jsonl"
    lines = [json.loads(line) for line in (samples / "transcripts.jsonl").read_text().splitlines()]
    rows = [{"id": str(i), "audio": str(samples / row["audio"])} for i, row in enumerate(lines)]
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = tmp_path / "written.jsonl"
    texts = [
        {"id": str(i), "written": f"{row['text'].capitalize()}."} for i, row in enumerate(lines)
    ]
    written.write_text("".join(json.dumps(text) + "\n" for text in texts))
    options = ["--written", "--recordings", str(manifest), "--bundle", str(written_bundle)]
    ran = asr("evaluate", str(written), *options, "--against", str(written))
    assert ran.returncode == 0, ran.stderr
    for title in ("right words, without sound", "right words, with pauses", "recognised words"):
        assert title in ran.stdout
    assert "100.0" in ran.stdout.split(str(written))[-1]
    files = [str(manifest), str(written), "--out", str(tmp_path / "spoken.jsonl")]
    listened = asr("punctuation", "listen", *files, "--bundle", str(written_bundle))
    assert listened.returncode == 2 and "no text whose words were all found" in listened.stderr
    for wrong, said in (
        (["evaluate", str(written), "--apart"], "no effect without --written"),
        (["evaluate", str(tmp_path / "gone.txt"), "--written"], "cannot be read"),
        (["punctuation", "add", str(written_bundle), str(manifest)], "damaged"),
        (["punctuation", "listen", str(manifest), str(manifest), "--out", "x"], "`written`"),
    ):
        refused = asr(
            *wrong, *(["--bundle", str(written_bundle)] if wrong[0] == "evaluate" else [])
        )
        assert refused.returncode == 2 and said in refused.stderr, refused.stderr
        assert refused.stderr.count("\n") == 1


@pytest.mark.slow
def test_stretches_are_heard_and_what_cannot_be_read_is_named(
    clips: list[Path], tmp_path: Path
) -> None:
    manifest, written = tmp_path / "clips.jsonl", tmp_path / "written.jsonl"
    first = {"id": "first", "audio": str(clips[0]), "start": 0.0, "end": 2.2}
    gone = {"id": "gone", "audio": "gone.wav"}
    manifest.write_text(f"{json.dumps(first)}\n{json.dumps(gone)}\n")
    texts = {"first": "The man said to the universe,", "gone": "Sir."}
    written_lines(written, *texts.items())
    scored = asr("evaluate", str(written), "--written", "--recordings", str(manifest))
    named = f"asr: {manifest}:2: {tmp_path / 'gone.wav'} does not exist: check the path\n"
    assert scored.returncode == 1 and named in scored.stderr
    assert "right words, with pauses (1 clip left out): 6 words" in scored.stdout
    heard = scored.stdout.split("recognised words")[1]
    assert "comma" in heard and "full stop" not in heard
    out = tmp_path / "spoken.jsonl"
    listened = asr("punctuation", "listen", str(manifest), str(written), "--out", str(out))
    assert listened.returncode == 1 and named in listened.stderr
    assert listened.stderr.endswith(f"1 recording in {out}; 1 left out\n")
    written_lines(written, ("gone", "Sir."))
    before = out.read_bytes()
    listened = asr("punctuation", "listen", str(manifest), str(written), "--out", str(out))
    assert listened.returncode == 2 and out.read_bytes() == before
    assert "no text whose words were all found" in listened.stderr


def test_a_text_without_words_is_a_sentence(written_bundle: Path, tmp_path: Path) -> None:
    text = tmp_path / "none.txt"
    text.write_text("\n")
    done = asr("evaluate", text, "--written", "--bundle", written_bundle)
    assert done.returncode == 2 and not done.stdout
    assert done.stderr.startswith(f"asr: {text} has no words to score") and done.stderr[-1] == "\n"


@pytest.mark.slow
def test_a_recording_that_cannot_be_read_is_not_left_out_unasked(
    written_bundle: Path, tmp_path: Path
) -> None:
    gone = Utterance("gone", tmp_path / "gone.wav", "sir", 1)
    clip = Clip("gone", gone, words("Sir."))
    recognizer = Recognizer.load(written_bundle)
    with pytest.raises(BadData, match=r"gone\.wav does not exist: check the path\.$"):
        score_clips_heard(recognizer, [clip])
    named: list[str] = []
    _, _, missed = score_clips_heard(
        recognizer, [clip], failed=lambda why: named.append(why.reason)
    )
    assert missed == len(named) == 1
