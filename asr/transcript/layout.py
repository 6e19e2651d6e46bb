"""How transcripts are laid out in files: every option, its limits and its help, said once."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property

from asr.errors import BadOption
from asr.options import check_values, option

_SIDES = {"left": 1, "right": 2}
_MOST_CHANNELS = 64


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How a transcript is laid out in a file.

    Each option belongs to some formats, and has no effect on others.

    Raises:
        BadOption: a value cannot be.
    """

    timestamps: bool = option(False, "Head each paragraph with its time, [hh:mm:ss] (txt).")
    max_line_width: int = option(
        42,
        "Longest line of a subtitle, in characters; a longer word has a line of its own.",
        8,
        1_000,
    )
    max_line_count: int = option(2, "Most lines of a subtitle.", 1, 10)
    highlight_words: bool = option(
        False, "Time the words within a subtitle, so that players light them up one by one (vtt)."
    )

    speakers: str = option(
        "",
        "Who speaks in each channel, such as left=Ann,right=Bob or 1=Ann,2=Bob, where channels are "
        "split (txt, srt, vtt, textgrid, eaf).",
    )

    def __post_init__(self) -> None:
        check_values(self)
        _ = self._names

    def speaker(self, channel: int | None) -> str:
        """Who speaks in a channel: the name given, else which channel it is; "" for None."""
        if channel is None:
            return ""
        sides = {number: side for side, number in _SIDES.items()}
        return self._names.get(channel) or sides.get(channel, f"channel {channel}")

    @cached_property
    def _names(self) -> Mapping[int, str]:
        """The speakers by their channels."""
        if not isinstance(self.speakers, str):
            raise BadOption(f"speakers {self.speakers!r} are no text; write left=Ann,right=Bob.")
        names: dict[int, str] = {}
        for pair in self.speakers.split(",") if self.speakers else ():
            channel, _, name = (part.strip() for part in pair.partition("="))
            number = _SIDES.get(channel.lower()) or (int(channel) if channel.isdecimal() else 0)
            if not (name and name.isprintable() and 1 <= number <= _MOST_CHANNELS):
                raise BadOption(
                    f"speakers {self.speakers!r} cannot be read at {pair!r}; write "
                    "left=Ann,right=Bob, or the numbers of channels."
                )
            names[number] = name
        return names

    def chosen(self) -> list[str]:
        """The names of the options that are not as they are by default."""
        return [one.name for one in fields(self) if getattr(self, one.name) != one.default]


LAYOUT = tuple(one.name for one in fields(Layout))
"""Every option, in the order in which people are told of them."""
