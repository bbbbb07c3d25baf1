"""A mail server and a receiver of web requests, both real, that keep what they get."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from opengenome_assets_tests.processes import free_port

HERE = "127.0.0.1"


class Letters:
    """Keeps letters; first answers with each of some codes."""

    def __init__(self, answers: tuple[str, ...] = ()) -> None:
        self.letters: list[EmailMessage] = []
        self.attempts = 0
        self.answers = list(answers)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.attempts += 1
        if self.answers:
            return self.answers.pop(0)
        letter = message_from_bytes(envelope.content or b"", policy=policy.default)  # type: ignore[arg-type]
        self.letters.append(letter)  # type: ignore[arg-type]
        return "250 OK"


@contextmanager
def mail_server(*answers: str, host: str = HERE) -> Iterator[tuple[str, Letters]]:
    """Run a mail server; yield its address and its letters."""
    letters = Letters(answers)
    controller = Controller(letters, hostname=host, port=free_port())
    controller.start()
    try:
        yield f"{host}:{controller.port}", letters
    finally:
        controller.stop()


@contextmanager
def receiver(*answers: int, host: str = HERE) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Run a web server that first answers with each of some statuses; yield its address and what it accepted."""
    accepted: list[tuple[dict[str, str], bytes]] = []
    statuses = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop(0) if statuses else 200
            if status == 200:
                accepted.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with served(Handler, host) as address:
        yield f"{address}/hook/secret-path", accepted


@contextmanager
def served(handler: Callable[..., BaseHTTPRequestHandler], host: str = HERE) -> Iterator[str]:
    """Run a web server in a thread."""
    server = ThreadingHTTPServer((host, 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def bodies(accepted: list[tuple[dict[str, str], bytes]]) -> list[Any]:
    """The JSON of each request."""
    return [json.loads(body) for _, body in accepted]
