"""Servers on loopback that receive what a run sends: a webhook, and e-mail over SMTP."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope


class Webhook:
    """``address``, and what was posted there: (path, content type, parsed body). ``answers``: status and headers."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}/services/SECRET-PATH"
        self.received: list[tuple[str, str, Any]] = []
        self.answers: tuple[int, dict[str, str]] = (200, {})

    @property
    def texts(self) -> list[str]:
        return [body["text"] for _, _, body in self.received]


@contextmanager
def webhook() -> Iterator[Webhook]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receiver.received.append((self.path, self.headers["Content-Type"], body))
            status, headers = receiver.answers
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver = Webhook(server.server_port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


class Mailbox:
    """A server of e-mail, and what it received; ``user`` and ``password`` are what it accepts."""

    user, password = "warehouse", "SECRET-OF-MAIL"

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.was_encrypted: list[bool] = []
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.received.append(message_from_bytes(envelope.content, policy=policy.default))
        self.was_encrypted.append(session.ssl is not None)
        return "250 OK"


@contextmanager
def mailbox(context: ssl.SSLContext) -> Iterator[Mailbox]:
    """A server that wants TLS, and then a login."""
    box = Mailbox()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, said: Any) -> AuthResult:
        is_right = (said.login, said.password) == (box.user.encode(), box.password.encode())
        return AuthResult(success=is_right, handled=is_right)

    controller = Controller(
        box,
        hostname="127.0.0.1",
        port=box.port,
        server_hostname="localhost",
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=authenticate,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()
