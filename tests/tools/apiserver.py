"""A small API server on a real socket that serves a test's objects and fails as a test says."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import yaml

from firstlight.tools.objects import Kind

Object = dict[str, Any]
Answer = Callable[["Handler"], None]


class ApiServer:
    """The server's objects, its special answers, and the requests that it received."""

    def __init__(self) -> None:
        self.kinds: dict[str, list[Object]] = {}
        self.special: dict[str, Answer] = {}
        """Special answers by path; `watch` answers every watch."""
        self.asked: list[str] = []
        self.released = threading.Event()
        """Set when a silent watch may end, so that no thread outlives its test."""
        self.url = ""

    def hold(self, kind: Kind, *objects: Object) -> None:
        """Serve exactly these objects of a kind."""
        self.kinds[kind.path()] = list(objects)


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    # Send head and body together, or the body waits 40 ms for the client's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    server: Server

    def do_GET(self) -> None:
        """Answer like an API server, or as the test says."""
        api, split = self.server.api, urlsplit(self.path)
        self.query = {key: values[0] for key, values in parse_qs(split.query).items()}
        api.asked.append(self.path)
        special = api.special.get("watch") if "watch" in self.query else api.special.get(split.path)
        if special is not None:
            special(self)
        elif split.path == "/readyz":
            self.send(200, b"ok", "text/plain")
        else:
            self._resources(split.path)

    def _resources(self, path: str) -> None:
        namespace, kind_path, name = take_apart(path)
        objects = self.server.api.kinds.get(kind_path)
        if objects is None:
            self.status(404, "the server could not find the requested resource")
            return
        chosen = [
            item
            for item in objects
            if not namespace or item["metadata"].get("namespace") == namespace
        ]
        if name:
            found = next((item for item in chosen if item["metadata"]["name"] == name), None)
            self.json(200, found) if found else self.status(404, f'"{name}" not found')
            return
        wanted = self.query.get("fieldSelector", "").removeprefix("metadata.name=")
        labels = dict(
            pair.split("=") for pair in self.query.get("labelSelector", "").split(",") if pair
        )
        chosen = [item for item in chosen if not wanted or item["metadata"]["name"] == wanted]
        chosen = [
            item
            for item in chosen
            if labels.items() <= (item["metadata"].get("labels") or {}).items()
        ]
        self.json(200, {"kind": "List", "metadata": {"resourceVersion": "100"}, "items": chosen})

    def json(self, code: int, body: object) -> None:
        """Answer with an object."""
        self.send(code, json.dumps(body).encode())

    def status(self, code: int, message: str) -> None:
        """Refuse like an API server."""
        self.json(code, {"kind": "Status", "status": "Failure", "message": message, "code": code})

    def send(
        self, code: int, body: bytes, content_type: str = "application/json", **headers: str
    ) -> None:
        """Answer with these bytes."""
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self) -> None:
        """Begin a chunked answer."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.flush()

    def chunk(self, text: str) -> None:
        """Send a chunk; an empty one is the end."""
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def hang_up(self) -> None:
        """End the connection without ending the answer."""
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the standard library's own name for it
        """Log nothing; requests are recorded instead."""


class Server(ThreadingHTTPServer):
    """An HTTP server that knows its `ApiServer`."""

    daemon_threads = True
    api: ApiServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that hang up."""


def event(kind: str, item: Object) -> Answer:
    """Answer a watch with one event, and keep it open."""

    def answer(handler: Handler) -> None:
        handler.begin_stream()
        handler.chunk(json.dumps({"type": kind, "object": item}) + "\n")
        handler.server.api.released.wait(5)
        handler.chunk("")

    return answer


def silent(handler: Handler) -> None:
    """Answer a watch without any event."""
    handler.begin_stream()
    handler.server.api.released.wait(5)
    handler.chunk("")


def dripping(handler: Handler) -> None:
    """Answer a watch with one byte at a time and never end a line."""
    handler.begin_stream()
    while not handler.server.api.released.wait(0.05):
        handler.chunk(" ")
    handler.chunk("")


def mute(handler: Handler) -> None:
    """Accept the request and never answer."""
    handler.server.api.released.wait(5)
    handler.hang_up()


def ended(handler: Handler) -> None:
    """End a watch at once, like a server that shuts down."""
    handler.begin_stream()
    handler.chunk("")


def broken(handler: Handler) -> None:
    """Break off a watch in the middle of an event."""
    handler.begin_stream()
    handler.wfile.write(b"40\r\n{")
    handler.hang_up()


def refusal(code: int, message: str = "no", **headers: str) -> Answer:
    """Refuse."""
    return lambda handler: handler.send(
        code, json.dumps({"kind": "Status", "message": message}).encode(), **headers
    )


def raw(body: bytes, content_type: str = "text/html") -> Answer:
    """Answer with an arbitrary body."""
    return lambda handler: handler.send(200, body, content_type)


def take_apart(path: str) -> tuple[str, str, str]:
    """Return namespace, path of the kind, and name of a request."""
    words = path.strip("/").split("/")
    base = 2 if words[0] == "api" else 3
    group, rest, namespace = words[:base], words[base:], ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    return namespace, "/" + "/".join([*group, rest[0]]), rest[1] if len(rest) > 1 else ""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[ApiServer]:
    """Serve for as long as the test runs."""
    api = ApiServer()
    server = Server(("127.0.0.1", 0), Handler)
    server.api = api
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    api.url = f"{'https' if context else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
    )
    thread.start()
    try:
        yield api
    finally:
        api.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


def write_kubeconfig(path: Path, url: str, *, context: str = "admin@infra", **cluster: str) -> Path:
    """Write a kubeconfig for a server."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "infra", "cluster": {"server": url, **cluster}}],
        "users": [{"name": context, "user": {"token": "secret-token"}}],
        "contexts": [{"name": context, "context": {"cluster": "infra", "user": context}}],
        "current-context": context,
    }
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path
