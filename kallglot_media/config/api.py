"""The section `api` of server.yaml: where clients reach the control API, and how much they may ask."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kallglot_media.config.types import BindHost, ConfigPath, Settings


class Tls(Settings):
    """HTTPS and wss. Behind a proxy that does TLS, leave it out."""

    certificate: Annotated[ConfigPath, Field(examples=["tls/fullchain.pem"])]
    """The certificate and those above it, PEM."""

    key: Annotated[ConfigPath, Field(examples=["tls/privkey.pem"])]
    """Its private key, PEM, without a password."""


class Stream(Settings):
    """WebSockets that carry sound and words."""

    idle_s: Annotated[float, Field(ge=10, le=86_400)] = 1800
    """A connection that sends nothing for so long is closed (4408)."""

    rejoin_s: Annotated[float, Field(ge=0, le=3600)] = 30
    """A client whose connection broke may come back within this time; then the session ends."""

    largest_frame_kb: Annotated[int, Field(ge=16, le=2048)] = 256
    """A larger frame of a client closes its connection (4413)."""


class Api(Settings):
    """The control API: REST and WebSocket."""

    enabled: bool = True
    """false: no port is opened; calls and routes work as ever."""

    host: BindHost = "127.0.0.1"
    """The IP address it listens on; 0.0.0.0 is all of them. Outside this machine use `tls` or a proxy that does it."""

    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """0: any free port (for tests)."""

    public_url: Annotated[
        str | None, Field(pattern=r"^https?://[^/?#\s]+(/[^?#\s]*)?$", examples=["https://calls.example.com"])
    ] = None
    """What clients are told to connect to; left out: the host that they asked."""

    tls: Tls | None = None
    """HTTPS; left out: plain HTTP."""

    cors_origins: tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")], ...] = Field(
        default=(), examples=[["https://console.example.com"]]
    )
    """Web pages of these origins may use the API from a browser; `*`: all."""

    requests_per_minute: Annotated[int, Field(ge=0, le=10_000_000)] = 6000
    """How much one API key may ask; 0: as much as it likes."""

    largest_body_kb: Annotated[int, Field(ge=16, le=65_536)] = 1024
    """A larger request is refused; documents have their own limit."""

    session_idle_s: Annotated[float, Field(ge=10, le=86_400)] = 1800
    """A session that nobody is connected to ends after so long."""

    stream: Stream = Stream()
    """WebSockets."""
