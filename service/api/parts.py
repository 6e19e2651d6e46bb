"""The parts of a form as they arrive: the upload into memory or the spool, texts within limits."""

import asyncio
import re
import secrets
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any
from urllib.parse import unquote_to_bytes

from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser, MultipartPart

from service.errors import ApiError
from service.jobs.spool import Spool, Upload

MOST_TEXT = 128 * 1024
"""Bytes that a form may have besides its file."""
CHARSETS = (b"utf-8", b"utf8", b"us-ascii")  # some others, as punycode, take quadratic time
"""Charsets that a form may name."""
_PIECE = 16 * 1024
_LATIN = b"iso-8859-1"  # which some clients say of every text; as long as it is ASCII, it is UTF-8
# A file's name that forms may not have (RFC 7578), and that Python's requests has long sent.
_EXTENDED = re.compile(rb";\s*filename\*=utf-8''([^;\s]*)", re.IGNORECASE)


class FormParser(MultiPartParser):
    """Keeps the upload in memory, within the limit on bodies, so that no disk can be full.

    The other fields are text, which is processed in the process that answers HTTP. So they are
    limited to little.
    """

    spool_max_size = sys.maxsize
    _text = 0
    _is_whole = False

    async def parse(self) -> FormData:
        """The form; MultiPartException if it is none, or breaks off."""
        form = await super().parse()
        if not self._is_whole:
            await form.close()
            raise MultiPartException("the boundary that ends it is missing; send all of it.")
        return form

    def on_end(self) -> None:
        self._is_whole = True

    def on_headers_finished(self) -> None:
        part = self._current_part
        disposition = part.content_disposition or b""
        if b"filename=" not in disposition:
            part.content_disposition = _EXTENDED.sub(_plainly, disposition)
        super().on_headers_finished()

    def on_part_end(self) -> None:
        if self._current_part.file is None:
            _check_text(self._current_part)
        super().on_part_end()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._current_part.file is None:
            if self._current_part.field_name == "file":
                raise _text_for_file()
            self._text += end - start
            if self._text > MOST_TEXT:
                raise MultiPartException(
                    f"its fields besides the file hold over {MOST_TEXT} bytes; shorten them."
                )
        super().on_part_data(data, start, end)


class SpoolParser(FormParser):
    """Writes the upload to the spool while it arrives, in threads."""

    def __init__(self, spool: Spool, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._spool = spool
        self.uploads: list[Upload] = []

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        if self._current_part.file is not None:
            upload = self._spool.upload(f"job_{secrets.token_hex(12)}")
            self.uploads.append(upload)
            self._current_part.file.file.close()
            self._current_part.file.file = upload  # type: ignore[assignment]
            self._files_to_close_on_error[-1] = upload  # type: ignore[call-overload]


def _plainly(name: re.Match[bytes]) -> bytes:
    """A file's name as most clients send it."""
    return b'; filename="' + unquote_to_bytes(name[1]).replace(b'"', b"%22") + b'"'


def _text_for_file() -> ApiError:
    return ApiError(
        422,
        "The field 'file' holds text: send the recording itself as a file part, as "
        "`curl -F file=@recording.wav` does.",
        param="file",
        code="invalid_value",
    )


def _check_text(part: MultipartPart) -> None:
    """Refuse a field's text that is not in UTF-8, or says that it is not."""
    _, options = parse_options_header(dict(part.item_headers).get(b"content-type"))
    charset = options.get(b"charset", b"utf-8").lower()
    if charset not in CHARSETS and not (charset == _LATIN and part.data.isascii()):
        raise not_utf8(part.field_name, f"in {charset.decode('latin-1')[:100]!r}")
    try:
        part.data.decode("utf-8")
    except UnicodeDecodeError:
        raise not_utf8(part.field_name, "not in UTF-8") from None


def not_utf8(name: str, what: str) -> ApiError:
    """The refusal of a field's text; `what` says how it is."""
    message = f"The text of the field {name[:100]!r} is {what}: send it in UTF-8."
    return ApiError(400, message, param=name[:100], code="not_utf8")


async def pieces(body: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The body in small pieces; after each of them other requests have a turn."""
    async for chunk in body:
        for start in range(0, len(chunk), _PIECE):
            yield chunk[start : start + _PIECE]
            await asyncio.sleep(0)
