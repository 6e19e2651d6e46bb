"""The splits of a run's data: training, development and test manifests, ready to use."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from lightning.pytorch.utilities import rank_zero_info

from asr.audio import SAMPLE_RATE
from asr.corpus import Source, Survey, explain, explained
from asr.corpus.dataset import SpeechDataset
from asr.counting import counted
from asr.errors import BadData, BadOption


@dataclass(frozen=True)
class Split:
    """One manifest, checked: its dataset, and the length and pool of each clip."""

    dataset: SpeechDataset
    lengths: npt.NDArray[np.int64]
    pools: npt.NDArray[np.int64]

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return float(self.lengths.sum()) / SAMPLE_RATE / 3600


def refuse_faults(
    surveyed: Survey,
    path: Source,
    name: str,
    most_dropped: float | None,
    batch_seconds: float,
    hint: str = "",
) -> None:
    """Reports the faults of the manifest `data.NAME`, and refuses it if there are too many.

    Args:
        most_dropped: largest share of it that may be left out; None if every line must be used.
        hint: what to do where the units cannot spell the texts.

    Raises:
        BadData: the manifest must not be used as it is.
        BadOption: a clip is longer than a batch of `batch_seconds`.
    """
    unknown = any(finding.kind == "unknown characters" for finding in surveyed.errors)
    hint = f" ({hint})" if hint and unknown else ""
    lines = len({finding.line for finding in surveyed.errors})
    if lines and most_dropped is None:
        raise BadData(
            f"{path} has {counted(lines, 'line')} that cannot be used; mend them"
            + (", or set data.bad_lines to drop" if name == "train" else "")
            + f"{hint}.",
            explained(path, surveyed.errors, most=20),
        )
    if surveyed.errors:
        rank_zero_info(f"{explain(path, surveyed.errors)}\n{surveyed.table()}")
    if warned := Counter(finding.kind for finding in surveyed.findings if not finding.is_error):
        kinds = ", ".join(f"{count} {kind}" for kind, count in warned.most_common())
        rank_zero_info(
            f"{path}: {counted(warned.total(), 'warning')} ({kinds}), which `asr check` names"
        )
    if not surveyed.usable:
        raise BadData(f"{path}: no line is left to use; check data.{name} and data.corpora{hint}.")
    if most_dropped is not None and surveyed.dropped > most_dropped:
        raise BadData(
            f"{path}: {surveyed.dropped:.1%} of it would be left out, by lines or by hours, where "
            f"data.most_dropped allows {most_dropped:.1%}; mend the lines named above, or raise "
            f"it{hint}."
        )
    longest = int(surveyed.lengths.argmax())
    seconds = float(surveyed.lengths[longest]) / SAMPLE_RATE
    if seconds > batch_seconds:
        raise BadOption(
            f"{path}:{surveyed.usable[longest].line}: its {seconds:.1f} s are more than a whole "
            f"batch; raise data.batch_seconds, which is {batch_seconds:g}."
        )
