"""The bundle: its format, its model card, and what may be changed in one after the export."""

from asr.bundle.bundle import Bundle, default_bundle, shipped
from asr.bundle.card import record_figure
from asr.bundle.change import (
    changed_copy,
    put_acoustics,
    put_calibration,
    put_decoding,
    put_g2p,
    put_lexicon,
    put_lm,
    put_punctuation,
)
from asr.bundle.info import (
    FORMAT_VERSION,
    BundleInfo,
    ExportInfo,
    Figure,
    Int8Loss,
    Precision,
    TrainingInfo,
)

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "BundleInfo",
    "ExportInfo",
    "Figure",
    "Int8Loss",
    "Precision",
    "TrainingInfo",
    "changed_copy",
    "default_bundle",
    "put_acoustics",
    "put_calibration",
    "put_decoding",
    "put_g2p",
    "put_lexicon",
    "put_lm",
    "put_punctuation",
    "record_figure",
    "shipped",
]
