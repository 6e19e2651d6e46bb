"""Files of written text, a paragraph a line."""

import lzma
from pathlib import Path

from asr.errors import BadData


def read_lines(path: Path, held_out: float, want_held_out: bool) -> list[str]:
    """The paragraphs of a text file, one a line, without or only the last share of them.

    Args:
        path: a UTF-8 text, also `.xz`.

    Raises:
        BadData: it cannot be read.
    """
    try:
        if path.suffix == ".xz":
            with lzma.open(path, "rt", encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        else:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadData(f"{path} cannot be read ({reason}): name a UTF-8 text, or one in .xz.") from (
            error
        )
    border = round(len(lines) * (1.0 - held_out))
    return lines[border:] if want_held_out else lines[:border]
