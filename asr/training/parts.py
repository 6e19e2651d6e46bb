"""One manifest of a run as training may use it."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from lightning.pytorch.utilities import rank_zero_info

from asr.audio import SAMPLE_RATE
from asr.corpus import Source, SpeechDataset, Survey, explain
from asr.errors import BadData, BadOption


@dataclass(frozen=True)
class Part:
    """One manifest, ready to be read: a dataset and the samples of each of its clips."""

    dataset: SpeechDataset
    lengths: npt.NDArray[np.int64]
    pools: npt.NDArray[np.int64]

    @property
    def hours(self) -> float:
        """Hours of audio."""
        return float(self.lengths.sum()) / SAMPLE_RATE / 3600


def settle(
    found: Survey, path: Source, name: str, most_dropped: float | None, batch_seconds: float
) -> None:
    """Name what is wrong with the manifest `data.NAME`.

    Args:
        most_dropped: share of it that may be left out; None where no line may.

    Raises:
        BadData: what is wrong must not be passed over.
        BadOption: a clip is longer than a batch of `batch_seconds`.
    """
    lines = len({finding.line for finding in found.errors})
    if lines and most_dropped is None:
        raise BadData(
            f"{path} has {lines} lines that cannot be used; mend them"
            + (", or set data.bad_lines to drop." if name == "train" else ".")
            + "\n"
            + explain(path, found.errors, most=20)
        )
    if found.errors:
        rank_zero_info(f"{explain(path, found.errors)}\n{found.table()}")
    if warned := Counter(finding.kind for finding in found.findings if not finding.is_error):
        kinds = ", ".join(f"{count} {kind}" for kind, count in warned.most_common())
        rank_zero_info(f"{path}: {warned.total()} warnings ({kinds}), which `asr check` names")
    if not found.usable:
        raise BadData(f"{path}: no line is left to use; check data.{name} and data.corpora.")
    if most_dropped is not None and found.dropped > most_dropped:
        raise BadData(
            f"{path}: {found.dropped:.1%} of it would be left out, by lines or by hours, where "
            f"data.most_dropped allows {most_dropped:.1%}; mend the lines named above, or raise it."
        )
    longest = int(found.lengths.argmax())
    seconds = float(found.lengths[longest]) / SAMPLE_RATE
    if seconds > batch_seconds:
        raise BadOption(
            f"{path}:{found.usable[longest].line}: its {seconds:.1f} s are more than a whole "
            f"batch; raise data.batch_seconds, which is {batch_seconds:g}."
        )
