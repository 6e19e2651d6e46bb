"""The command `asr`: one small file per command, heavy imports inside the command.

Results go to stdout, everything else to stderr. Exit code 0: done; 1: some inputs failed;
2: nothing could be done; 130: Ctrl-C.
"""

import os
import signal
from types import FrameType


def main() -> None:
    """Runs the command line. Ctrl-C ends it without a traceback, also while it is being loaded."""
    is_usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if is_usual:
        signal.signal(signal.SIGINT, _leave)
    from asr.cli.app import run

    if is_usual:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


def _leave(number: int, _frame: FrameType | None) -> None:
    os._exit(128 + number)  # nothing is begun yet, and no import that catches an exception goes on
