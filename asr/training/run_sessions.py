"""The sessions of a run, one for each time that it was started or resumed: `run.json`, read."""

import json
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from asr.errors import BadData
from asr.scratch import locked

RECORD, LOCK = "run.json", ".lock"
"""In a run's folder; the lock is held while it trains, and ends with its process."""
RUNNING = "running"


def read_sessions(run: Path) -> list[dict[str, Any]]:
    """The sessions of the run in the folder `run`, of which there is at least one.

    Raises:
        BadData: the folder holds no run, or a damaged one.
    """
    path = run / RECORD
    try:
        sessions: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["sessions"]
        last = sessions[-1]
        if last["status"] == RUNNING and _is_left(run):
            last["status"] = f"ended without a word after {_last_seen(last)} (killed?)"
        return sessions
    except OSError as error:
        raise BadData(
            f"{run} is not the folder of a run ({path.name}: {error.strerror}); name one that "
            "`asr fit` wrote."
        ) from error
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise BadData(f"{path} is damaged ({error}); the run cannot be reported.") from error


def _is_left(run: Path) -> bool:
    """Whether no process trains the run; earlier versions had no lock to tell it by."""
    path = run / LOCK
    if not path.is_file():
        return False
    with suppress(OSError):  # somebody has the lock, or the folder is another user's
        locked(path).close()
        return True
    return False


def _last_seen(session: dict[str, Any]) -> str:
    """When a session last wrote its entry."""
    began = datetime.fromisoformat(session["started"])
    return f"{began + timedelta(seconds=session['seconds']):%Y-%m-%d %H:%M:%S} UTC"
