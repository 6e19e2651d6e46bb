"""The pages are true: links and names exist, and nothing outside the repository is cited."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import asr

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "models" / "en" / "README.md",
]
GUARANTEES = (ROOT / "docs" / "guarantees.md").read_text(encoding="utf-8")
LINK = re.compile(r"\]\(([^)\s]+)\)")
NAMED = re.compile(
    r"`((?:asr|service|tests|docs|configs|docker|benchmarks|scripts|examples|samples|models)/"
    r"[\w./-]+)`"
)


def anchors(page: Path) -> set[str]:
    """The anchors that headings get, on the site and where the repository is read."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_end_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_files_that_a_page_names_are_there(page: Path) -> None:
    for name in NAMED.findall(page.read_text(encoding="utf-8")):
        assert (ROOT / name).exists(), f"{page.name}: {name}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_no_line_of_a_paragraph_begins_a_list(page: Path) -> None:
    """Where the repository is read, "1. " at the start of a line does."""
    prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    begun = re.search(r"^(?![ \t]*(?:\d+\.|[-*|>#]))\S.*\n(?:1\.|[-+*]) .*", prose, re.MULTILINE)
    assert begun is None, f"{page.name}: {begun and begun[0]}"


def test_names_of_the_python_interface_are_where_its_page_says() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    elsewhere = {f"asr.batch.{name}" for name in ("Result", "list_inputs", "Input")}
    elsewhere |= {"asr.audio.load.load", "asr.audio.Audio"}
    names = set(re.findall(r"^::: ([\w.]+)$", page, re.MULTILINE)) - {"asr.errors"}
    (errors,) = re.findall(r"members: \[(.+)\]", page)
    for name in names:
        room, _, inner = name.rpartition(".")
        assert hasattr(import_module(room), inner)
    assert elsewhere < names
    listed = {name.rpartition(".")[2] for name in names - elsewhere} | set(errors.split(", "))
    assert listed | {"load", "__version__"} == set(asr.__all__)


def test_every_guarantee_is_held_by_a_test() -> None:
    parts = re.split(r"^## \d+\. ", GUARANTEES, flags=re.MULTILINE)[1:]
    numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", GUARANTEES, re.MULTILINE)]
    assert numbers == list(range(1, len(parts) + 1))
    for part in parts:
        held = part.partition("\nHeld by ")[2]
        assert re.search(r"`tests/[\w/]+/test_\w+\.py`", held), part.partition("\n")[0]
    here = {path.name for path in Path(__file__).parent.glob("test_*.py")} - {
        "test_rooms.py",
        "test_sentences.py",
    }
    assert here <= set(re.findall(r"tests/guarantees/(\w+\.py)", GUARANTEES))


def test_guarantees_are_cited_by_their_numbers_and_nothing_outside_is() -> None:
    sources = [
        path
        for folder in ("asr", "service", "tests", "docs", "configs", "benchmarks", "docker")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md", ".yaml", ".yml", ".html") and path != Path(__file__)
    ]
    assert len(sources) > 200
    for path in sources:
        text = path.read_text(encoding="utf-8")
        for number in re.findall(r"[Gg]uarantees? (\d+)", text):
            assert f"\n## {number}. " in GUARANTEES, f"{path}: guarantee {number}"
        outside = re.search(r"\b[Ll]aws? \d|\bDESIGN\b", text)
        assert not outside, f"{path}: {outside}"
