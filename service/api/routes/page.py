"""`GET /`: the page for people, one file that loads nothing from other places.

Its parts stand in `service/api/page`; its markup says where each of them goes.
"""

import base64
import hashlib
import html
import json
import re
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from service.settings import Settings

router = APIRouter()

_FOLDER = Path(__file__).parents[1] / "page"


def _joined() -> str:
    """The page, with its style and scripts in their places."""
    page = (_FOLDER / "index.html").read_text(encoding="utf-8")
    return re.sub(
        r"/\* ([a-z]+\.(?:css|js)) \*/\n",
        lambda part: (_FOLDER / part[1]).read_text(encoding="utf-8"),
        page,
    )


_PAGE = _joined()


def _hashes(tag: str) -> str:
    """Hashes of the page's own inline `tag` elements for the policy; no others run."""
    inline = re.findall(rf"<{tag}>(.*?)</{tag}>", _PAGE, re.DOTALL)
    digests = (hashlib.sha256(text.encode()).digest() for text in inline)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)


_HEADERS = {
    "content-security-policy": "; ".join(
        (
            "default-src 'none'",
            f"script-src {_hashes('script')} blob:",  # the page's own, that collects sound
            f"style-src {_hashes('style')}",
            "connect-src 'self'",
            "media-src blob:",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-cache",
}


@router.head("/", include_in_schema=False)
@router.get("/", include_in_schema=False)
async def page(request: Request) -> HTMLResponse:
    """The page, with the limits of this service."""
    limits = html.escape(json.dumps(_limits(request.app.state.settings)))
    return HTMLResponse(
        _PAGE.replace('name="limits" content="{}"', f'name="limits" content="{limits}"'),
        headers=_HEADERS,
    )


def _limits(settings: Settings) -> dict[str, float | None]:
    """Bytes and seconds that a recording may have, in a request and in a job."""
    jobs = settings.jobs_folder is not None
    return {
        "bytes": settings.max_upload_bytes,
        "seconds": settings.max_seconds,
        "job_bytes": settings.jobs_max_upload_bytes if jobs else None,
        "job_seconds": settings.jobs_max_seconds if jobs else None,
    }
