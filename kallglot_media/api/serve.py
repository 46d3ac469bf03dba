"""uvicorn as a part of our loop: our sockets, our signals, our log, started and stopped by the server."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from kallglot_media.api.stream.protocol import StreamProtocol
from kallglot_media.config.api import Api, Tls
from kallglot_media.errors import SetupError
from kallglot_media.log import logger

BACKLOG = 2048
LAST_ANSWERS_S = 5.0
_WS_MOST_BYTES = 2 * 1024 * 1024  # larger than our own limit, so that it is we who say 4413

log = logger("api")


class ApiServer:
    """One listening socket. start() returns when it takes connections."""

    def __init__(self, app: ASGIApp, settings: Api) -> None:
        self._settings = settings
        tls = settings.tls
        self._socket: socket.socket | None = None
        self._task: asyncio.Task[None] | None = None
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                loop="none",
                http="httptools",
                ws=StreamProtocol,
                ws_max_size=_WS_MOST_BYTES,
                ws_ping_interval=20.0,
                ws_ping_timeout=20.0,
                ws_per_message_deflate=False,
                server_header=False,
                timeout_keep_alive=75,
                timeout_graceful_shutdown=round(LAST_ANSWERS_S),
                backlog=BACKLOG,
                ssl_context_factory=None if tls is None else lambda config, default: tls_context(tls),
            )
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    @property
    def connections(self) -> int:
        """How many there are now."""
        return len(self._server.server_state.connections)

    async def start(self) -> None:
        """Raises SetupError when the port cannot be had, or a certificate cannot be read."""
        settings = self._settings
        self._socket = bind(settings.host, settings.port)
        self._server.config.load()
        self._task = asyncio.create_task(self._server.serve([self._socket]), name="api")
        up = asyncio.create_task(self._server.up.wait())
        await asyncio.wait({self._task, up}, return_when=asyncio.FIRST_COMPLETED)
        up.cancel()
        if self._task.done():
            await self._task
        scheme = "https" if settings.tls else "http"
        log.info("listening", sign="=", url=f"{scheme}://{settings.host}:{self.port}")

    async def stop(self) -> None:
        """Take no more requests, let those under way be answered, close streams with 1012."""
        if self._task is None:
            return
        self._server.should_exit = True
        await asyncio.wait({self._task}, timeout=LAST_ANSWERS_S + 2.0)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)


class _Server(uvicorn.Server):
    """Without uvicorn's own signal handlers: SIGTERM is the server's to hear."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when connections are taken."""
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SetupError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        mend = "stop the program that has the port, write another api.port, or api.enabled: false"
        raise SetupError(f"api {host}:{port}", error.strerror or str(error), mend) from None
    listening.setblocking(False)
    return listening


def tls_context(tls: Tls) -> ssl.SSLContext:
    """TLS 1.2 and newer. Raises SetupError when a file cannot be read or the two do not belong together."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        mend = "write the PEM files of a certificate and of its key, which must belong together"
        raise SetupError("api.tls", str(error), mend) from None
    return context
