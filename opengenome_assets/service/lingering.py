"""Lingering: an answer before the end of the body (a refusal) that reaches a client which still sends.

Belongs here: reading and dropping the rest of such a body. Does not belong here: reasons to refuse (``guards.py``).
"""

from __future__ import annotations

import anyio
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Maximum time in which the rest of a body is dropped.
LINGER_SECONDS = 10.0


class Lingering:
    """The middleware that reads and drops the rest of a body after an answer which did not wait for it.

    A connection that is closed while there are bytes to read is reset, and the client loses the answer; a proxy then
    says 502 (RFC 9112, 9.6). The answer is sent whole before anything is dropped, so a client that looks for it while
    it sends may stop. ``scope["lingers"]`` says that only the rest of a body is waited for.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and end its answer when its body has ended."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        ended = False

        async def received() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def sent(message: Message) -> None:
            if ended or message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            await send({**message, "more_body": True})
            scope["lingers"] = True
            with anyio.move_on_after(LINGER_SECONDS):
                while not ended:
                    await received()
            await send({"type": "http.response.body"})

        await self.app(scope, received, sent)
