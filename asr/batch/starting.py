"""How a decoding process is started, and why none can be: no fault of any recording."""

import errno
import os
import re
import signal
import subprocess
import sys
from typing import Any

from asr.errors import BadMachine

_SCARCE = {errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
_TRIAL_S = 60.0
_SAID = re.compile(r"^[\w.]*(?:Error|Exception|error)\b.*", re.MULTILINE)


def started() -> subprocess.Popen[bytes]:
    """A new process that runs `asr.batch.decoders.child`; BadMachine if there can be none."""
    try:
        return subprocess.Popen(
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # decoders print messages about damaged files
            **_command(),
        )
    except OSError as error:
        raise _not_run(error) from error


def ended_early(code: int | None) -> BadMachine:
    """Why a process has ended before it listened: with that exit code, or None if it was silent.

    What it printed is not kept, so another one is asked.
    """
    try:
        trial = subprocess.run(
            stdin=subprocess.DEVNULL,  # at whose end it ends
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_TRIAL_S,
            **_command(),
        )
    except subprocess.TimeoutExpired:
        code = None
    except OSError as error:
        return _not_run(error)
    else:
        code = trial.returncode or code
        if code is not None and code > 0:
            said = _SAID.findall(trial.stderr.decode(errors="replace"))
            why = f"ends at once ({said[-1][:200].strip() if said else f'exit code {code}'})"
            return _unable(why, "install earshot anew, and see what `asr doctor` says")
    if not code:
        return _unable("does not answer", "see what `asr doctor` says")
    return _unable(f"is ended by {_named(code)}", "give it more memory, or lower --jobs")


def _command() -> dict[str, Any]:
    # Not by multiprocessing, which would import the program's main file again.
    return {
        "args": [sys.executable, "-P", "-c", "from asr.batch.decoders import child; child()"],
        "env": {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        "start_new_session": True,  # Ctrl-C is for the parent
    }


def _not_run(error: OSError) -> BadMachine:
    advice = "let this user run it, or install earshot where it may"
    if error.errno in _SCARCE:
        advice = "allow more processes, memory and open files (ulimit -a), or lower --jobs"
    return _unable(f"cannot be run ({error.strerror or error})", advice)


def _unable(why: str, advice: str) -> BadMachine:
    return BadMachine(
        f"no process that decodes audio can be started: {sys.executable} {why}; {advice}"
    )


def _named(code: int) -> str:
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
