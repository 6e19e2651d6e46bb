"""A transcript as the content of a file that grows while its recording is read."""

import math
from collections.abc import Sequence

from asr.transcript.layout import Layout
from asr.transcript.paragraphs import paragraphs
from asr.transcript.segments import Seconds, Word, between_pauses
from asr.transcript.transcript import Transcript
from asr.transcript.writers import file_suffix, write


class Growing:
    """The content of a file in `format`, part by part: what `write` gives of the whole in the end.

    Parts of txt, srt and vtt come once nothing that follows can change them, if the recording lasts
    longer than a minute and its channels are not split. Else all comes in the end.
    """

    def __init__(self, format: str, name: str = "recording", layout: Layout = Layout()) -> None:
        self._format, self._name, self._layout = format, name, layout
        self._written = ""

    def add(self, so_far: Transcript) -> str:
        """What is settled by the words so far, which do not change, and was not before."""
        words, end = self._settled(so_far)
        if not words or words[0].channel is not None:
            return ""
        return self._beyond(Transcript.of(words, end))

    def end(self, transcript: Transcript) -> str:
        """What is left of the content."""
        return self._beyond(transcript)

    def _settled(self, so_far: Transcript) -> tuple[Sequence[Word], Seconds]:
        """The first words, with which a paragraph or a subtitle ends, and the end of their time."""
        suffix = file_suffix(self._format)
        if suffix == ".txt":
            *whole, _ = paragraphs(so_far.segments) if so_far.words else [[]]
            return [word for part in whole for one in part for word in one.words], math.inf
        if suffix in (".srt", ".vtt") and so_far.words:
            *_, last = between_pauses(so_far.words)
            return so_far.words[: -len(last.words)], last.start
        return (), 0.0

    def _beyond(self, transcript: Transcript) -> str:
        content = write(transcript, self._format, self._name, self._layout)
        more = content[len(self._written) :]
        self._written += more
        return more
