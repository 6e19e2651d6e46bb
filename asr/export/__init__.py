"""Export: from a training checkpoint to a bundle whose engines agree."""

from asr.export.exporter import export

__all__ = ["export"]
