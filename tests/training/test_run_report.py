"""The page of `asr report`: what it says, and that no text of a run becomes part of the page."""

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from commands import asr

from asr.training.run_report import write_comparison, write_report

HOSTILE = "<script>alert('x')</script>\"&amp;"
CLIP = Path(__file__).parents[2] / "samples" / "1272-141231-0000.flac"


class Page(HTMLParser):
    """The tags, texts and attributes of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.texts = ""
        self.titles: list[str | None] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.titles += [value for key, value in attrs if key == "title"]

    def handle_data(self, data: str) -> None:
        self.texts += data


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run whose every text is hostile."""
    folder = tmp_path / HOSTILE.replace("/", "")
    (folder / "csv" / "version_0").mkdir(parents=True)
    rows = "step,val/wer\n1,0.5\n2,0.25\n"
    (folder / "csv" / "version_0" / "metrics.csv").write_text(rows, encoding="utf-8")
    data = {
        "manifest": HOSTILE, "clips": 2, "hours": 0.1, "sha256": HOSTILE,
        "lengths": {"edges": [0, 1, 2], "counts": [1, 1]},
    }  # fmt: skip
    session = {
        "status": HOSTILE, "seeds": {HOSTILE: 1}, "peak_memory_bytes": {"host": 2**30}, "step": 2,
        "parameters": 1000, "seconds": 3600, "commit": HOSTILE, "command": ["asr", HOSTILE],
        "machine": {"device": HOSTILE, "processes": 1, "cores": 2},
        "versions": {"torch": HOSTILE}, "data": {HOSTILE: data}, "config": {"key": HOSTILE},
    }  # fmt: skip
    record = json.dumps({"sessions": [session, session]})
    (folder / "run.json").write_text(record, encoding="utf-8")
    clips = [
        {"id": HOSTILE, "text": "yes", "heard": HOSTILE, "wer": 1.0, "audio": str(CLIP)},
        {"id": "gone", "text": HOSTILE, "heard": "", "wer": 0.5, "audio": f"{HOSTILE}.wav"},
    ]
    (folder / "heard.jsonl").write_text("\n".join(map(json.dumps, clips)), encoding="utf-8")
    return folder


def test_no_text_of_a_run_becomes_part_of_the_page(run: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path / "page.html")
    page = Page((tmp_path / "page.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("audio") == 1 and HOSTILE in page.titles
    assert page.texts.count(HOSTILE) >= 11
    assert page.texts.count("alert") == page.texts.count("<script>alert('x')<")


def test_the_page_has_the_summary_the_curves_and_the_clips(run: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path / "page.html", worst=1)
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "25.00% at step 2" in page.texts and "2 h 0 min in 2 sessions" in page.texts
    assert "Worst of the last validation (2 clips)" in page.texts and "gone" not in page.texts
    assert text.count("<svg") == 2  # the error rates and the lengths of clips
    assert "<td><del>yes</del></td>" in text and "<td>100%</td>" in text


def test_no_text_of_several_runs_becomes_part_of_the_page(run: Path, tmp_path: Path) -> None:
    other = run.with_name("long " * 40) / "$other$"
    shutil.copytree(run, other)
    write_comparison([run, other], {str(run): HOSTILE, str(other): "b"}, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags and page.texts.count("alert") >= 5
    assert text.count("<svg") == 1 and "$other$" in text


def test_runs_are_compared_on_the_clips_of_their_last_validation(run: Path, tmp_path: Path) -> None:
    better, worse = (Path(shutil.copytree(run, tmp_path / name)) for name in ("better", "worse"))
    for folder, heard in ((better, "a b c"), (worse, "a x x")):
        clips = [{"id": n, "text": "a b c", "heard": heard, "speaker": n % 9} for n in range(40)]
        lines = "\n".join(map(json.dumps, clips))
        (folder / "heard.jsonl").write_text(lines, encoding="utf-8")
    done = asr("report", worse, better)
    assert done.returncode == 0, done.stderr
    one, other, page = done.stdout.splitlines()
    assert one == f"{worse}: WER 66.67% in the last validation, 120 words"
    told = f"{better}: WER 0.00%, -66.67 points against {worse} (95 % interval -66.67 to -66.67, p"
    assert other.startswith(told)
    assert other.endswith("p = 0.0005)") and page == str(worse / "comparison.html")
    same = shutil.copytree(worse, tmp_path / "same")
    assert asr("report", worse, same).stdout.splitlines()[1].endswith("p = 1)")
    (better / "heard.jsonl").write_text(lines.partition("\n")[0], encoding="utf-8")
    for refused, words in (
        ([worse, better], "was validated on 1 clip and"),
        ([worse, better, "--worst", 3], "--worst has no effect on several runs"),
        ([worse, tmp_path], "has no validation to compare"),
    ):
        done = asr("report", *refused)
        assert done.returncode == 2 and words in done.stderr and not done.stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a disk that is full")
def test_a_full_disk_leaves_the_page_before(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "report.html").write_text("the page before", encoding="utf-8")
    monkeypatch.setattr("secrets.token_hex", lambda _: "known")
    (run / ".known.partial").symlink_to("/dev/full")
    done = asr("report", run)
    assert done.returncode == 2 and str(run / "report.html") in done.stderr
    assert (run / "report.html").read_text(encoding="utf-8") == "the page before"
