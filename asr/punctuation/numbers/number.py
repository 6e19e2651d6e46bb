"""What the readers of all languages return."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Number:
    """`words[first:end]` are written as `text`."""

    first: int
    end: int
    text: str
