"""One part of many: which recordings a job does where several share the work."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from asr.errors import BadOption

AUTO = "auto"


@dataclass(frozen=True)
class Shard:
    """Part `index`, from 0, of `count` parts; by itself the whole."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str, environ: Mapping[str, str]) -> "Shard":
        """`I/N`, or `auto` or `auto/N`, which take the rest from SLURM's or Kubernetes' variables.

        Raises:
            BadOption: it is none of these, or the variables are not there.
        """
        index, slash, count = text.partition("/")
        if index == AUTO:
            return _of_array(count if slash else None, environ)
        if not (index.isdecimal() and count.isdecimal()):
            raise BadOption(f"shard {text!r} is not understood: write 0/8 to 7/8, or auto.")
        return cls._checked(int(index), int(count))

    @classmethod
    def _checked(cls, index: int, count: int) -> "Shard":
        if not 0 <= index < count:
            last = f"0/{count} to {count - 1}/{count}" if count else "0/1"
            raise BadOption(f"shard {index}/{count} does not exist: choose {last}.")
        return cls(index, count)

    @property
    def suffix(self) -> str:
        """What its files have in their names; nothing for the whole."""
        return "" if self.count == 1 else f".{self.index}-of-{self.count}"

    def holds(self, stem: str) -> bool:
        """Whether a recording is in this part: by its path below the output folder alone, so that
        every machine divides in the same way and a new file moves no other."""
        digest = hashlib.sha256(os.fsencode(stem)).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index


def _of_array(count: str | None, environ: Mapping[str, str]) -> Shard:
    if count is not None and not count.isdecimal():
        raise BadOption(f"shard auto/{count} is not understood: write auto/8 for eight parts.")
    if "JOB_COMPLETION_INDEX" in environ:
        if count is None:
            raise BadOption(
                "Kubernetes does not tell the number of parts: write auto/8 for `completions: 8`."
            )
        return Shard._checked(int(environ["JOB_COMPLETION_INDEX"]), int(count))
    try:
        first, last, place = (
            int(environ[f"SLURM_ARRAY_TASK_{name}"]) for name in ("MIN", "MAX", "ID")
        )
    except (KeyError, ValueError):
        raise BadOption(
            "shard auto needs the variables of a SLURM array or of an Indexed Job of Kubernetes, "
            "which are not set: write I/N, such as 0/8."
        ) from None
    return Shard._checked(place - first, int(count) if count else last - first + 1)
