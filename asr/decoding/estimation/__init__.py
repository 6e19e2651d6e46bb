"""Estimation of n-gram models from text: counts, smoothing, pruning to a size."""

from asr.decoding.estimation.build import fitted, from_text
from asr.decoding.estimation.kneser_ney import Estimate
from asr.decoding.estimation.perplexity import Fit, fit
from asr.decoding.estimation.pruning import chained, largest, losses

__all__ = ["Estimate", "Fit", "chained", "fit", "fitted", "from_text", "largest", "losses"]
