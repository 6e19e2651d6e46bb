"""How transcripts are laid out in files: every option, its limits and its help, said once."""

from dataclasses import dataclass, fields

from asr.options import check_numbers, option


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

    def __post_init__(self) -> None:
        check_numbers(self)

    def chosen(self) -> list[str]:
        """The names of the options that are not as they are by default."""
        return [one.name for one in fields(self) if getattr(self, one.name) != one.default]


LAYOUT = tuple(one.name for one in fields(Layout))
"""Every option, in the order in which people are told of them."""
