"""A client that hangs up has its work cancelled, whether it streams or waits."""

import asyncio
import threading

import httpx
import pytest
from fastapi import FastAPI, Request
from serving import served

from service.hangup import unless_gone
from service.middleware import RequestIds


class Endless:
    """A service that is never done with a request, and knows when one is cancelled."""

    def __init__(self) -> None:
        self.began, self.cancelled = threading.Event(), threading.Event()
        self.app = FastAPI()
        self.app.post("/")(self.answer)
        self.app.add_middleware(RequestIds)

    async def answer(self, request: Request) -> int:
        await request.body()
        return await unless_gone(request, self.work())

    async def work(self) -> int:
        self.began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return 0


def test_the_work_of_a_client_that_is_gone_is_cancelled() -> None:
    endless = Endless()
    with served(endless.app) as address:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(address, content=b"x", timeout=0.5)
        assert endless.began.is_set()
        assert endless.cancelled.wait(10)


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
            return await unless_gone(request, work())
        except RuntimeError as error:
            return f"raised {error}"

    with served(app) as address:
        assert httpx.post(f"{address}/words").json() == "words"
        assert httpx.post(f"{address}/fault").json() == "raised fault"
