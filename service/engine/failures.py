"""What a caller is told where the engine cannot do what is asked."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from asr.counting import counted
from asr.errors import BadMachine
from service.engine.admission import Overloaded
from service.engine.tasks import DeviceLost, RecordingFailed
from service.errors import ApiError

log = logging.getLogger(__name__)


@contextmanager
def failures_told() -> Iterator[None]:
    """Makes errors of the device, and of what decodes, those of a request."""
    try:
        yield
    except BadMachine as error:
        log.error("an upload cannot be decoded here: %s", error)
        raise not_ready(
            "Uploads cannot be decoded for now, through no fault of yours: the service's log says "
            "why; send the recording again later."
        ) from error
    except DeviceLost as error:
        raise lost() from error
    except RecordingFailed as error:
        log.error("a recording is given up: %s", error)
        raise ApiError(
            500,
            "The model fails on this recording, through no fault of yours: the service's log says "
            "why.",
            code="internal_error",
            headers={"x-should-retry": "false"},
        ) from error


def not_ready(message: str) -> ApiError:
    """The error for a model that is not available for now."""
    return ApiError(503, message, code="not_ready", headers={"retry-after": "2"})


def lost() -> ApiError:
    """The error while the device process is being replaced."""
    return not_ready(
        "The process that holds the model ended and is being replaced: send the recording again in "
        "a few seconds."
    )


def stopping() -> ApiError:
    """The error for what is not done when the service ends."""
    return ApiError(
        503,
        "The service is being stopped before it could finish this recording: send it again.",
        code="stopping",
        headers={"retry-after": "5"},
    )


def late(within_s: float) -> ApiError:
    """The error for a recording that was not done within so many seconds."""
    return ApiError(
        504,
        f"The recording was not transcribed within {within_s:.0f} s: send a shorter one, or try "
        "again when the load is lower.",
        code="deadline_passed",
        headers={"x-should-retry": "false"},
    )


def busy(error: Overloaded) -> ApiError:
    """The error for a request that is not admitted."""
    reason = {
        "queue_full": "The queue is full",
        "deadline": "There is more work than can be done in time",
    }[error.reason]
    return ApiError(
        503,
        f"{reason}: try again in {counted(error.retry_s, 'second')}.",
        code=error.reason,
        headers={"retry-after": str(error.retry_s)},
    )
