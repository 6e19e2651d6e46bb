"""Prefix beam search: log-probabilities -> words, with what is known of the language."""

from asr.decoding.beam.lexicon import Boundaries, Lexicon, Spellings
from asr.decoding.beam.search import BeamSearch, Path, PathWord

__all__ = ["BeamSearch", "Boundaries", "Lexicon", "Path", "PathWord", "Spellings"]
