"""The folder job: what is in a folder, where its transcripts go, and the loop between."""

from asr.batch.inputs import Input, list_inputs
from asr.batch.job import Result, transcribe_files
from asr.batch.labels import Label, label_files
from asr.batch.outputs import output_paths, write_atomically

__all__ = [
    "Input",
    "Label",
    "Result",
    "label_files",
    "list_inputs",
    "output_paths",
    "transcribe_files",
    "write_atomically",
]
