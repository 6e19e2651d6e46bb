"""Folder jobs: inputs, outputs, and the loop over them."""

from asr.batch.inputs import Input, Inputs, list_inputs
from asr.batch.job import Result, transcribe_files
from asr.batch.labels import Label, label_files
from asr.batch.outputs import output_paths

__all__ = [
    "Input",
    "Inputs",
    "Label",
    "Result",
    "label_files",
    "list_inputs",
    "output_paths",
    "transcribe_files",
]
