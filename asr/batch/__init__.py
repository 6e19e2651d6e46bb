"""Folder jobs: inputs, outputs, and the loop over them."""

from asr.batch.inputs import STDIN, Input, Inputs, list_inputs, read_list
from asr.batch.job import transcribe_files
from asr.batch.labels import Label, label_files
from asr.batch.outputs import formats_of, output_stems
from asr.batch.pipeline import Result

__all__ = [
    "STDIN",
    "Input",
    "Inputs",
    "Label",
    "Result",
    "formats_of",
    "label_files",
    "list_inputs",
    "output_stems",
    "read_list",
    "transcribe_files",
]
