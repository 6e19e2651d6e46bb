"""The status of an answer, also of a WebSocket's, for whoever counts or logs it."""

from starlette.types import Message, Send


class NotedSend:
    """Passes messages on to `send`, and notes the status of the answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        """0 until the answer begins: the client may disconnect before."""

    async def __call__(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"].endswith("http.response.start"):
            self.status = message["status"]
        elif message["type"] == "websocket.accept":
            self.status = 101
        await self._send(message)
