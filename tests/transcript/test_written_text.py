"""Transcripts whose words know how they are written: segments, paragraphs, subtitles, numbers."""

import json
from dataclasses import replace

from asr.transcript import Layout, Transcript, Word, cues, paragraphs, write

SAID = "in nineteen forty five she left , he stayed . was it so ? yes it was so we think"


def words(text: str, pauses: dict[int, float] | None = None) -> tuple[Word, ...]:
    """Words of 0.4 s; a mark stands behind the word before it, and a number is one word."""
    made: list[Word] = []
    now = 0.0
    for plain in text.split():
        if plain in (",", ".", "?"):
            last = made[-1]
            made[-1] = Word(last.text, last.start, last.end, 0.5, None, f"{last.written}{plain}")
            continue
        written = {"nineteen": "1945", "forty": "", "five": ""}.get(plain, plain)
        begins = not made or (made[-1].written or "").endswith((".", "?"))
        made.append(
            Word(plain, now, now + 0.4, 0.5, None, written.capitalize() if begins else written)
        )
        now += 0.45 + (pauses or {}).get(len(made), 0.0)
    return tuple(made)


def transcript(said: tuple[Word, ...], duration: float = 30.0) -> Transcript:
    return Transcript.of(said, duration)


def test_the_text_is_written_and_the_words_are_plain() -> None:
    said = transcript(words(SAID))
    assert said.text == "In 1945 she left, he stayed. Was it so? Yes it was so we think"
    assert " ".join(word.text for word in said.words) == SAID.replace(" ,", "").replace(
        " .", ""
    ).replace(" ?", "")
    values = json.loads(write(said, "json"))
    assert [word["written"] for word in values["words"][:4]] == ["In", "1945", "", ""]
    assert write(said, "ctm").splitlines()[1].split()[4] == "nineteen"


def test_sentences_are_segments() -> None:
    said = transcript(words(SAID))
    texts = ["In 1945 she left, he stayed.", "Was it so?", "Yes it was so we think"]
    assert [segment.text for segment in said.segments] == texts
    assert said.segments[1].plain == "was it so"
    rows = write(said, "tsv").splitlines()
    assert [row.split("\t")[2] for row in rows[1:]] == texts


def test_a_number_of_several_words_that_ends_a_sentence_stays_whole() -> None:
    written = {"left": "Left", "in": "in", "nineteen": "1945.", "forty": "", "five": "", "he": "He"}
    said = transcript(
        tuple(
            Word(text, 0.5 * at, 0.5 * at + 0.4, 0.5, None, shown)
            for at, (text, shown) in enumerate(written.items())
        ),
        90.0,
    )
    assert [segment.text for segment in said.segments] == ["Left in 1945.", "He"]
    assert said.segments[0].ends_sentence and not said.segments[1].ends_sentence
    paused = replace(said.words[-1], start=5.0, end=5.4)  # after 2.6 s: a paragraph
    parts = paragraphs(transcript((*said.words[:-1], paused), 90.0).segments)
    assert [part[0].text for part in parts] == ["Left in 1945.", "He"]


def test_a_long_pause_within_a_sentence_still_cuts() -> None:
    said = transcript(words("she left and he stayed", {2: 1.0}))
    assert [segment.text for segment in said.segments] == ["She left", "and he stayed"]


def test_words_without_marks_are_cut_by_pauses_alone() -> None:
    plain = tuple(Word(f"mr.{at}.", 0.5 * at, 0.5 * at + 0.4, 0.5) for at in range(4))
    assert len(transcript(plain).segments) == 1


def test_paragraphs_end_with_sentences() -> None:
    text = "one two . three four . six ten . seven eight ."
    # After the third word 2.5 s, within a sentence; after the fourth as long, at its end.
    said = transcript(words(text, {3: 2.5, 4: 2.5}), 90.0)
    found = [" ".join(part.text for part in one) for one in paragraphs(said.segments)]
    assert found == ["One two. Three four.", "Six ten. Seven eight."]


def test_a_paragraph_ends_where_the_text_says_so_and_the_speaker_pauses() -> None:
    said = words("one two . three four . six ten .", {2: 1.0})
    ended = tuple(
        Word(w.text, w.start, w.end, w.confidence, None, w.written, ends_paragraph=True)
        for w in said
    )
    found = [" ".join(part.text for part in one) for one in paragraphs(transcript(ended).segments)]
    assert found == ["One two.", "Three four. Six ten."]


def test_a_subtitle_breaks_at_a_full_stop_before_a_comma_and_there_before_a_pause() -> None:
    layout = Layout(max_line_width=30, max_line_count=1)
    long = "aaaa bbbb cccc . dddd eeee ffff gggg"
    assert shown(words(long), layout) == ["Aaaa bbbb cccc.", "Dddd eeee ffff gggg"]
    clause = "aaaa bbbb cccc , dddd eeee ffff gggg"
    assert shown(words(clause), layout) == ["Aaaa bbbb cccc,", "dddd eeee ffff gggg"]
    # A pause of 0.3 s behind the fourth word draws less than the comma behind the third.
    assert shown(words(clause, {4: 0.3}), layout)[0] == "Aaaa bbbb cccc,"
    assert shown(words(clause.replace(" ,", ""), {4: 0.3}), layout)[0] == "Aaaa bbbb cccc dddd"


def test_a_subtitle_holds_a_number_whole() -> None:
    said = words("it was in nineteen forty five")
    for width in range(8, 30):
        lines = shown(said, Layout(max_line_width=width, max_line_count=1))
        assert " ".join(lines) == "It was in 1945"
    (cue,) = cues(said, 30.0)
    number = cue.rows[-1][-1]
    assert (number.text, number.start, number.end) == ("1945", said[3].start, said[5].end)
    vtt = write(transcript(said), "vtt", layout=Layout(highlight_words=True))
    assert "<c>1945</c>" in vtt and "nineteen" not in vtt


def test_channels_are_written_each_by_itself() -> None:
    left, right = transcript(words("one two .")), transcript(words("three four ?"))
    both = Transcript.together([left, right])
    assert sorted(segment.text for segment in both.segments) == ["One two.", "Three four?"]


def shown(said: tuple[Word, ...], layout: Layout) -> list[str]:
    return [" ".join(cue.lines) for cue in cues(said, 30.0, layout)]


def test_a_number_stays_whole_where_a_move_makes_its_pause_longer() -> None:
    said = transcript(
        (
            Word("nineteen", 0.0, 0.4, 0.5, None, "1940"),
            Word("forty", 1.2, 1.6, 0.5, None, ""),
            Word("yes", 1.6, 2.0, 0.5, None, "yes"),
        )
    )
    moved = Transcript.together([said], 0.1)
    a, b = moved.words[:2]
    assert said.words[1].start - said.words[0].end < 0.8 <= b.start - a.end  # by rounding
    assert [segment.text for segment in moved.segments] == [moved.text] == ["1940 yes"]
    assert [cue.lines for cue in cues(moved.words, 5.0)] == [("1940 yes",)]
