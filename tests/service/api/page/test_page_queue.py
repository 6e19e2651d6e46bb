"""Several recordings in a queue: how far each is, what is wrong with it and what one can do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opened import Open, drop
from playwright.sync_api import Page, Route, expect
from serving import frozen, running, speech, wav

from asr.audio import SAMPLE_RATE
from service.access.keys import new_key
from service.settings import Settings

pytestmark = pytest.mark.slow

KEYS = {name: new_key(name) for name in ("ann", "bob")}


@pytest.fixture(scope="module")
def server(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FastAPI, httpx.Client]]:
    """A service with keys and jobs, of which two run at a time and each key has three."""
    given = {
        "jobs_folder": tmp_path_factory.mktemp("jobs"),
        "jobs_max_seconds": 13.0,
        "max_seconds": 8.0,
        "max_upload_bytes": 700_000,
        "key_jobs_at_once": 3,
        "api_keys": ",".join(line for _, line in KEYS.values()),
    }
    with running(Settings(**{**settings.model_dump(), **given})) as served:
        yield served


@pytest.fixture
def page(open_page: Open, server: tuple[FastAPI, httpx.Client]) -> Iterator[Page]:
    """The page, with a key."""
    with open_page(str(server[1].base_url)) as page:
        enter_key(page)
        yield page


@pytest.fixture(scope="module")
def long(clips: list[Path]) -> dict[str, Any]:
    """A recording that is too long for a request and goes as a job."""
    body = wav(speech(clips[0], 12 * SAMPLE_RATE))
    return {"name": "long.wav", "mimeType": "audio/wav", "buffer": body}


def enter_key(page: Page) -> None:
    page.get_by_label("This service asks for a key").fill(KEYS["ann"][0])
    page.get_by_role("button", name="Use this key").click()
    expect(page.get_by_label("Model", exact=True)).to_contain_text("tiny")


def state(page: Page, at: int = 0) -> Any:
    """What the queue says of a recording."""
    return page.locator("#queue .state").nth(at)


def words_of(server: httpx.Client, body: bytes) -> list[str]:
    """What the service itself answers, as a job."""
    headers = {"authorization": f"Bearer {KEYS['bob'][0]}"}
    job = server.post("/v1/jobs", files={"file": body}, headers=headers).json()["id"]
    server.get(f"/v1/jobs/{job}/events", headers=headers)  # to its end
    text: str = server.get(f"/v1/jobs/{job}/result", headers=headers).json()["text"]
    return text.split()


def test_a_queue_of_three_with_a_bad_one(
    page: Page, server: tuple[FastAPI, httpx.Client], clips: list[Path], long: dict[str, Any]
) -> None:
    bad = {"name": "bad.wav", "mimeType": "audio/wav", "buffer": b"no sound"}
    short = {"name": "s.flac", "mimeType": "audio/flac", "buffer": clips[0].read_bytes()}
    page.set_input_files("#file", [short, bad, long])
    expect(state(page, 0)).to_contain_text("words in 0:04.6")
    expect(state(page, 1)).to_contain_text("bad.wav is not a recording")
    expect(state(page, 2)).to_contain_text("words in 0:12.0")
    for name, item in (("s.flac", short), ("long.wav", long)):
        page.get_by_role("button", name=f"Show {name}").click()
        expect(page.locator("#result-title")).to_have_text(name)
        expect(page.locator(".word")).to_have_text(words_of(server[1], item["buffer"]))
    page.get_by_role("button", name="Remove: bad.wav").click()
    expect(page.locator("#queue li")).to_have_count(2)


def test_each_is_told_its_place_and_how_far_it_is(
    page: Page, server: tuple[FastAPI, httpx.Client], long: dict[str, Any]
) -> None:
    app, http = server
    page.locator("body").evaluate(
        """body => {
          body.said = [];
          new MutationObserver(() => body.said.push(document.querySelector(".state").textContent))
            .observe(document.querySelector("#queue"), {childList: true, subtree: true});
        }"""
    )
    with frozen(app.state.registry.first.pid):
        headers = {"authorization": f"Bearer {KEYS['bob'][0]}"}
        for _ in range(2):  # which the model works on
            http.post("/v1/jobs", files={"file": long["buffer"]}, headers=headers)
        page.set_input_files("#file", [{**long, "name": name} for name in "1234"])
        expect(state(page, 0)).to_have_text("In the service's queue, place 1")
        expect(state(page, 1)).to_have_text("In the service's queue, place 2")
        expect(state(page, 3)).to_have_text("Waiting, place 1")
        page.get_by_role("button", name="Cancel: 2").click()
        expect(state(page, 1)).to_have_text("Cancelled")
        page.get_by_role("button", name="Cancel: 3").click()
    for at in (0, 3):
        expect(state(page, at)).to_contain_text("words in 0:12.0")
    said = page.evaluate("document.body.said")
    uploaded = [int(text.split()[1]) for text in said if text.startswith("Uploading, ")]
    assert uploaded[0] == 0 and uploaded == sorted(uploaded)
    assert any(text.startswith("Reading, ") and text.endswith(" %") for text in said)


def test_a_key_is_asked_for_and_what_waited_for_it_goes_on(
    open_page: Open, server: tuple[FastAPI, httpx.Client], clips: list[Path]
) -> None:
    with open_page(str(server[1].base_url)) as page:
        page.set_input_files("#file", clips[0])
        expect(state(page)).to_contain_text("does not know this key, or asks for one")
        enter_key(page)
        expect(state(page)).to_contain_text("words in")


def test_a_key_with_too_many_jobs_waits(
    page: Page, server: tuple[FastAPI, httpx.Client], long: dict[str, Any]
) -> None:
    app, http = server
    headers = {"authorization": f"Bearer {KEYS['ann'][0]}"}
    with frozen(app.state.registry.first.pid):
        jobs = [
            http.post("/v1/jobs", files={"file": long["buffer"]}, headers=headers).json()["id"]
            for _ in range(3)
        ]
        page.set_input_files("#file", long)
        expect(state(page)).to_contain_text("its limit: try again in 30 seconds. Trying again in")
        page.get_by_role("button", name="Cancel").click()
        expect(state(page)).to_have_text("Cancelled")
        for job in jobs:
            http.delete(f"/v1/jobs/{job}", headers=headers)


def test_a_busy_service_is_asked_again(page: Page, clips: list[Path]) -> None:
    answers = []

    def busy_once(route: Route) -> None:
        answers.append(route)
        if len(answers) > 1:
            return route.continue_()
        body = '{"error": {"message": "The queue is full.", "code": "queue_full"}}'
        route.fulfill(status=503, body=body, headers={"retry-after": "1"})

    page.route("**/v1/audio/transcriptions", busy_once)
    page.set_input_files("#file", clips[0])
    expect(state(page)).to_contain_text("words in")
    assert len(answers) == 2


def test_what_the_service_cannot_take_is_said_before_it_is_sent(page: Page) -> None:
    page.evaluate("LIMITS.job_bytes = 50_000")
    large = {"name": "large", "mimeType": "audio/wav", "buffer": bytes(800_000)}
    text = {"name": "notes", "mimeType": "text/plain", "buffer": b"no sound"}
    page.set_input_files("#file", [large, text, {**large, "name": "empty", "buffer": b""}])
    expect(state(page, 0)).to_contain_text("This file has 800 kB, and the service takes 690 kB")
    expect(state(page, 1)).to_contain_text("not a recording (text/plain): choose a file of sound")
    expect(state(page, 2)).to_contain_text("This file is empty")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_a_recording_that_is_too_long_or_a_wrong_hot_word_is_explained(
    page: Page, clips: list[Path]
) -> None:
    sound = wav(speech(clips[0], 9 * SAMPLE_RATE))
    page.set_input_files("#file", {"name": "t", "mimeType": "audio/wav", "buffer": sound})
    expect(state(page)).to_contain_text("is too long")
    page.locator("#settings").evaluate("details => { details.open = true; }")
    page.get_by_label("Names and rare words").fill("§§§")
    page.set_input_files("#file", clips[0])
    expect(state(page, 1)).to_contain_text("§§§")
    page.get_by_label("Names and rare words").fill("exist")
    page.get_by_role("button", name="Try again").last.click()
    expect(state(page, 1)).to_contain_text("words in")


def test_a_folder_or_a_file_that_is_gone_is_said_to_be_so(
    page: Page, clips: list[Path], tmp_path: Path
) -> None:
    gone = tmp_path / "gone.flac"
    gone.write_bytes(clips[0].read_bytes())
    drop(page, tmp_path, clips[0])
    expect(state(page, 0)).to_contain_text("it is a folder, or was changed or removed")
    expect(state(page, 1)).to_contain_text("words in")
    page.route("**/v1/audio/transcriptions", lambda route: (gone.unlink(), route.abort()))
    page.set_input_files("#file", gone)
    expect(state(page, 2)).to_contain_text("it is a folder, or was changed or removed")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


def test_without_a_network_nothing_is_lost(page: Page, clips: list[Path]) -> None:
    page.set_input_files("#file", clips[0])
    expect(state(page)).to_contain_text("words in")
    page.context.set_offline(True)
    page.set_input_files("#file", clips[1])
    expect(state(page, 1)).to_contain_text("cannot be reached: look at your network")
    expect(page.locator(".word").first).to_be_visible()
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect(state(page, 1)).to_contain_text("words in")


def test_a_job_goes_on_when_the_connection_is_lost(page: Page, long: dict[str, Any]) -> None:
    page.route("**/v1/jobs/*/events", lambda route: route.abort())
    page.set_input_files("#file", long)
    expect(state(page)).to_contain_text("The connection is lost; the service goes on.")
    page.unroute("**/v1/jobs/*/events")
    expect(state(page)).to_contain_text("words in 0:12.0")


def test_a_job_goes_on_when_a_proxy_has_lost_the_service(page: Page, long: dict[str, Any]) -> None:
    deleted = []
    page.on("request", lambda request: deleted.extend([request] * (request.method == "DELETE")))
    page.route("**/v1/jobs/*/events", lambda route: route.fulfill(status=502, body="Bad Gateway"))
    page.set_input_files("#file", long)
    expect(state(page)).to_contain_text("The connection is lost; the service goes on.")
    assert not deleted
    page.unroute("**/v1/jobs/*/events")
    expect(state(page)).to_contain_text("words in 0:12.0")


@contextmanager
def remembered_job(page: Page, app: FastAPI, file: dict[str, Any]) -> Iterator[None]:
    """A job that the page has remembered, and that does not get on meanwhile."""
    page.get_by_label("Remember the key").check()
    with frozen(app.state.registry.first.pid):
        page.set_input_files("#file", file)
        expect(state(page)).to_contain_text("Reading, 0 %")
        yield


def test_a_job_is_followed_again_when_the_page_is_opened_again(
    page: Page, server: tuple[FastAPI, httpx.Client], long: dict[str, Any]
) -> None:
    with remembered_job(page, server[0], long):
        page.reload()
        expect(state(page)).to_contain_text("Reading, 0 %")
    expect(state(page)).to_contain_text("words in 0:12.0")


def test_a_job_that_was_cancelled_is_not_followed_again(
    page: Page, server: tuple[FastAPI, httpx.Client], long: dict[str, Any]
) -> None:
    with remembered_job(page, server[0], long):
        page.get_by_role("button", name="Cancel").click()
        expect(state(page)).to_have_text("Cancelled")
    page.reload()
    expect(page.get_by_label("Remember the key")).to_be_checked()
    expect(page.locator("#queue li")).to_have_count(0)


def test_two_tabs_that_follow_one_job_both_have_its_words(
    page: Page, server: tuple[FastAPI, httpx.Client], long: dict[str, Any]
) -> None:
    page.get_by_label("Remember the key").check()
    other = page.context.new_page()
    other.route("**/v1/jobs/*/events", lambda route: route.abort())
    deleted = page.expect_request(lambda request: request.method == "DELETE")
    with deleted, frozen(server[0].state.registry.first.pid):
        page.set_input_files("#file", long)
        expect(state(page)).to_contain_text("Reading, 0 %")
        other.goto(page.url)
        expect(state(other)).to_contain_text("The connection is lost")
    other.locator("#settings summary").click()
    other.get_by_label("Decoder").select_option("greedy")  # is remembered, with no old words
    other.unroute("**/v1/jobs/*/events")
    expect(state(other)).to_contain_text("words in 0:12.0")
    other.get_by_role("button", name="Show long.wav").click()
    expect(other.locator(".word")).to_have_text(page.locator(".word").all_inner_texts())
    other.close()


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (413, "<h1>413 from a proxy</h1>", "larger than a proxy"),
        (502, "<h1>502 from a proxy</h1>", "got no answer"),
        (500, '{"error": {"message": "A fault of ours.", "code": "internal_error"}}', "of ours"),
    ],
)
def test_other_answers_are_told_as_what_they_are(
    page: Page, clips: list[Path], status: int, body: str, said: str
) -> None:
    page.route("**/v1/audio/transcriptions", lambda route: route.fulfill(status=status, body=body))
    page.set_input_files("#file", clips[0])
    expect(page.get_by_role("alert")).to_contain_text(said)
    page.unroute("**/v1/audio/transcriptions")
    page.get_by_role("button", name="Try again").click()
    expect(state(page)).to_contain_text("words in")
