"""Every recording of a folder, with a function that is called as soon as one is done.

python examples/folder_with_callback.py recordings
"""

import sys
from collections.abc import Callable
from pathlib import Path

import asr
from asr.batch import Result, list_inputs, transcribe_files


def transcribe_folder(folder: Path, on_result: Callable[[Result], None]) -> None:
    """Calls `on_result` once for each recording in `folder`, in order, with text or error."""
    recognizer = asr.load()
    for result in transcribe_files(recognizer, list_inputs([folder])):
        on_result(result)


def show(result: Result) -> None:
    """Prints the text, or why there is none."""
    if result.transcript is None:
        print(f"{result.input.path}: failed: {result.error}")
    else:
        print(f"{result.input.path}: {result.transcript.text}")


if __name__ == "__main__":
    transcribe_folder(Path(sys.argv[1] if len(sys.argv) > 1 else "samples"), show)
