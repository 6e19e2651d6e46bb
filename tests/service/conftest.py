"""One real server for all tests of the service, with the tiny bundle."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from databases import Server, postgres_server
from serving import MAX_SECONDS, MAX_UPLOAD_BYTES, Client, served, wait_until_ready

from asr.runtime import Recognizer
from service.app import create_app
from service.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def processes_find_the_tests_modules() -> Iterator[None]:
    """Worker processes may be told to run what stands in `faulty`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="session")
def recognizer(tiny_bundle: Path) -> Recognizer:
    return Recognizer.load(tiny_bundle, "cpu")


@pytest.fixture(scope="session")
def settings(tiny_bundle: Path) -> Settings:
    """A service with the tiny bundle and low limits, but for those in seconds.

    However slow the machine is, nothing is refused for want of time, and a process that a test
    stops goes on later.
    """
    return Settings(
        bundle=tiny_bundle,
        device="cpu",
        decode_workers=2,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        max_seconds=MAX_SECONDS,
        hang_s=600,
        deadline_s=3600,
        live_sessions=64,
    )


@pytest.fixture(scope="session")
def address(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    jobs = {"jobs_folder": tmp_path_factory.mktemp("jobs")}
    with served(create_app(settings.model_copy(update=jobs))) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture(scope="session")
def english_address(shipped_bundle: Path) -> Iterator[str]:
    """A server of the shipped bundle, as it is without any settings."""
    with served(create_app(Settings(bundle=shipped_bundle, device="cpu"))) as address:
        wait_until_ready(address)
        yield address


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server of the tests."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    client = Client(address)
    with client.http:
        yield client


@pytest.fixture(scope="session")
def clip(clips: list[Path]) -> Path:
    """A short real recording."""
    return min(clips, key=lambda path: path.stat().st_size)
