"""A loopback HTTP server whose paths misbehave: /BEHAVIOUR/FILE."""

import socket
import struct
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self, cast


class Mirror(ThreadingHTTPServer):
    """Serves `files`; records each path asked for in `asked`."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.lengths: list[str] = []
        self.closing = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is part of the game."""

    def url(self, behaviour: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{behaviour}/"


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass

    def do_GET(self) -> None:
        mirror = cast("Mirror", self.server)
        mirror.asked.append(self.path)
        _, behaviour, name = self.path.split("/")
        content = mirror.files.get(name, b"")
        half = content[: len(content) // 2]
        match behaviour:
            case "403" | "503":
                self.send_error(int(behaviour))
            case "silent":  # accepted, never answered
                mirror.closing.wait(60)
            case "stall":
                self._send(content, half)
                mirror.closing.wait(60)
            case "drip":
                self._send(content, b"")
                for byte in content:
                    if mirror.closing.wait(0.05):
                        return
                    self.wfile.write(bytes([byte]))
            case "slow":
                self._send(content, half)
                time.sleep(1)
                self.wfile.write(content[len(half) :])
            case "short":  # closes before all was sent
                self._send(content, half)
            case "reset":
                self._send(content, half)
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
            case "wrong":
                self._send(content, bytes([content[0] ^ 1]) + content[1:])
            case "encoded":  # the bytes are right, the header calls them an encoding
                self._send(content, content, {"Content-Encoding": "gzip"})
            case "lengths":  # what it says of the length is odd
                self._send(content, content, lengths=mirror.lengths)
            case _:
                self._send(content, content)

    def _send(
        self,
        content: bytes,
        sent: bytes,
        headers: dict[str, str] | None = None,
        lengths: Sequence[str] = (),
    ) -> None:
        self.send_response(200)
        for length in lengths or [str(len(content))]:
            self.send_header("Content-Length", length)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent)
        self.wfile.flush()
