"""A running average of the weights."""

from torch import Tensor

from asr.errors import BadOption
from asr.training.lightning_internals import AveragingFromFirstStep


class AveragedWeights(AveragingFromFirstStep):
    """Lightning's running average, over the last share of the steps so far.

    Validation, `best.ckpt`, `asr export` and the end of training use the average; a checkpoint
    also has the weights in training.

    Step n enters with weight 1 / (1 + share * (n - 1)), so that the weights of step k count as
    k ** (1 / share - 1) (Shamir & Zhang, "Stochastic gradient descent for non-smooth optimization",
    2013, section 3): the average moves with the run, and the first steps are forgotten in a
    run of fifty steps as in one of fifty thousand.

    Args:
        share: of the steps so far that the average spans.
    """

    def __init__(self, share: float) -> None:
        if not 0.0 < share <= 0.5:
            raise BadOption(
                f"model.average {share} does not fit: give the share of the steps so far that the "
                "average spans, at most 0.5, as 0.1; or 0 for none."
            )

        def moved(average: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
            return average + (current - average) / (1.0 + share * steps)

        super().__init__(avg_fn=moved)
