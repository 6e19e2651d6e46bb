"""Errors for people end alike: with a full stop, or without one where they may stand in a list."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from asr.errors import ended

ROOT = Path(__file__).parents[2]
FILES = sorted(path for package in ("asr", "service") for path in (ROOT / package).rglob("*.py"))
WHOLE = {"AsrError", "BadOption", "BadData", "BadBundle", "ApiError"}
REASONS = {"BadAudio", "TooLong", "StoreError", "BadMachine"}
"""Of one recording among many."""


def is_text(node: ast.expr) -> bool:
    """Whether it is no number, such as the status of an answer, and no name."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    return isinstance(node, ast.JoinedStr | ast.BinOp)


def sentences(path: Path) -> Iterator[tuple[str, int, str]]:
    """Class, line and last characters of each error whose end is written there."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        last = next((arg for arg in node.args if is_text(arg)), None)
        while isinstance(last, ast.BinOp):
            last = last.right
        if isinstance(last, ast.JoinedStr):
            last = last.values[-1]
        if isinstance(last, ast.Constant) and isinstance(last.value, str):
            yield node.func.id, node.lineno, last.value[-20:]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_end_alike(path: Path) -> None:
    for kind, line, end in sentences(path):
        if kind in WHOLE:
            assert end.endswith("."), f"{path}:{line}: {end!r} has no full stop"
        if kind in REASONS:
            assert not end.endswith("."), f"{path}:{line}: {end!r} has a full stop"


def test_a_sentence_that_stands_alone_has_its_full_stop() -> None:
    assert ended("x is damaged") == ended("x is damaged.") == "x is damaged."
