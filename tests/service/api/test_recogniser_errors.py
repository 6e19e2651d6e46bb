"""What a client is told of an error of the recogniser, which comes from another process."""

import pickle

import pytest

from asr.errors import AsrError, BadAudio, BadMachine, BadOption, TooLong
from service.errors import recogniser_error


@pytest.mark.parametrize(
    ("error", "status", "param"),
    [
        (BadOption("channels 3 is not in it", option="channels"), 422, "channels"),
        (BadOption("there is no such track", option="track"), 422, "track"),
        (BadOption("channels of such a recording cannot be read."), 422, None),
        (BadAudio("track.wav is a folder: give a recording"), 415, "file"),
        (TooLong("it is too long"), 413, "file"),
    ],
)
def test_an_error_says_which_field_it_is_about(
    error: AsrError, status: int, param: str | None
) -> None:
    told = recogniser_error(pickle.loads(pickle.dumps(error)))
    assert told is not None
    assert (told.status, told.detail.param) == (status, param)
    assert told.detail.message == f"{error.sentence.rstrip('.')}."


def test_what_is_no_fault_of_a_client_is_told_to_nobody() -> None:
    assert recogniser_error(BadMachine("no memory")) is None
