"""Several bundles at once, and a bundle that is replaced while requests use it."""

import asyncio
import shutil
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from serving import Client, assert_shape, metric, running, served, wait_until_ready

from asr.errors import BadOption
from asr.runtime import Recognizer
from service.access.keys import new_key
from service.app import create_app
from service.engine.transcriber import Result
from service.settings import Settings

pytestmark = pytest.mark.slow  # three models are loaded, and some again
URL = "/v1/transcribe"
KEY, LINE = new_key("ann")
ADMIN = {"authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def folder(
    tiny_bundle: Path, shipped_bundle: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of two bundles, of the first one of the service, and of what is none."""
    folder = tmp_path_factory.mktemp("models")
    shutil.copytree(tiny_bundle, folder / "first")
    shutil.copytree(tiny_bundle, folder / "small")
    shutil.copytree(shipped_bundle, folder / "large")
    (folder / "notes").mkdir()
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, settings: Settings) -> Iterator[str]:
    """A server of all bundles, for all tests here: three models take their time to load."""
    given = {
        "models_folder": folder,
        "bundle": folder / "first",  # it may lie there too, and is not served twice
        "admin_keys": SecretStr(LINE),
        "model_aliases": "whisper-large-v3, Systran/tiny = small",
    }
    with served(create_app(settings.model_copy(update=given))) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    client = Client(server)
    with client.http:
        yield client


def replace(folder: Path, name: str, by: Path) -> None:
    """The bundle `name` becomes another one, as a copy from elsewhere would make it."""
    shutil.rmtree(folder / name)
    shutil.copytree(by, folder / name)


def test_a_model_answers_by_its_aliases(client: Client, recognizer: Recognizer) -> None:
    created = {model.id: model.created for model in client.openai.models.list().data}
    for alias, name in (
        ("whisper-large-v3", recognizer.bundle.info.name),
        ("Systran/tiny", "small"),
    ):
        model = client.openai.models.retrieve(alias)
        assert (model.id, model.created) == (alias, created[name])


def test_each_model_answers_by_its_name(
    client: Client, recognizer: Recognizer, shipped_bundle: Path, clip: Path
) -> None:
    first = recognizer.bundle.info.name
    assert [model.id for model in client.openai.models.list()] == [first, "large", "small"]
    large = Recognizer.load(shipped_bundle, "cpu").transcribe(clip).text
    small = recognizer.transcribe(clip).text
    assert large != small
    for model, expected in (
        ("large", large),
        ("small", small),
        (first, small),
        ("whisper-1", small),
    ):
        answer = client.openai.audio.transcriptions.create(file=clip, model=model)
        assert answer.text == expected
    assert client.openai.models.retrieve("large").model_extra == {
        "under_way": 0,
        "queued_seconds": 0,
        "backlog_seconds": 0,
    }
    error = client.refusal(file=clip, model="notes")
    assert error.status_code == 404
    assert f"has {first!r}, 'large', 'small'" in error.message


def test_a_model_is_replaced_at_work_and_no_request_is_lost(
    client: Client, folder: Path, recognizer: Recognizer, shipped_bundle: Path, clip: Path
) -> None:
    old = recognizer.transcribe(clip).text
    new = Recognizer.load(shipped_bundle, "cpu").transcribe(clip).text
    texts: list[str] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(base_url=client.address, timeout=240) as http:
            while not over.is_set():
                response = http.post(f"{URL}?model=small", content=clip.read_bytes())
                assert response.status_code == 200, response.text
                texts.append(response.json()["text"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    replace(folder, "small", shipped_bundle)
    response = client.http.post("/admin/models/small/reload", headers=ADMIN)
    assert response.status_code == 200 and response.json()["id"] == "small"
    after = client.http.post(f"{URL}?model=small", content=clip.read_bytes()).json()["text"]
    over.set()
    for thread in threads:
        thread.join()
    assert after == new
    assert set(texts) <= {old, new} and texts[0] == old and texts[-1] == new


def test_a_bundle_that_came_later_is_loaded_by_its_name(
    client: Client, folder: Path, tiny_bundle: Path, clip: Path
) -> None:
    shutil.copytree(tiny_bundle, folder / "later")
    assert client.http.post(f"{URL}?model=later", content=b"x").status_code == 404
    assert client.http.post("/admin/models/later/reload", headers=ADMIN).status_code == 200
    response = client.http.post(f"{URL}?model=later", content=clip.read_bytes())
    assert response.status_code == 200


def test_a_damaged_bundle_is_named_and_the_old_one_goes_on(
    client: Client, folder: Path, tiny_bundle: Path, clip: Path
) -> None:
    (folder / "small" / "model.onnx").write_bytes(b"damaged")
    response = client.http.post("/admin/models/small/reload", headers=ADMIN)
    assert response.status_code == 422
    assert "The old model stays in service" in (assert_shape(response)["message"] or "")
    replace(folder, "small", tiny_bundle)
    response = client.http.post(f"{URL}?model=small", content=clip.read_bytes())
    assert response.status_code == 200


@pytest.mark.parametrize("name", ["notes", "..", "%2e%2e%2fsmall", "nothing", "small%2f..%2flarge"])
def test_only_bundles_of_the_folder_can_be_named(client: Client, name: str) -> None:
    response = client.http.post(f"/admin/models/{name}/reload", headers=ADMIN)
    assert response.status_code == 404
    assert_shape(response)


def test_only_an_admin_key_reloads(client: Client) -> None:
    for headers in ({}, {"authorization": "Bearer none"}, {"authorization": KEY}):
        response = client.http.post("/admin/models/small/reload", headers=headers)
        assert response.status_code == 401
        assert response.headers["www-authenticate"].startswith("Bearer")


def test_nobody_reloads_where_no_admin_key_is_set(address: str) -> None:
    response = httpx.post(f"{address}/admin/models/whisper-1/reload", headers=ADMIN, timeout=120)
    assert response.status_code == 403
    assert "EARSHOT_ADMIN_KEYS" in (assert_shape(response)["message"] or "")


def test_two_models_of_one_name_and_a_folder_that_is_none_are_refused(
    tiny_bundle: Path, recognizer: Recognizer, settings: Settings, tmp_path: Path
) -> None:
    shutil.copytree(tiny_bundle, tmp_path / recognizer.bundle.info.name)
    for folder, sentence in (
        (tmp_path, "another bundle with the first model's name, tiny"),
        (tmp_path / "none", "is not a folder"),
    ):
        app = create_app(settings.model_copy(update={"models_folder": folder}))
        with served(app), pytest.raises(BadOption, match=sentence):
            while not app.state.loading.done():
                threading.Event().wait(0.02)
            raise app.state.loading.exception()


def test_a_model_that_nobody_uses_is_unloaded_and_loaded_once_at_the_next_requests(
    settings: Settings, recognizer: Recognizer, clip: Path
) -> None:
    app = create_app(settings)
    registry, decoders = app.state.registry, app.state.decoders

    def options(_: Recognizer) -> dict[str, Any]:
        registry.unload_unused(0)  # has no effect now: there is a request
        return {}

    def transcribe() -> Coroutine[Any, Any, Result]:
        return registry.transcribe("whisper-1", options, clip.read_bytes(), "the clip")

    async def follow() -> list[Result]:
        await asyncio.gather(decoders.start(), registry.start())
        try:
            before = registry.first.pid
            registry.unload_unused(3600)
            assert registry.first.state == "ready" and registry.first.pid == before
            registry.unload_unused(0)
            assert registry.first.state == "unloaded" and registry.first.pid is None
            found = await asyncio.gather(*(transcribe() for _ in range(4)))
            assert registry.first.state == "ready" and registry.first.pid != before
            return found
        finally:
            registry.stop()
            decoders.stop()

    expected = recognizer.transcribe(clip).text
    assert [result.transcript.text for result in asyncio.run(follow())] == [expected] * 4


def test_a_service_is_ready_while_its_model_is_unloaded(
    settings: Settings, recognizer: Recognizer, clip: Path
) -> None:
    with running(settings.model_copy(update={"model_idle_s": 0.3})) as (_, http):
        for _ in range(2):
            while metric(http, "earshot_model_loaded"):
                assert metric(http, "earshot_model_ready") == 1
            health = http.get("/health/ready")
            assert health.status_code == 200
            assert health.json()["models"][0]["status"] in ("unloaded", "ready")
            answer = http.post(URL, content=clip.read_bytes())
            assert answer.json()["text"] == recognizer.transcribe(clip).text


def test_a_model_that_cannot_be_loaded_again_says_so_and_is_tried_again(
    settings: Settings, tiny_bundle: Path, tmp_path: Path, clip: Path
) -> None:
    bundle = shutil.copytree(tiny_bundle, tmp_path / "bundle")
    given = {"bundle": bundle, "model_idle_s": 0.3}
    with running(settings.model_copy(update=given)) as (_, http):
        bundle.rename(tmp_path / "elsewhere")
        while (answer := http.post(URL, content=clip.read_bytes())).status_code == 200:
            while metric(http, "earshot_model_loaded"):
                threading.Event().wait(0.02)
        assert answer.status_code == 503 and assert_shape(answer)["code"] == "not_ready"
        (tmp_path / "elsewhere").rename(bundle)
        assert http.post(URL, content=clip.read_bytes()).status_code == 200
