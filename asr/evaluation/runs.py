"""The last validations of training runs, compared clip by clip."""

import json
from pathlib import Path

from asr.counting import counted
from asr.errors import BadData
from asr.evaluation.compare import Comparison, compare, in_order
from asr.evaluation.evaluate import Clip, Evaluation, score_clips
from asr.text import PLAIN

_HEARD = "heard.jsonl"


def read_validation(run: Path) -> Evaluation:
    """What a run transcribed in its last validation, in normal form.

    Raises:
        BadData: the run has not validated yet, or its file is damaged.
    """
    path = run / _HEARD
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        clips = tuple(_clip(line) for line in lines)
    except OSError as error:
        raise BadData(
            f"{run} has no validation to compare ({_HEARD}: {error.strerror}); name the folder of "
            "a run of `asr fit` that has reached one."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{path} is damaged ({error}); the run cannot be compared.") from error
    score = score_clips(clips, [clip.hypothesis for clip in clips], PLAIN)
    return Evaluation(score, clips, PLAIN, audio_seconds=0.0, wall_seconds=0.0)


def compare_runs(run: Path, first: Path) -> Comparison:
    """The last validation of a run against that of another, on the same clips.

    Raises:
        BadData: one of them has none, or they have other clips.
    """
    one, other = read_validation(run), read_validation(first)
    if len(one.clips) != len(other.clips):
        raise BadData(
            f"{run} was validated on {counted(len(one.clips), 'clip')} and {first} on "
            f"{len(other.clips)}: compare runs with the same data.dev."
        )
    heard = {clip.id: clip.hypothesis for clip in other.clips}
    return compare(one, in_order(heard, [clip.id for clip in one.clips], str(first)), str(first))


def _clip(line: dict[str, str]) -> Clip:
    return Clip(
        id=str(line["id"]),
        text=line["text"],
        hypothesis=line["heard"],
        duration=0.0,
        level=0.0,
        confidence=0.0,
        speaker=line.get("speaker"),
    )
