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
