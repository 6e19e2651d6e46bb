"""Corpora as shards in Lhotse's Shar format: written, and read from a disk or an object store."""

from asr.corpus.shards.reading import Shards, Source, is_shards, locate

__all__ = ["Shards", "Source", "is_shards", "locate"]
