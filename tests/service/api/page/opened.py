"""What tests of the page share besides fixtures."""

from collections.abc import Callable
from contextlib import AbstractContextManager

from playwright.sync_api import Page

PHONE = {"width": 360, "height": 800}
Open = Callable[..., AbstractContextManager[Page]]
"""Opens a page, with options of its context."""
