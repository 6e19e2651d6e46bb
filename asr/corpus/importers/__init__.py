"""Corpora as they are downloaded or lie on a disk -> manifests.

Each reader goes through a corpus and yields what it finds, good or bad, in the corpus's own order:
what cannot become a manifest line is named with its place and never dropped in silence. Recordings
stay where they are; `asr check` decodes them.
"""

from asr.corpus.importers.common_voice import common_voice, common_voice_splits
from asr.corpus.importers.folder import folder
from asr.corpus.importers.found import Found, Imported, write_manifest
from asr.corpus.importers.librispeech import librispeech, librispeech_subsets
from asr.corpus.importers.ours import labelled, manifest

__all__ = [
    "Found",
    "Imported",
    "common_voice",
    "common_voice_splits",
    "folder",
    "labelled",
    "librispeech",
    "librispeech_subsets",
    "manifest",
    "write_manifest",
]
