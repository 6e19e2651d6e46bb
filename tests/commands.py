"""The command `asr` as tests run it."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from asr.cli import main

ASR = [sys.executable, "-c", "from asr.cli import main; main()"]
"""What starts the command in a process of its own, where a test is about that."""


class Asr:
    """The command in this process, with some arguments before those of each call."""

    def __init__(self, *first: object) -> None:
        self._first = first

    def __call__(self, *arguments: object, code: int = 0) -> tuple[str, str]:
        """What it wrote to stdout and stderr; it must end with `code`."""
        done = asr(*self._first, *arguments)
        assert done.returncode == code, done.stderr
        return done.stdout, done.stderr


def asr(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """The command's output and exit code, run in this process: torch need not be loaded anew."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    command = ["asr", *map(str, arguments)]
    with (
        patch.object(sys, "argv", command),
        redirect_stdout(out),
        redirect_stderr(err),
        chdir(cwd or os.curdir),
    ):
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
    return subprocess.CompletedProcess(command, code, out.getvalue(), err.getvalue())
