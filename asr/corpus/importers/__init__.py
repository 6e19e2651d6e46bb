"""Importers: downloaded corpora and folders -> manifests.

Each importer yields the items of a corpus in its order. An item that cannot become a manifest line
is named with its place; nothing is dropped silently. Recordings stay where they are; `asr check`
decodes them.
"""

from asr.corpus.importers.common_voice import common_voice, common_voice_splits
from asr.corpus.importers.discovery import Discovery, Imported, write_manifest
from asr.corpus.importers.folder import TABLES, folder
from asr.corpus.importers.kaldi import kaldi
from asr.corpus.importers.lhotse import lhotse
from asr.corpus.importers.librispeech import librispeech, librispeech_subsets
from asr.corpus.importers.ljspeech import ljspeech
from asr.corpus.importers.manifests import labelled, manifest, split_by_speaker
from asr.corpus.importers.nemo import nemo

__all__ = [
    "TABLES",
    "Discovery",
    "Imported",
    "common_voice",
    "common_voice_splits",
    "folder",
    "kaldi",
    "labelled",
    "lhotse",
    "librispeech",
    "librispeech_subsets",
    "ljspeech",
    "manifest",
    "nemo",
    "split_by_speaker",
    "write_manifest",
]
