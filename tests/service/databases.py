"""A real PostgreSQL server, where there is one to be started."""

import contextlib
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp

import pytest

PASSWORD = "a word that no log may show"


def _program(name: str) -> str | None:
    found = [*Path("/usr/lib/postgresql").glob(f"*/bin/{name}")]
    return shutil.which(name) or (str(max(found)) if found else None)


@dataclass
class Server:
    """A server on a free port of 127.0.0.1, which can be stopped and started again."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    def url(self, database: str = "postgres") -> str:
        word = PASSWORD.replace(" ", "%20")
        return f"postgresql://earshot:{word}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        import psycopg

        command = [
            str(_program("postgres")), "-D", str(self.folder / "data"), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}",
            "-c", "fsync=off",
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, **_unprivileged())
        while True:
            assert self.process.poll() is None, (self.folder / "log").read_text()
            with contextlib.suppress(psycopg.OperationalError):
                psycopg.connect(self.url()).close()
                return
            time.sleep(0.05)

    def stop(self) -> None:
        """Break all connections."""
        assert self.process is not None
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()

    def new_database(self) -> str:
        """The address of an empty database."""
        import psycopg

        name = f"jobs_{secrets.token_hex(4)}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)


def _unprivileged() -> dict[str, int]:
    """The server refuses to run as root."""
    return {"user": pwd.getpwnam("nobody").pw_uid} if os.getuid() == 0 else {}


@contextlib.contextmanager
def postgres_server() -> Iterator[Server]:
    """A new server; the test is skipped where there is none."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    initdb = _program("initdb")
    if initdb is None or _program("postgres") is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = Path(mkdtemp(prefix="pg"))  # a short path: a socket's may have 107 characters
    (folder / "word").write_text(PASSWORD)
    if unprivileged := _unprivileged():
        for path in (folder, folder / "word"):
            os.chown(path, unprivileged["user"], -1)
    command = [
        initdb, "-D", str(folder / "data"), "-U", "earshot", "-A", "scram-sha-256",
        f"--pwfile={folder / 'word'}", "--no-sync", "--no-instructions", "--no-locale",
        "--encoding=UTF8",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, cwd=folder, **unprivileged)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = Server(folder, port)
    try:
        server.start()
        yield server
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        shutil.rmtree(folder, ignore_errors=True)
