"""N-gram language models: the model, its file, the ARPA format, estimation from text."""

from asr.lm.file_format import read_ngram, write_ngram
from asr.lm.ngram import NGram

__all__ = ["NGram", "read_ngram", "write_ngram"]
