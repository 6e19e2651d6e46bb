"""What tests of the page share besides fixtures."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from playwright.sync_api import Page

PHONE = {"width": 360, "height": 800}
Open = Callable[..., AbstractContextManager[Page]]
"""Opens a page, with options of its context."""


def drop(page: Page, *paths: Path) -> None:
    """Drop these on the page, as from another window."""
    session = page.context.new_cdp_session(page)
    data = {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": 90, "y": 90, "data": data})
