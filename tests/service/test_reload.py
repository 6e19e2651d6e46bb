"""SIGHUP: keys and models are reloaded while requests go on; a bad file changes nothing.

One service for all of it, since each reload loads models: it runs in a terminal, and ends with it.
"""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from serving import speech, wav

from asr.runtime import Recognizer
from service.access.keys import new_key

pytestmark = pytest.mark.slow  # models are loaded many times
URL = "/v1/transcribe"
PARTS = ("bundle", "keys", "models")
SERVE = """
import sys
from pathlib import Path
from service.run import run
from service.settings import Settings
bundle, keys, models = map(Path, sys.argv[1:])
run(
    Settings.read(
        port=0, device="cpu", bundle=bundle, api_keys_file=keys, models_folder=models,
        decode_workers=1, deadline_s=3600,
    )
)
"""


@dataclass
class Running:
    """A service in a terminal, with a file of keys and a folder of models, and what it logs."""

    process: subprocess.Popen[bytes]
    terminal: int
    folder: Path
    text: str = ""
    seen: int = 0
    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=self._read)
        self.reader.start()
        address = self.logged("ready on").split()[3]
        self.http = httpx.Client(base_url=address, timeout=120)

    def _read(self) -> None:
        while not self.closed.is_set():  # a read without an end would keep the terminal open
            if select.select([self.terminal], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.terminal, 65_536).decode()
                except OSError:  # the service has ended
                    return

    def logged(self, what: str) -> str:
        """The first line that has this, once it is there."""
        while True:
            lines = self.text[self.seen :].split("\n")[:-1]
            if matches := [line for line in lines if what in line]:
                return matches[0]
            assert self.process.poll() is None, self.text
            time.sleep(0.05)

    def reload(self, *until: str) -> None:
        """Send SIGHUP, and return once each of these is in a new line."""
        self.seen = len(self.text)
        self.process.send_signal(signal.SIGHUP)
        for what in until:
            self.logged(what)

    def close_terminal(self) -> None:
        """As when its window is closed."""
        if not self.closed.is_set():
            self.closed.set()
            self.reader.join()
            os.close(self.terminal)

    def status(self, key: str, model: str = "whisper-1", body: bytes = b"x") -> int:
        headers = {"authorization": f"Bearer {key}"}
        return self.http.post(f"{URL}?model={model}", content=body, headers=headers).status_code


@pytest.fixture
def service(tiny_bundle: Path, tmp_path: Path) -> Iterator[Running]:
    shutil.copytree(tiny_bundle, tmp_path / "bundle")
    (tmp_path / "models").mkdir()
    (tmp_path / "keys").write_text("")
    command = [sys.executable, "-c", SERVE, *(str(tmp_path / part) for part in PARTS)]
    terminal, inner = pty.openpty()
    with subprocess.Popen(command, stderr=inner, start_new_session=True) as process:
        os.close(inner)
        try:
            service = Running(process, terminal, tmp_path)
            with service.http:
                yield service
            service.close_terminal()
        finally:
            process.kill()


def test_keys_and_models_are_reloaded_and_what_is_damaged_changes_nothing(
    service: Running, tiny_bundle: Path, recognizer: Recognizer, clip: Path
) -> None:
    ann, line = new_key("ann")
    keys, model = service.folder / "keys", service.folder / "bundle" / "model.onnx"
    later = service.folder / "models" / "later"
    assert service.status("none") == 415  # without keys everybody is let in: it is no recording

    keys.write_text(line)
    shutil.copytree(tiny_bundle, later)
    with asked_all_the_while(service, ann, recognizer, clip):
        service.reload("model tiny is reloaded", "model later is reloaded")
    assert service.status("none") == 401
    assert service.status(ann, "later", clip.read_bytes()) == 200

    keys.write_text("ann")
    whole = model.read_bytes()
    model.write_bytes(b"damaged")
    shutil.rmtree(later)
    service.reload("model tiny is not reloaded", "model later is removed")
    assert "keys, entry 1, is not NAME:SHA256" in service.logged("the old keys stay")
    assert service.status(ann, "later") == 404
    assert service.status(ann, body=clip.read_bytes()) == 200

    keys.write_text("")
    service.reload("model tiny is not reloaded")
    assert "would let everybody in" in service.logged("the old keys stay")
    model.write_bytes(whole)
    assert service.status("none") == 401
    assert service.status(ann, body=clip.read_bytes()) == 200

    service.close_terminal()
    service.process.send_signal(signal.SIGHUP)
    assert service.process.wait(120) == 0


@contextmanager
def asked_all_the_while(
    service: Running, key: str, recognizer: Recognizer, clip: Path
) -> Iterator[None]:
    """One request after another, each of which is answered with its words."""
    waves = [speech(clip, 32_000 + 16_000 * length) for length in range(4)]
    texts = [recognizer.transcribe((wave, 16_000)).text for wave in waves]
    stop = threading.Event()

    def ask() -> int:
        asked = 0
        while not stop.is_set():
            headers = {"authorization": f"Bearer {key}"}
            response = service.http.post(URL, content=wav(waves[asked % 4]), headers=headers)
            assert response.json()["text"] == texts[asked % 4]
            asked += 1
        return asked

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            yield
        finally:
            stop.set()
        assert asking.result() > 0
