"""Estimation of n-gram models from text: counts, smoothing, pruning to a size."""

from asr.lm.estimation.build import fitted, from_text
from asr.lm.estimation.kneser_ney import Estimate
from asr.lm.estimation.perplexity import Fit, fit
from asr.lm.estimation.pruning import chained, largest, losses

__all__ = ["Estimate", "Fit", "chained", "fit", "fitted", "from_text", "largest", "losses"]
