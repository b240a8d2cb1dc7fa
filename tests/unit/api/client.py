"""A plain HTTP client over the standard library, so that nothing of ours stands on both ends."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from api.reading import JSON, MSGPACK

TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """A response whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def problem(self) -> str:
        """The type of the problem that it carries."""
        if self.headers["content-type"] != "application/problem+json":
            raise ValueError(f"not a problem: {self.status} {self.body[:200]!r}")
        found = self.json
        if found["status"] != self.status or not found["remedy"] or not found["detail"]:
            raise ValueError(f"an incomplete problem: {found}")
        return str(found["type"])


class Api:
    """Requests to one server, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request, and return all of its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        """A GET; header names with underscores for hyphens."""
        return self.request(
            "GET", path, None, {name.replace("_", "-"): text for name, text in headers.items()}
        )

    def post(self, path: str, body: bytes, media: str = MSGPACK) -> Answer:
        """A POST of bytes, canonical MessagePack unless said otherwise."""
        return self.request("POST", path, body, {"Content-Type": media})

    def post_json(self, path: str, value: object) -> Answer:
        """A POST of a value as JSON."""
        return self.post(path, json.dumps(value).encode(), JSON)

    def open(self) -> socket.socket:
        """A bare connection."""
        return socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    while part := connection.recv(65_536):
        parts.append(part)
    return b"".join(parts)
