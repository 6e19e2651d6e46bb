"""The bundle: its format, the export that makes one, its ONNX graph and its model card."""

from typing import TYPE_CHECKING, Any

from asr.bundle.bundle import FORMAT_VERSION, Bundle, Precision, default_bundle, shipped
from asr.bundle.card import record_figure
from asr.bundle.change import put_calibration, put_decoding, put_lm
from asr.bundle.checkpoint import Checkpoint, describe, trained_before
from asr.bundle.export import export

if TYPE_CHECKING:
    from asr.bundle.graph import build_graph

__all__ = [
    "FORMAT_VERSION",
    "Bundle",
    "Checkpoint",
    "Precision",
    "build_graph",
    "default_bundle",
    "describe",
    "export",
    "put_calibration",
    "put_decoding",
    "put_lm",
    "record_figure",
    "shipped",
    "trained_before",
]


def __getattr__(name: str) -> Any:
    # Writing a graph needs the package onnx, which a plain installation lacks.
    if name == "build_graph":
        from asr.bundle.graph import build_graph

        return build_graph
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
