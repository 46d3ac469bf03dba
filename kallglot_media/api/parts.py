"""What the endpoints work with. One for each server, in `request.app.state.parts`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

from starlette.requests import Request

from kallglot_media.api.exports import Exports
from kallglot_media.api.rate_limit import RateLimit
from kallglot_media.api.stream.hall import Hall
from kallglot_media.call.bus import Bus
from kallglot_media.call.desk import Desk
from kallglot_media.call.lobby import Lobby
from kallglot_media.config.api import Api
from kallglot_media.ids import Ids
from kallglot_media.knowledge.embeddings import Embedder
from kallglot_media.store.keyring import KeyRing
from kallglot_media.store.store import Store
from kallglot_media.webhooks.guard import Guard


class Health(Protocol):
    """How the server is doing."""

    def problems(self) -> dict[str, str]:
        """What keeps it from taking calls now: part -> why; empty when it is ready."""
        ...

    def gauges(self) -> dict[str, float]:
        """Numbers of now, by name."""
        ...

    def counters(self) -> Counter[str]:
        """What has been counted since the start, by name."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """See the module.

    node          this server's name in the store
    stream_secret signs the tokens of streams
    data_dir      where recordings lie
    clock_s       a clock that never goes back, in seconds
    guard         where webhooks may go
    exports       recordings in other forms
    counted       what the tasks in the background count, by part
    held_writes   how many writes of live calls wait for the database
    embedder      finds knowledge by meaning; None: words alone are searched
    """

    settings: Api
    store: Store
    keys: KeyRing
    lobby: Lobby
    desk: Desk
    bus: Bus
    ids: Ids
    node: str
    stream_secret: bytes = field(repr=False)
    data_dir: Path
    health: Health
    clock_s: Callable[[], float]
    requests: RateLimit
    exports: Exports
    guard: Guard = field(default_factory=Guard)
    embedder: Embedder | None = None
    counted: Mapping[str, Counter[str]] = field(default_factory=dict)
    held_writes: Callable[[], int] = int
    wrong_keys: RateLimit = field(default_factory=lambda: RateLimit(60))
    hall: Hall = field(default_factory=Hall)


def parts_of(request: Request) -> Parts:
    """The server that this request came to."""
    return cast(Parts, request.app.state.parts)


def base_url(request: Request) -> str:
    """What links to this server start with."""
    settings = parts_of(request).settings
    if settings.public_url is not None:
        return settings.public_url.rstrip("/")
    return f"{request.url.scheme}://{request.url.netloc}"
