"""When a client disconnects its work is cancelled, whether it streams or waits."""

import asyncio
import socket
import threading

import httpx
from fastapi import FastAPI, Request
from serving import served

from service.access.disconnects import cancel_on_disconnect
from service.access.middleware import RequestIds


class Endless:
    """A service that is never done with a request, and knows when one is cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = threading.Event(), threading.Event()
        self.app = FastAPI()
        self.app.post("/")(self.answer)
        self.app.add_middleware(RequestIds)

    async def answer(self, request: Request) -> int:
        await request.body()
        return await cancel_on_disconnect(request, self.work())

    async def work(self) -> int:
        self.began.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return 0


def test_the_work_of_a_client_that_is_gone_is_cancelled() -> None:
    endless = Endless()
    with served(endless.app) as address:
        host, _, port = address.removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 1\r\n\r\nx")
            assert endless.began.wait(120)
        assert endless.cancelled.wait(120)


def test_what_is_done_first_is_the_answer_and_faults_pass_through() -> None:
    app = FastAPI()

    @app.post("/{what}")
    async def answer(request: Request, what: str) -> str:
        await request.body()

        async def work() -> str:
            await asyncio.sleep(0)
            if what == "fault":
                raise RuntimeError(what)
            return what

        try:
            return await cancel_on_disconnect(request, work())
        except RuntimeError as error:
            return f"raised {error}"

    with served(app) as address:
        assert httpx.post(f"{address}/words", timeout=120).json() == "words"
        assert httpx.post(f"{address}/fault", timeout=120).json() == "raised fault"
