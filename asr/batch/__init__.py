"""Folder jobs: inputs, outputs, journal, and the pipeline over them."""

from asr.batch.decoders import Decoder
from asr.batch.existing import undone
from asr.batch.folder import run
from asr.batch.folder_job import FolderJob, made_by
from asr.batch.inputs import STDIN, Input, Inputs, Place, list_inputs, place_of, read_list
from asr.batch.job import transcribe_files
from asr.batch.journal import Journal, OutputLost
from asr.batch.labels import Label, label_files
from asr.batch.outputs import formats_of, json_line, output_stems, results, spare
from asr.batch.shards import Shard
from asr.batch.status import Part, status
from asr.batch.stores import Address
from asr.batch.tally import Tally
from asr.batch.watch import watch
from asr.batch.work import Result
from asr.batch.workplace import journals, workplace

__all__ = [
    "STDIN",
    "Address",
    "Decoder",
    "FolderJob",
    "Input",
    "Inputs",
    "Journal",
    "Label",
    "OutputLost",
    "Part",
    "Place",
    "Result",
    "Shard",
    "Tally",
    "formats_of",
    "journals",
    "json_line",
    "label_files",
    "list_inputs",
    "made_by",
    "output_stems",
    "place_of",
    "read_list",
    "results",
    "run",
    "spare",
    "status",
    "transcribe_files",
    "undone",
    "watch",
    "workplace",
]
