"""What a pipeline carries from stage to stage, and what comes of it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asr.audio import Audio
from asr.batch.decoders import Long
from asr.batch.inputs import Input, version_of
from asr.batch.stores import Version
from asr.transcript import Transcript

if TYPE_CHECKING:
    from asr.runtime import LogProbs

_LEAST_S = 1.0
"""The least cost of a recording."""


@dataclass(frozen=True)
class Result:
    """The result of one input: `transcript`, or `error`, a sentence that says why there is none."""

    input: Input
    transcript: Transcript | None
    error: str | None
    version: Version | None = None
    """Of the file that was read."""
    skipped: float = 0.0
    """Seconds of the transcript that a job which was stopped had read already."""


@dataclass(frozen=True)
class Work:
    """A recording on its way."""

    place: int
    input: Input
    version: Version | None
    seconds: float
    """Of all channels that are read."""
    content: "tuple[Audio, ...] | Long | tuple[LogProbs, ...] | Transcript | str"
    """What the last stage made of it; a sentence if there is no more to be made."""
    file: Path | None = None
    """Where it lies on the disk, if it was fetched from a store."""
    kept: Path | None = None
    """Folder of what a stopped job has made of it."""
    skipped: float = 0.0
    """As of `Result`."""

    @property
    def cost(self) -> float:
        """Seconds, as the links between stages count them."""
        return max(self.seconds, _LEAST_S)

    @property
    def channels(self) -> tuple[Any, ...]:
        """Its content by channel, before it is a transcript."""
        assert isinstance(self.content, tuple)
        return self.content

    def with_(self, content: Any) -> "Work":
        """The same with this content."""
        return replace(self, content=content)

    @property
    def change(self) -> str | None:
        """A sentence if the recording is another than when it was begun.

        Nobody changes what was fetched.
        """
        if self.file is not None or self.version == version_of(self.input):
            return None
        return (
            f"{self.input.path} changed while it was read: run the command again when it is whole"
        )

    @property
    def result(self) -> Result:
        """What came of it, when nothing more is to be made."""
        if isinstance(self.content, Transcript):
            return Result(self.input, self.content, None, self.version, self.skipped)
        return Result(self.input, None, str(self.content), self.version)
