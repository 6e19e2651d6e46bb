"""Numbers of things as people say them."""


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A number with its noun, such as `1 clip` and `1,200 clips`.

    Args:
        plural: of the noun; else it ends in -s.
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
